//! The file behind the readers of text: bounded in memory, known again after a restart.

#[cfg(any(feature = "json", feature = "fixed-width"))]
mod line;

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

#[cfg(feature = "fixed-width")]
pub(super) use super::input_error::shown;
pub(super) use super::input_error::{InputError, RecordError};
use super::input_source::{Source, open_file};
use super::output_file::{TAIL_BYTES, fingerprint};
#[cfg(any(feature = "json", feature = "fixed-width"))]
pub(super) use line::Line;
use oxbatch_core::item::ItemError;

/// Bytes that are read from a source at once.
const BUFFER_BYTES: usize = 128 * 1024;
/// First bytes of a file that are compared on resume.
const HEAD_BYTES: usize = 4 * 1024;
/// Raw text that is kept for an error: somewhat more than an `ItemError` keeps.
const RAW_BYTES: usize = 8 * 1024;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What is stored with each commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InputPosition {
    /// Where the next record begins, in the text: behind decompression.
    byte: u64,
    line: u64,
    /// Size of the whole file as it lies on the disk.
    size: u64,
    /// Fingerprint of its first bytes.
    head: u64,
    /// Fingerprint of the text before the next record.
    tail: u64,
}

/// An open file: a window of its text, of which a part has been read.
///
/// The window keeps the last bytes that were read, which a checkpoint is known again by.
pub(super) struct InputFile {
    path: PathBuf,
    file: File,
    source: Source,
    size: u64,
    head: u64,
    max_record_bytes: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold text.
    filled: usize,
    /// The first byte of the buffer that was not read yet.
    next: usize,
    /// Where in the text the buffer begins.
    offset: u64,
    /// The line of the next byte.
    line: u64,
    /// Where to go before anything is read again, after an error of the system.
    pending: Option<InputPosition>,
}

impl InputFile {
    /// Opens a file at its start, or at the place of an earlier attempt.
    pub(super) fn open(path: &Path, max_record_bytes: u32, place: Option<&InputPosition>) -> Result<Self, ItemError> {
        let file = open_file(path)?;
        let size = file.metadata().map_err(|source| InputError::Open { path: path.to_owned(), source })?.len();
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let unreadable = |source| InputError::Read { path: path.to_owned(), source };
        (&file).take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
        let source = Source::open(path, &file)?;
        let mut input = Self {
            path: path.to_owned(),
            file,
            source,
            size,
            head: fingerprint(&head),
            max_record_bytes: usize::try_from(max_record_bytes).unwrap_or(usize::MAX),
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
            next: 0,
            offset: 0,
            line: 1,
            pending: None,
        };
        match place {
            Some(place) => input.resume(place)?,
            None => input.skip_mark()?,
        }
        Ok(input)
    }

    fn skip_mark(&mut self) -> Result<(), ItemError> {
        while self.unread().len() < BYTE_ORDER_MARK.len() && self.fill()? {}
        if self.unread().starts_with(BYTE_ORDER_MARK) {
            self.next += BYTE_ORDER_MARK.len();
        }
        Ok(())
    }

    fn resume(&mut self, place: &InputPosition) -> Result<(), InputError> {
        let changed = |difference| Err(InputError::Changed { path: self.path.clone(), difference });
        if place.size != self.size {
            return changed(format!("it had {} bytes and has {} now", place.size, self.size));
        }
        if place.head != self.head {
            return changed("its first bytes differ".to_owned());
        }
        if self.source.is_plain() && place.byte > self.size {
            return Err(InputError::Impossible { path: self.path.clone(), byte: place.byte });
        }
        self.check_counts(place, 0)?;
        self.go_to(place)
    }

    /// Checks that so many records can stand before a place.
    pub(super) fn check_counts(&self, place: &InputPosition, records: u64) -> Result<(), InputError> {
        InputError::check_counts(&self.path, place.byte, place.line, records)
    }

    /// Goes to a place of this very file.
    fn go_to(&mut self, place: &InputPosition) -> Result<(), InputError> {
        let start = place.byte.saturating_sub(TAIL_BYTES as u64);
        let found = self.source.restart(&self.file, start).map_err(|error| self.system_error(error))?;
        let length = usize::try_from(place.byte - start).unwrap_or(usize::MAX);
        (self.offset, self.filled, self.next) = (start, 0, 0);
        while found && self.filled < length {
            match self.source.read(&mut self.buffer[self.filled..length]) {
                Ok(0) => break,
                Ok(more) => self.filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.system_error(error)),
            }
        }
        if self.filled < length || fingerprint(&self.buffer[..length]) != place.tail {
            let difference = format!("the bytes before offset {} differ", place.byte);
            return Err(InputError::Changed { path: self.path.clone(), difference });
        }
        self.next = length;
        self.line = place.line;
        Ok(())
    }

    /// The place of the next byte.
    pub(super) fn place(&self) -> InputPosition {
        if let Some(place) = &self.pending {
            return place.clone();
        }
        InputPosition {
            byte: self.offset + self.next as u64,
            line: self.line,
            size: self.size,
            head: self.head,
            tail: fingerprint(&self.buffer[self.next.saturating_sub(TAIL_BYTES)..self.next]),
        }
    }

    /// The line of the next byte, the first is 1.
    #[cfg(any(feature = "json", feature = "xml"))]
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Longest record allowed.
    #[cfg(any(feature = "json", feature = "xml"))]
    pub(super) fn max_record_bytes(&self) -> usize {
        self.max_record_bytes
    }

    /// The part of the window that was not read yet.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.next..self.filled]
    }

    /// A part of the window, as a method told it.
    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.buffer[range.clone()]
    }

    /// Takes the next bytes as read and tells where in the window they are, until it is filled again.
    pub(super) fn advance(&mut self, length: usize) -> Range<usize> {
        let range = self.next..self.next + length;
        self.line += memchr_iter(b'\n', &self.buffer[range.clone()]).count() as u64;
        self.next = range.end;
        range
    }

    /// Adds to the window; `false` at the end of the text. After an error the place is the one before it.
    pub(super) fn fill(&mut self) -> Result<bool, ItemError> {
        let place = self.place();
        self.try_fill().map_err(|fault| self.hold(place, fault))
    }

    /// Everything before `place` counts as read and nothing behind it: what comes next begins there.
    #[cold]
    fn hold(&mut self, place: InputPosition, fault: InputError) -> ItemError {
        (self.filled, self.next) = (0, 0);
        self.pending = Some(place);
        fault.into_item_error()
    }

    /// Goes back to where an error of the system happened. Called before each record.
    #[inline]
    pub(super) fn recover(&mut self) -> Result<(), ItemError> {
        match self.pending.take() {
            Some(place) => self.go_to(&place).map_err(|fault| self.hold(place, fault)),
            None => Ok(()),
        }
    }

    fn try_fill(&mut self) -> Result<bool, InputError> {
        let keep = self.next.saturating_sub(TAIL_BYTES);
        self.buffer.copy_within(keep..self.filled, 0);
        self.filled -= keep;
        self.next -= keep;
        self.offset += keep as u64;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(more) => {
                    self.filled += more;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.system_error(error)),
            }
        }
    }

    fn system_error(&self, source: io::Error) -> InputError {
        let path = self.path.clone();
        match source.raw_os_error() {
            Some(_) => InputError::Read { path, source },
            None => InputError::Corrupt { path, source },
        }
    }

    /// The end must be where it was when the file was opened: what was cut off or is still being written is no input.
    #[cold]
    pub(super) fn check_size(&self) -> Result<(), ItemError> {
        let path = || self.path.clone();
        let found =
            self.file.metadata().map_err(|source| InputError::Read { path: path(), source }.into_item_error())?;
        if found.len() == self.size {
            return Ok(());
        }
        Err(InputError::Unsteady { path: path(), before: self.size, now: found.len() }.into_item_error())
    }

    /// The error of a record that begins at `start` and is longer than allowed. It shows no more than is allowed: how
    /// much more the window happens to hold must not matter.
    #[cold]
    fn too_long_error(&self, start: usize, position: &str) -> ItemError {
        let limit = self.max_record_bytes;
        let end = self.filled.min(start.saturating_add(limit));
        self.record_error(&(start..end), position, RecordError::TooLong { limit }).raw_is_part()
    }

    /// The same of the record that comes next.
    #[cold]
    pub(super) fn long_record_error(&self, position: &str) -> ItemError {
        self.too_long_error(self.next, position)
    }

    /// Takes bytes as read as long as `scan` says so; `false` when the text ends before that. After an error of the
    /// system the place is where it was before.
    #[cold]
    pub(super) fn skip(&mut self, mut scan: impl FnMut(&[u8]) -> Skipped) -> Result<bool, ItemError> {
        let place = self.place();
        loop {
            let skipped = scan(self.unread());
            self.advance(skipped.length);
            if skipped.at_end {
                return Ok(true);
            }
            match self.try_fill() {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(fault) => return Err(self.hold(place, fault)),
            }
        }
    }

    /// The error of a record, with its place and the beginning of its text.
    #[cold]
    pub(super) fn record_error(&self, range: &Range<usize>, position: &str, fault: RecordError) -> ItemError {
        let bytes = &self.buffer[range.clone()];
        let raw = String::from_utf8_lossy(&bytes[..bytes.len().min(RAW_BYTES)]);
        ItemError::parse(fault).in_file(&self.path).at(position).with_raw(raw)
    }

    /// The error of a record that is not UTF-8, which tells where in it.
    #[cold]
    pub(super) fn not_utf8(&self, range: &Range<usize>, start: &str) -> ItemError {
        let bytes = self.bytes(range);
        let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let (lines, last) = (valid.matches('\n').count(), valid.rsplit('\n').next().unwrap_or_default());
        let column = last.chars().count() + 1;
        let position = match lines {
            0 => format!("{start}, column {column}"),
            lines => format!("{start}, column {column} of its line {}", lines + 1),
        };
        self.record_error(range, &position, RecordError::NotUtf8)
    }

    /// The error of the text around the records: there is no next one to go to.
    #[cold]
    #[cfg(any(feature = "json", feature = "xml"))]
    pub(super) fn broken(&self, fault: RecordError) -> ItemError {
        ItemError::other(fault).fatal().in_file(&self.path).at(format!("line {}", self.line))
    }

    /// Share of the file that has been read.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub(super) fn progress(&self) -> Option<f64> {
        let read = self.source.read_of_file(&self.file).unwrap_or(self.offset + self.next as u64);
        (self.size > 0).then(|| (read as f64 / self.size as f64).min(1.0))
    }
}

/// What a scan of the next bytes has come to.
pub(super) struct Skipped {
    /// Bytes that belong to what is passed over.
    pub(super) length: usize,
    /// Whether it ends with them.
    pub(super) at_end: bool,
}
