//! `TextInput`: the text of an input file, a window of it at a time, and positions that a restart finds again.

mod block;
mod position;

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memchr_iter;

use super::input_error::{InputError, RecordError};
use super::input_source::{Source, open_file};
use super::output_file::{TAIL_BYTES, fingerprint};
use block::Taken;
use oxbatch_core::item::{BoxError, ItemError, Position};
pub use position::FilePosition;

/// Bytes that are read from a source at once.
const BUFFER_BYTES: usize = 128 * 1024;
/// First bytes of a file that are compared on resume.
const HEAD_BYTES: usize = 4 * 1024;
/// Raw text that is kept for an error: somewhat more than an `ItemError` keeps.
const RAW_BYTES: usize = 8 * 1024;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The settings that all formats share.
#[derive(Debug, Clone)]
pub(super) struct InputSettings {
    pub(super) max_record_bytes: u32,
    /// Lines before the text that the format knows of.
    pub(super) skip_lines: u64,
    /// The label of the encoding; UTF-8 without one.
    pub(super) encoding: Option<String>,
}

/// The text of an open file: behind decompression and decoding, so it is UTF-8, with a window of it in memory.
///
/// A [`Framer`](super::Framer) searches the [unread part](Self::unread) of the window for the end of the next record,
/// [fills](Self::fill) the window as long as it is not there, and [advances](Self::advance) behind it.
///
/// The window keeps the last bytes that were read, by which a restart recognizes its position.
pub struct TextInput {
    path: PathBuf,
    file: Arc<File>,
    source: Source,
    size: u64,
    head: u64,
    max_record_bytes: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold text.
    filled: usize,
    /// The first byte of the buffer that was not read yet.
    next: usize,
    /// The offset of the buffer in the text.
    offset: u64,
    /// The line of the next byte.
    line: u64,
    /// The position to return to before anything is read again, after an error of the system.
    pending: Option<FilePosition>,
    /// The block that is being taken.
    block: Option<Box<Taken>>,
}

impl TextInput {
    /// Opens a file behind the lines that are skipped. With the position of an earlier attempt, the file must be the
    /// same.
    pub(super) fn open(
        path: &Path,
        settings: &InputSettings,
        position: Option<&FilePosition>,
    ) -> Result<Self, ItemError> {
        let file = open_file(path)?;
        let size = file.metadata().map_err(|source| InputError::Open { path: path.to_owned(), source })?.len();
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let unreadable = |source| InputError::Read { path: path.to_owned(), source };
        (&file).take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
        let source = Source::open(path, &file, settings.encoding.as_deref())?;
        let mut input = Self {
            path: path.to_owned(),
            file: Arc::new(file),
            source,
            size,
            head: fingerprint(&head),
            max_record_bytes: usize::try_from(settings.max_record_bytes).unwrap_or(usize::MAX),
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
            next: 0,
            offset: 0,
            line: 1,
            pending: None,
            block: None,
        };
        if let Some(position) = position {
            position.check(&input)?;
        }
        input.skip_mark()?;
        input.skip_lines(settings.skip_lines)?;
        Ok(input)
    }

    fn skip_mark(&mut self) -> Result<(), ItemError> {
        while self.unread().len() < BYTE_ORDER_MARK.len() && self.fill()? {}
        if self.unread().starts_with(BYTE_ORDER_MARK) {
            self.next += BYTE_ORDER_MARK.len();
        }
        Ok(())
    }

    /// Passes over whole lines. A file without any text has none to pass over.
    fn skip_lines(&mut self, lines: u64) -> Result<(), ItemError> {
        for found in 0..lines {
            if self.unread().is_empty() && !self.fill()? {
                return match found {
                    0 => Ok(()),
                    _ => Err(InputError::FewLines { path: self.path.clone(), lines, found }.into_item_error()),
                };
            }
            self.skip_line()?;
        }
        Ok(())
    }

    /// Passes over a line, whatever its length; `false` when it has no end.
    pub(super) fn skip_line(&mut self) -> Result<bool, ItemError> {
        self.skip(|bytes| match memchr::memchr(b'\n', bytes) {
            Some(end) => (end + 1, true),
            None => (bytes.len(), false),
        })
    }

    /// Goes to a position of this very file.
    pub(super) fn resume(&mut self, position: &FilePosition) -> Result<(), InputError> {
        let start = position.byte.saturating_sub(TAIL_BYTES as u64);
        let found = self.source.restart(&self.file, start).map_err(|error| self.system_error(error))?;
        let length = usize::try_from(position.byte - start).unwrap_or(usize::MAX);
        (self.offset, self.filled, self.next) = (start, 0, 0);
        while found && self.filled < length {
            match self.source.read(&mut self.buffer[self.filled..length]) {
                Ok(0) => break,
                Ok(more) => self.filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.system_error(error)),
            }
        }
        if self.filled < length || fingerprint(&self.buffer[..length]) != position.tail {
            let difference = format!("the bytes before offset {} differ", position.byte);
            return Err(InputError::Changed { path: self.path.clone(), difference });
        }
        self.next = length;
        self.line = position.line;
        Ok(())
    }

    /// The position of the next byte.
    pub fn position(&self) -> FilePosition {
        if let Some(position) = &self.pending {
            return position.clone();
        }
        FilePosition {
            byte: self.offset + self.next as u64,
            line: self.line,
            size: self.size,
            head: self.head,
            tail: fingerprint(&self.buffer[self.next.saturating_sub(TAIL_BYTES)..self.next]),
            missing: false,
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line of the next byte; the first is 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The line on which a record begins that has just been advanced over.
    pub fn line_of(&self, record: &Range<usize>) -> u64 {
        self.line - memchr_iter(b'\n', &self.buffer[record.start..self.next]).count() as u64
    }

    /// The length of the longest record that is allowed. A framer reports a longer one by
    /// [`too_long_error`](Self::too_long_error).
    pub fn max_record_bytes(&self) -> usize {
        self.max_record_bytes
    }

    /// The part of the window that has not been read yet.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.next..self.filled]
    }

    /// A part of the window, as [`advance`](Self::advance) returned it.
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.buffer[range.clone()]
    }

    /// Takes the next bytes as read. Returns their range in the window, which holds until the window is filled again.
    pub fn advance(&mut self, length: usize) -> Range<usize> {
        let range = self.next..self.next + length;
        self.line += memchr_iter(b'\n', &self.buffer[range.clone()]).count() as u64;
        self.next = range.end;
        range
    }

    /// As [`advance`](Self::advance) of a line with its end, of which only the last byte can be an `\n`. Returns the
    /// range of its first bytes.
    #[inline(always)]
    pub(super) fn advance_line(&mut self, text: usize, length: usize) -> Range<usize> {
        let start = self.next;
        self.next += length;
        self.line += u64::from(self.buffer[self.next - 1] == b'\n');
        start..start + text
    }

    /// Adds to the window; `false` at the end of the text. After an error the position is the one before it.
    ///
    /// # Errors
    /// When the system cannot read the file, which is [transient](oxbatch_core::item::ErrorKind::Transient), or when it
    /// is compressed and damaged.
    pub fn fill(&mut self) -> Result<bool, ItemError> {
        let position = self.position();
        self.try_fill().map_err(|error| self.hold(position, error))
    }

    /// Everything before `position` counts as read and nothing behind it: what comes next begins there.
    #[cold]
    fn hold(&mut self, position: FilePosition, error: InputError) -> ItemError {
        self.save_block();
        (self.filled, self.next) = (0, 0);
        self.pending = Some(position);
        error.into_item_error()
    }

    /// Returns to the position at which an error of the system happened. Called before each record.
    #[inline(always)]
    pub(super) fn recover(&mut self) -> Result<(), ItemError> {
        if self.pending.is_some() { self.recover_position() } else { Ok(()) }
    }

    #[cold]
    fn recover_position(&mut self) -> Result<(), ItemError> {
        match self.pending.take() {
            Some(position) => self.resume(&position).map_err(|error| self.hold(position, error)),
            None => Ok(()),
        }
    }

    fn try_fill(&mut self) -> Result<bool, InputError> {
        if self.source.has_ended() {
            // All of a block is in the window, and stays where it is.
            return Ok(false);
        }
        let keep = self.first_needed().saturating_sub(TAIL_BYTES);
        self.buffer.copy_within(keep..self.filled, 0);
        self.filled -= keep;
        self.next -= keep;
        self.offset += keep as u64;
        self.move_block(keep);
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

    /// Checks that the file is as long as when it was opened: a file that was cut off or is still being written is no
    /// input. A framer calls it at the end of the text.
    ///
    /// # Errors
    /// When it is not.
    #[cold]
    pub fn check_end(&self) -> Result<(), ItemError> {
        let path = || self.path.clone();
        let found =
            self.file.metadata().map_err(|source| InputError::Read { path: path(), source }.into_item_error())?;
        if found.len() == self.size {
            return Ok(());
        }
        Err(InputError::Unsteady { path: path(), before: self.size, now: found.len() }.into_item_error())
    }

    /// The error of the next record, which is longer than allowed. The framer then [skips](Self::skip) it.
    #[cold]
    pub fn too_long_error(&self, position: Position) -> ItemError {
        self.too_long_error_with(&position, "")
    }

    /// As [`too_long_error`](Self::too_long_error), with a hint at what may be wrong. It shows no more of the record
    /// than is allowed: how much more the window happens to hold must not matter.
    #[cold]
    pub(super) fn too_long_error_with(&self, position: &Position, hint: &'static str) -> ItemError {
        let limit = self.max_record_bytes;
        let end = self.filled.min(self.next.saturating_add(limit));
        self.record_error(&(self.next..end), &position.to_string(), RecordError::TooLong { limit, hint }).raw_is_part()
    }

    /// Takes bytes as read as long as `scan` asks for more; it returns how many of the next bytes belong to what is
    /// skipped, and whether it ends with them. `false` when the text ends before that. After an error of the system the
    /// position is the one before all of it.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    #[cold]
    pub fn skip(&mut self, mut scan: impl FnMut(&[u8]) -> (usize, bool)) -> Result<bool, ItemError> {
        let position = self.position();
        loop {
            let (length, at_end) = scan(self.unread());
            self.advance(length);
            if at_end {
                return Ok(true);
            }
            match self.try_fill() {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return Err(self.hold(position, error)),
            }
        }
    }

    /// The error of a record, of kind [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse), with its file, its
    /// position within it and the beginning of its text.
    #[cold]
    pub fn record_error(&self, record: &Range<usize>, position: &str, cause: impl Into<BoxError>) -> ItemError {
        let bytes = &self.buffer[record.clone()];
        let raw = String::from_utf8_lossy(&bytes[..bytes.len().min(RAW_BYTES)]);
        ItemError::parse(cause).in_file(&self.path).at(position).on_line(self.line_of(record)).with_raw(raw)
    }

    /// The reason for which a record is no text.
    #[cold]
    pub(super) fn not_text(&self) -> RecordError {
        match self.source.encoding() {
            Some(encoding) => RecordError::NotEncoded { encoding },
            None => RecordError::NotUtf8,
        }
    }

    /// True if the text is decoded from another encoding than UTF-8.
    #[cfg(feature = "xml")]
    pub(super) fn is_decoded(&self) -> bool {
        self.source.encoding().is_some()
    }

    /// The error of the text around the records, after which there is no next one: it is
    /// [fatal](oxbatch_core::item::ItemError::fatal).
    #[cold]
    pub fn broken(&self, cause: impl Into<BoxError>) -> ItemError {
        ItemError::other(cause).fatal().in_file(&self.path).at(format!("line {}", self.line))
    }

    /// Share of the file that has been read.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub(super) fn progress(&self) -> Option<f64> {
        let read = self.source.read_of_file(&self.file).unwrap_or(self.offset + self.next as u64);
        (self.size > 0).then(|| (read as f64 / self.size as f64).min(1.0))
    }
}

impl std::fmt::Debug for TextInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextInput").field("path", &self.path).field("line", &self.line).finish_non_exhaustive()
    }
}
