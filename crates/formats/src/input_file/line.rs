//! Lines of an input file, bounded in length.

use std::ops::Range;

use memchr::memchr;

use super::{InputFile, Skipped};
use oxbatch_core::item::{Checkpoint, ItemError};

/// A line of the text.
pub(crate) enum Line {
    /// Its bytes in the window without its end.
    Text(Range<usize>),
    /// It was longer than allowed and has been passed over.
    TooLong(ItemError),
    /// There is none.
    End,
}

impl InputFile {
    /// The place of the next byte as a checkpoint.
    pub(crate) fn checkpoint(&self) -> Result<Checkpoint, ItemError> {
        Checkpoint::new(&self.place())
    }

    /// The number of a line that was taken as read just now; the last one of a file may have no end.
    pub(crate) fn line_of(&self, line: &Range<usize>) -> u64 {
        self.line - u64::from(self.next > line.end && self.buffer[..self.next].ends_with(b"\n"))
    }

    /// The next line, which is taken as read.
    #[inline]
    pub(crate) fn next_line(&mut self) -> Result<Line, ItemError> {
        self.recover()?;
        let mut seen = 0;
        loop {
            let start = self.next;
            if let Some(found) = memchr(b'\n', &self.buffer[start + seen..self.filled]) {
                self.next = start + seen + found + 1;
                self.line += 1;
                return Ok(self.bounded_line(start..self.next - 1));
            }
            seen = self.filled - start;
            if seen > self.max_record_bytes.saturating_add(1) {
                return self.skip_line();
            }
            if !self.fill()? {
                if seen == 0 {
                    self.check_size()?;
                    return Ok(Line::End);
                }
                // The fill may have moved the window.
                let start = self.next;
                self.next = self.filled;
                return Ok(self.bounded_line(start..self.filled));
            }
        }
    }

    #[inline]
    fn bounded_line(&self, mut range: Range<usize>) -> Line {
        if self.buffer[range.clone()].ends_with(b"\r") {
            range.end -= 1;
        }
        if range.len() > self.max_record_bytes {
            let line = self.line_of(&range);
            return Line::TooLong(self.too_long_error(range.start, &format!("line {line}")));
        }
        Line::Text(range)
    }

    /// Passes over a line that is longer than allowed, keeping no more of it than its beginning.
    #[cold]
    fn skip_line(&mut self) -> Result<Line, ItemError> {
        let fault = self.long_record_error(&format!("line {}", self.line));
        self.skip(|bytes| match memchr(b'\n', bytes) {
            Some(end) => Skipped { length: end + 1, at_end: true },
            None => Skipped { length: bytes.len(), at_end: false },
        })?;
        Ok(Line::TooLong(fault))
    }
}
