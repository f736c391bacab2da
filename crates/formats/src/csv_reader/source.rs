//! The file behind a `CsvReader`: bounded for the parser, and seen once more for checkpoints and errors.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::CsvPosition;
use super::dialect::{Dialect, RecordLength, Within};
use crate::input_error::InputError;
use crate::input_source::{Source, open_file};
use crate::output_file::{TAIL_BYTES, fingerprint};

/// First bytes of a file that are compared on resume.
const HEAD_BYTES: u64 = 4 * 1024;
/// Raw text that is read for an error: somewhat more than an `ItemError` keeps, for the blank lines before it.
const RAW_BYTES: u64 = 16 * 1024;

/// Compressed text that is kept for places that were passed: more than the parser's buffer and the raw text of an error.
const WINDOW_BYTES: usize = 2 * super::BUFFER_BYTES;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The current record is longer than allowed.
#[derive(Debug, thiserror::Error)]
#[error("record is too long")]
pub(super) struct TooLong;

/// The file as the parser reads it, no farther than the longest record allowed.
///
/// The parser asks for more only when all that it has got belongs to the current record or to those before it, so one
/// look per buffer is enough.
pub(super) struct Bounded {
    file: File,
    text: Source,
    offset: u64,
    /// The text has ended.
    pub(super) at_end: bool,
    /// Set before each record.
    pub(super) limit: u64,
}

impl Bounded {
    pub(super) fn open(path: &Path, limit: u64) -> Result<Self, InputError> {
        let file = open_file(path)?;
        let text = Source::open(path, &file)?;
        Ok(Self { file, text, offset: 0, at_end: false, limit })
    }

    /// How much of the file has been read, where that is not how much of the text has been.
    pub(super) fn read_of_file(&self) -> Option<u64> {
        self.text.read_of_file(&self.file)
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.offset > self.limit {
            return Err(io::Error::other(TooLong));
        }
        let length = self.text.read(buffer)?;
        self.offset += length as u64;
        self.at_end = length == 0 && !buffer.is_empty();
        Ok(length)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(offset) = position else { return Err(io::ErrorKind::Unsupported.into()) };
        if !self.text.restart(&self.file, offset)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (self.offset, self.at_end) = (offset, false);
        Ok(offset)
    }
}

/// The file by a handle of its own, for what the parser's buffer does not hold any more.
pub(super) struct Original {
    path: PathBuf,
    file: File,
    text: Text,
    dialect: Dialect,
    size: u64,
    head: Option<u64>,
}

impl Original {
    pub(super) fn open(path: &Path, dialect: Dialect) -> Result<Self, InputError> {
        let file = open_file(path)?;
        let size = file.metadata().map_err(|source| InputError::Open { path: path.to_owned(), source })?.len();
        let text = Text::open(path)?;
        Ok(Self { path: path.to_owned(), file, text, dialect, size, head: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn unreadable(&self, source: io::Error) -> InputError {
        let path = self.path.clone();
        match source.raw_os_error() {
            Some(_) => InputError::Read { path, source },
            None => InputError::Corrupt { path, source },
        }
    }

    fn bytes(&mut self, start: u64, length: u64) -> Result<Vec<u8>, InputError> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let read = self.text.read_at(start, &mut bytes).map_err(|source| self.unreadable(source))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Fingerprint of the first bytes, read once.
    pub(super) fn head(&mut self) -> Result<u64, InputError> {
        if let Some(head) = self.head {
            return Ok(head);
        }
        let mut bytes = Vec::new();
        let read =
            self.file.seek(SeekFrom::Start(0)).and_then(|_| (&self.file).take(HEAD_BYTES).read_to_end(&mut bytes));
        read.map_err(|source| self.unreadable(source))?;
        let head = fingerprint(&bytes);
        self.head = Some(head);
        Ok(head)
    }

    /// Fingerprint of the bytes before an offset.
    pub(super) fn tail(&mut self, end: u64) -> Result<u64, InputError> {
        let start = end.saturating_sub(TAIL_BYTES as u64);
        let mut bytes = [0; TAIL_BYTES];
        let length = usize::try_from(end - start).unwrap_or(TAIL_BYTES);
        let read = self.text.read_at(start, &mut bytes[..length]).map_err(|source| self.unreadable(source))?;
        Ok(fingerprint(&bytes[..read]))
    }

    /// The end of a line that stands before an offset, when a byte order mark stands behind it.
    pub(super) fn line_end_before_a_mark(&mut self, offset: u64) -> Result<Option<u8>, InputError> {
        if offset == 0 {
            return Ok(None);
        }
        let around = self.bytes(offset - 1, 1 + BYTE_ORDER_MARK.len() as u64)?;
        Ok(match around.split_first() {
            Some((end @ (b'\n' | b'\r'), BYTE_ORDER_MARK)) => Some(*end),
            _ => None,
        })
    }

    /// Whether the file is the one that a checkpoint was taken of.
    pub(super) fn check(&mut self, place: &CsvPosition) -> Result<(), InputError> {
        if self.text.source.is_plain() && place.byte > place.size {
            return Err(InputError::Impossible { path: self.path.clone(), byte: place.byte });
        }
        let difference = if place.size != self.size {
            format!("it had {} bytes and has {} now", place.size, self.size)
        } else if place.head != self.head()? {
            "its first bytes differ".to_owned()
        } else if place.tail != self.tail(place.byte)? {
            format!("the bytes before offset {} differ", place.byte)
        } else {
            return InputError::check_counts(&self.path, place.byte, place.line, place.record);
        };
        Err(InputError::Changed { path: self.path.clone(), difference })
    }

    /// Whether the file is still as long as when it was opened.
    pub(super) fn check_size(&self) -> Result<(), InputError> {
        let now = self.file.metadata().map_err(|source| self.unreadable(source))?.len();
        if now == self.size {
            return Ok(());
        }
        Err(InputError::Unsteady { path: self.path.clone(), before: self.size, now })
    }

    /// The text of a record without what is no record around it, and how many lines stand before it.
    pub(super) fn raw(&mut self, start: u64, end: u64) -> (u64, String) {
        // An error here would hide the one that is being told.
        let bytes = self.bytes(start, (end.saturating_sub(start)).min(RAW_BYTES)).unwrap_or_default();
        let blank = self.dialect.blank(&bytes);
        let lines = bytes[..blank].iter().filter(|byte| **byte == b'\n').count() as u64;
        let text = String::from_utf8_lossy(&bytes[blank..]);
        let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
        (lines, text.to_owned())
    }

    /// The length of the byte order mark that stands at an offset: none but at the start.
    fn mark_at(&mut self, offset: u64) -> Result<u64, InputError> {
        let length = BYTE_ORDER_MARK.len() as u64;
        let marked = offset == 0 && self.bytes(0, length)? == BYTE_ORDER_MARK;
        Ok(if marked { length } else { 0 })
    }

    /// Within what the text ends, whose last record begins at `start`.
    pub(super) fn ends_within(&mut self, start: u64, end: u64) -> Result<Within, InputError> {
        let mark = self.mark_at(start)?;
        let record = self.bytes(start + mark, end.saturating_sub(start + mark))?;
        let found = self.dialect.length_of_record(&record[..]).map_err(|source| self.unreadable(source))?;
        Ok(found.ends_within)
    }

    /// Where the record that begins at `start` ends, found by the parser's rules without keeping the record.
    pub(super) fn record_end(&mut self, start: &csv::Position) -> Result<csv::Position, InputError> {
        let begin = start.byte() + self.mark_at(start.byte())?;
        let found = self.text.go_to(begin).and_then(|text| self.dialect.length_of_record(text));
        let RecordLength { bytes, lines, .. } = found.map_err(|source| self.unreadable(source))?;
        let mut end = csv::Position::new();
        end.set_byte(begin + bytes).set_line(start.line() + lines).set_record(start.record() + 1);
        Ok(end)
    }
}

/// The text of a file, read at any place.
///
/// Compressed text can only be read forwards: the last bytes are kept, so that places that rise with the parser's are
/// found without beginning anew.
struct Text {
    file: File,
    source: Source,
    /// The last bytes that were read of compressed text.
    window: Vec<u8>,
    /// Where in the text the window begins; none when it is not known.
    start: Option<u64>,
}

impl Text {
    fn open(path: &Path) -> Result<Self, InputError> {
        let file = open_file(path)?;
        let source = Source::open(path, &file)?;
        Ok(Self { file, source, window: Vec::new(), start: Some(0) })
    }

    /// The text from an offset on.
    fn go_to(&mut self, offset: u64) -> io::Result<&mut Source> {
        self.start = None;
        self.window.clear();
        if self.source.restart(&self.file, offset)? {
            Ok(&mut self.source)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Reads what stands at an offset; less than asked for at the end of the text.
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        if self.source.is_plain() {
            return fill(self.go_to(offset)?, bytes);
        }
        if self.start.is_none_or(|start| offset < start) {
            self.go_to(0)?;
            self.start = Some(0);
        }
        let mut start = self.start.take().unwrap_or_default();
        loop {
            let end = start + self.window.len() as u64;
            // No farther than asked for: what comes behind may be damaged.
            let missing = (offset + bytes.len() as u64).saturating_sub(end).min(WINDOW_BYTES as u64);
            let missing = usize::try_from(missing).unwrap_or(WINDOW_BYTES);
            let surplus = self.window.len().saturating_sub(WINDOW_BYTES);
            if missing > 0 && surplus > WINDOW_BYTES {
                self.window.drain(..surplus);
                start += surplus as u64;
            }
            let length = self.window.len();
            self.window.resize(length + missing, 0);
            let read = fill(&mut self.source, &mut self.window[length..])?;
            self.window.truncate(length + read);
            if read == 0 {
                break;
            }
        }
        self.start = Some(start);
        let skip = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let found = self.window.get(skip..).unwrap_or_default();
        let length = found.len().min(bytes.len());
        bytes[..length].copy_from_slice(&found[..length]);
        Ok(length)
    }
}

/// Reads as much as there is.
fn fill(source: &mut Source, bytes: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match source.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
