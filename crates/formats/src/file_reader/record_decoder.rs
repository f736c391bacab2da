//! The reading of a format: a `Framer` finds its records, a `RecordDecoder` makes items of them.

use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{FilePosition, TextInput};
use oxbatch_core::item::{BoxError, ItemError, Position};

/// Makes items of the records of a file; the counterpart of a [`RecordEncoder`](crate::RecordEncoder).
///
/// # Contract
/// - For each file: `check`, `begin`, then `decode` for each record that the [framer](Self::framer) finds, in their
///   order.
/// - After a restart `begin` comes first as well, then the records behind the checkpoint. Nothing is remembered of the
///   records: the same items come out wherever attempts end.
pub trait RecordDecoder: Send {
    /// The type of the items.
    type Item: Send;
    /// The type of what finds the records: [`LineFramer`](crate::LineFramer) where each line is one.
    type Framer: Framer;

    /// The framer, which the decoder keeps.
    fn framer(&mut self) -> &mut Self::Framer;

    /// Checks the settings. Called before the file is touched.
    ///
    /// # Errors
    /// When one is missing or contradicts another.
    fn check(&mut self) -> Result<(), ItemError> {
        Ok(())
    }

    /// Reads what stands before the records, such as a header. Called at the start of the file, before a restart goes
    /// on from its checkpoint too.
    ///
    /// # Errors
    /// When the file cannot be read by it.
    fn begin(&mut self, input: &mut TextInput) -> Result<(), ItemError> {
        let _ = input;
        Ok(())
    }

    /// Makes an item of a record; `None` when the record is none, as a blank line.
    ///
    /// # Errors
    /// When the record is not of this format. The reader adds the file, the line and the text of the record.
    fn decode(&mut self, record: &str) -> Result<Option<Self::Item>, DecodeError>;

    /// The same decoder once more, as it is now, for another thread: with its settings, its framer, and what
    /// [`begin`](Self::begin) has read. With it a step can decode on several threads, each its own records, which are
    /// not all and come in their order. `None` where there can be no other, or none yet.
    fn fork(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// The name of the part of a record in which a byte is that is no text, for the message: `column 17`. `text` is
    /// what stands before it in the record.
    fn part_at(&mut self, text: &str) -> String {
        let (lines, last) = (text.matches('\n').count(), text.rsplit('\n').next().unwrap_or_default());
        let column = last.chars().count() + 1;
        match lines {
            0 => format!("column {column}"),
            lines => format!("column {column} of its line {}", lines + 1),
        }
    }
}

/// Finds the records in the text of a file.
///
/// # Contract
/// - [`next`](Self::next) searches the unread part of the window for the end of the next record, fills the window as
///   long as the end is not there, advances behind it and returns the range of the record.
/// - After an error of [`TextInput::fill`] or [`TextInput::skip`] the framer is as it was at the position of the input:
///   the next call goes on there.
/// - Records are found in the same way wherever the window ends.
pub trait Framer: Send {
    /// The type of what is stored with each commit: the position in the file, and what the framer must know there. It
    /// is [`FilePosition`] for a framer that needs no more.
    type Position: Serialize + DeserializeOwned;

    /// Checks the settings and forgets all of an earlier file. Called before the file is touched.
    ///
    /// # Errors
    /// When a setting is missing or contradicts another.
    fn check(&mut self) -> Result<(), ItemError> {
        Ok(())
    }

    /// The range of the next record in the window, without what separates it from the one behind it; `None` at the end.
    ///
    /// # Errors
    /// [`TextInput::record_error`] when the next record is broken, which must have been advanced over;
    /// [`TextInput::broken`] when none can be found any more.
    fn next(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError>;

    /// As [`next`](Self::next), where no more is asked than the range: one thread finds the records for several that
    /// decode them.
    ///
    /// # Errors
    /// As `next`.
    fn pass(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        self.next(input)
    }

    /// The position of the framer, of which `file` is the part in the file.
    fn position(&self, file: FilePosition) -> Self::Position;

    /// Goes to a position, and returns the part of it in the file.
    ///
    /// # Errors
    /// When the position does not fit the settings.
    fn resume(&mut self, position: Self::Position) -> Result<FilePosition, ItemError>;

    /// Records up to the position, where they are counted: a checkpoint must not claim more than there can be.
    fn records(&self) -> u64 {
        0
    }

    /// The position of a record by its line and its number, as messages and the
    /// [origin](oxbatch_core::item::ItemReader::origin) of its item show it.
    fn shown_position(line: u64, number: u64) -> Position {
        let _ = number;
        Position::Line(line)
    }
}

/// The reason for which a record is no item. Any error becomes one by `?`.
#[derive(Debug)]
pub struct DecodeError {
    pub(super) part: Option<String>,
    pub(super) cause: BoxError,
}

impl DecodeError {
    /// An error of the whole record, from a message or an error.
    pub fn new(cause: impl Into<BoxError>) -> Self {
        Self { part: None, cause: cause.into() }
    }

    /// Names the part of the record that is in error: `column 'speed'`.
    #[must_use]
    pub fn at(mut self, part: impl Into<String>) -> Self {
        self.part = Some(part.into());
        self
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for DecodeError {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}
