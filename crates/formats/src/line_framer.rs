//! `LineFramer`: each line of a text is a record.

use std::ops::Range;

use memchr::memchr;

use super::{FilePosition, Framer, TextInput};
use oxbatch_core::item::{ItemError, Position};

/// Takes each line for a record.
///
/// Lines end with `\n` or `\r\n`, which is no part of the record; the last one may go without. Empty lines are passed
/// over.
#[derive(Debug, Clone, Default)]
pub struct LineFramer {
    comment: Option<String>,
}

impl LineFramer {
    /// Lines without comments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Passes over lines that begin with this text. None are when it is not set.
    #[must_use]
    pub fn comment(mut self, mark: impl Into<String>) -> Self {
        self.comment = Some(mark.into());
        self
    }

    #[cfg(any(feature = "fixed-width", feature = "json"))]
    pub(super) fn set_comment(&mut self, mark: impl Into<String>) {
        self.comment = Some(mark.into());
    }

    /// The mark of comments, which is not empty.
    fn comment_mark(&self) -> Option<&[u8]> {
        self.comment.as_deref().map(str::as_bytes)
    }

    /// Passes over a comment; `false` when there is none.
    fn skip_comment(&self, input: &mut TextInput) -> Result<bool, ItemError> {
        let Some(mark) = self.comment_mark() else { return Ok(false) };
        while input.unread().len() < mark.len() && input.fill()? {}
        if !input.unread().starts_with(mark) {
            return Ok(false);
        }
        input.skip_line()?;
        Ok(true)
    }

    /// Skips a line that is longer than allowed, keeping no more of it than its beginning.
    #[cold]
    fn skip_long(&self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        let error = input.too_long_error(Position::Line(input.line()));
        input.skip_line()?;
        Err(error)
    }
}

impl Framer for LineFramer {
    type Position = FilePosition;

    fn check(&mut self) -> Result<(), ItemError> {
        match self.comment_mark() {
            Some(mark) if mark.is_empty() || memchr(b'\n', mark).is_some() => {
                Err(ItemError::other("the mark of comments in input is empty or holds the end of a line"))
            }
            _ => Ok(()),
        }
    }

    #[inline]
    fn next(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        loop {
            if self.comment.is_some() && self.skip_comment(input)? {
                continue;
            }
            let limit = input.max_record_bytes();
            let mut seen = 0;
            let (text, length) = loop {
                let unread = input.unread();
                if let Some(found) = memchr(b'\n', &unread[seen..]) {
                    let end = seen + found;
                    break (end - usize::from(unread[..end].ends_with(b"\r")), end + 1);
                }
                seen = unread.len();
                // One more for an `\r`.
                if seen > limit.saturating_add(1) {
                    return self.skip_long(input);
                }
                if !input.fill()? {
                    let unread = input.unread();
                    if unread.is_empty() {
                        input.check_end()?;
                        return Ok(None);
                    }
                    break (seen - usize::from(unread.ends_with(b"\r")), seen);
                }
            };
            if text > limit {
                return self.skip_long(input);
            }
            let record = input.advance_line(text, length);
            if text > 0 {
                return Ok(Some(record));
            }
        }
    }

    fn position(&self, file: FilePosition) -> FilePosition {
        file
    }

    fn resume(&mut self, position: FilePosition) -> Result<FilePosition, ItemError> {
        Ok(position)
    }
}
