//! The file behind a `CsvReader`: bounded for the parser, and seen once more for checkpoints and faults.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Place;
use super::fault::ReadFault;
use crate::item::output_file::{TAIL_BYTES, fingerprint};

/// First bytes of a file that are compared on resume.
const HEAD_BYTES: u64 = 4 * 1024;
/// Raw text that is read for a fault: somewhat more than an `ItemError` keeps, for the blank lines before it.
const RAW_BYTES: u64 = 16 * 1024;

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
    offset: u64,
    /// Set before each record.
    pub(super) limit: u64,
}

impl Bounded {
    pub(super) fn open(path: &Path, limit: u64) -> Result<Self, ReadFault> {
        let file = File::open(path).map_err(|source| ReadFault::Open { path: path.to_owned(), source })?;
        Ok(Self { file, offset: 0, limit })
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.offset > self.limit {
            return Err(io::Error::other(TooLong));
        }
        let length = self.file.read(buffer)?;
        self.offset += length as u64;
        Ok(length)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.offset = self.file.seek(position)?;
        Ok(self.offset)
    }
}

/// The file by a handle of its own, for what the parser's buffer does not hold any more.
pub(super) struct Original {
    path: PathBuf,
    file: File,
    delimiter: u8,
    size: u64,
    head: Option<u64>,
}

impl Original {
    pub(super) fn open(path: &Path, delimiter: u8) -> Result<Self, ReadFault> {
        let fault = |source| ReadFault::Open { path: path.to_owned(), source };
        // Asked before it is opened: to open a named pipe waits for its other end.
        let found = std::fs::metadata(path).map_err(fault)?;
        if !found.is_file() {
            return Err(ReadFault::NotAFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(fault)?;
        let size = file.metadata().map_err(fault)?.len();
        Ok(Self { path: path.to_owned(), file, delimiter, size, head: None })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn unreadable(&self, source: io::Error) -> ReadFault {
        ReadFault::Read { path: self.path.clone(), source }
    }

    fn bytes(&mut self, start: u64, length: u64) -> Result<Vec<u8>, ReadFault> {
        let mut bytes = Vec::new();
        let read =
            self.file.seek(SeekFrom::Start(start)).and_then(|_| (&self.file).take(length).read_to_end(&mut bytes));
        read.map_err(|source| self.unreadable(source))?;
        Ok(bytes)
    }

    /// Fingerprint of the first bytes, read once.
    pub(super) fn head(&mut self) -> Result<u64, ReadFault> {
        if let Some(head) = self.head {
            return Ok(head);
        }
        let head = fingerprint(&self.bytes(0, HEAD_BYTES)?);
        self.head = Some(head);
        Ok(head)
    }

    /// Fingerprint of the bytes before an offset.
    pub(super) fn tail(&mut self, end: u64) -> Result<u64, ReadFault> {
        let start = end.saturating_sub(TAIL_BYTES as u64);
        let mut bytes = [0; TAIL_BYTES];
        let mut length = 0;
        let read = self.file.seek(SeekFrom::Start(start)).and_then(|_| {
            let mut source = (&self.file).take(end - start);
            loop {
                match source.read(&mut bytes[length..])? {
                    0 => return Ok(()),
                    more => length += more,
                }
            }
        });
        read.map_err(|source| self.unreadable(source))?;
        Ok(fingerprint(&bytes[..length]))
    }

    /// The end of a line that stands before an offset, when a byte order mark stands behind it.
    pub(super) fn line_end_before_a_mark(&mut self, offset: u64) -> Result<Option<u8>, ReadFault> {
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
    pub(super) fn check(&mut self, place: &Place) -> Result<(), ReadFault> {
        let difference = if place.size != self.size {
            format!("it had {} bytes and has {} now", place.size, self.size)
        } else if place.head != self.head()? {
            "its first bytes differ".to_owned()
        } else if place.byte > self.size || place.tail != self.tail(place.byte)? {
            format!("the bytes before offset {} differ", place.byte)
        } else {
            return Ok(());
        };
        Err(ReadFault::Changed { path: self.path.clone(), difference })
    }

    /// Whether the file is still as long as when it was opened.
    pub(super) fn check_size(&self) -> Result<(), ReadFault> {
        let now = self.file.metadata().map_err(|source| self.unreadable(source))?.len();
        if now == self.size {
            return Ok(());
        }
        Err(ReadFault::Unsteady { path: self.path.clone(), before: self.size, now })
    }

    /// The text of a record without the ends of lines around it, and how many lines stand before it.
    pub(super) fn raw(&mut self, start: u64, end: u64) -> (u64, String) {
        // A fault here would hide the one that is being told.
        let bytes = self.bytes(start, (end.saturating_sub(start)).min(RAW_BYTES)).unwrap_or_default();
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let blank = bytes.iter().take_while(|byte| is_end(byte)).count();
        let lines = bytes[..blank].iter().filter(|byte| **byte == b'\n').count() as u64;
        let text = String::from_utf8_lossy(&bytes[blank..]);
        let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
        (lines, text.to_owned())
    }

    /// Where the record that begins at `start` ends, found by the parser's rules without keeping the record.
    pub(super) fn record_end(&mut self, start: &csv::Position) -> Result<csv::Position, ReadFault> {
        let found = self.file.seek(SeekFrom::Start(start.byte()));
        let (bytes, lines) = found
            .and_then(|_| length_of_record(&self.file, self.delimiter))
            .map_err(|source| self.unreadable(source))?;
        let mut end = csv::Position::new();
        end.set_byte(start.byte() + bytes).set_line(start.line() + lines).set_record(start.record() + 1);
        Ok(end)
    }
}

/// Bytes and line ends of the first record of a text, blank lines before it included.
fn length_of_record(text: impl Read, delimiter: u8) -> io::Result<(u64, u64)> {
    enum State {
        RecordStart,
        FieldStart,
        Field,
        Quoted,
        /// Behind a quote within quotes: the field's end or one half of a doubled quote.
        Quote,
    }
    let mut text = BufReader::with_capacity(super::BUFFER_BYTES, text);
    let (mut length, mut lines) = (0, 0);
    let mut state = State::RecordStart;
    loop {
        let buffer = text.fill_buf()?;
        if buffer.is_empty() {
            return Ok((length, lines));
        }
        for byte in buffer {
            length += 1;
            lines += u64::from(*byte == b'\n');
            let is_end = matches!(byte, b'\n' | b'\r');
            state = match state {
                State::RecordStart if is_end => State::RecordStart,
                State::RecordStart | State::FieldStart if *byte == b'"' => State::Quoted,
                State::Quoted if *byte == b'"' => State::Quote,
                State::Quote if *byte == b'"' => State::Quoted,
                State::Quoted => State::Quoted,
                _ if is_end => return Ok((length, lines)),
                _ if *byte == delimiter => State::FieldStart,
                _ => State::Field,
            };
        }
        let used = buffer.len();
        text.consume(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_where_its_quotes_allow_it() {
        for (text, length) in [
            ("a,b\nc", 4),
            ("\n\r\na,b\rc", 7),
            ("\"a\nb\",c\nd", 8),
            ("\"a\"\"\nb\",c\nd", 10),
            ("a\"b\nc", 4),
            ("\"a\"b\nc", 5),
            ("a,\"\n\nb", 6),
            ("", 0),
        ] {
            assert_eq!(length_of_record(text.as_bytes(), b',').unwrap().0, length, "{text:?}");
        }
    }
}
