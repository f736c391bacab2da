//! Blocks of a text: a run of whole records, cut out of the window for somebody who reads it by itself.

use std::sync::Arc;

use super::{FilePosition, TextInput};
use crate::input_source::Source;
use crate::output_file::TAIL_BYTES;

/// Bytes of a block that the window keeps, and somewhat more than a block has: a long comment between two records is
/// not kept in memory.
const MAX_KEPT_BYTES: usize = 2 * 1024 * 1024;

/// Bytes behind a block that are copied with it, as far as they are in the window: a framer may have to look at them to
/// know that a record has ended.
const BEHIND: usize = 64;

/// A block that is being taken off the text.
pub(super) struct Taken {
    /// Its first byte in the window; none once the window has lost it.
    start: Option<usize>,
    /// Bytes of the text before it that are kept with it.
    before: usize,
    /// The part of it that the window has lost, with what is kept before it.
    saved: Vec<u8>,
}

impl TextInput {
    /// From here on the window keeps what is advanced over, as the beginning of a block.
    pub(crate) fn begin_block(&mut self) {
        let before = self.next.min(TAIL_BYTES);
        self.block = Some(Box::new(Taken { start: Some(self.next), before, saved: Vec::new() }));
    }

    /// True if the window has lost the beginning of the block: what was passed over since is in no block.
    pub(crate) fn has_lost_block(&self) -> bool {
        self.block.as_ref().is_some_and(|block| block.start.is_none())
    }

    /// Copies so many bytes of the block, and a few behind it, into a text of its own, which begins at `position`.
    pub(crate) fn end_block(&mut self, length: usize, position: &FilePosition, into: &mut Self) {
        let Some(block) = self.block.take() else { return };
        let length = block.before + length + BEHIND;
        let bytes = match block.start {
            Some(start) => &self.buffer[start - block.before..self.filled],
            None => &block.saved,
        };
        into.buffer.clear();
        into.buffer.extend_from_slice(&bytes[..length.min(bytes.len())]);
        into.filled = into.buffer.len();
        into.offset = position.byte - block.before as u64;
        into.go_to(position);
    }

    /// A text without anything in it, for the blocks of this one.
    pub(crate) fn of_blocks(&self) -> Self {
        Self {
            path: self.path.clone(),
            file: Arc::clone(&self.file),
            source: Source::ended(&self.source),
            size: self.size,
            head: self.head,
            max_record_bytes: self.max_record_bytes,
            buffer: Vec::new(),
            filled: 0,
            next: 0,
            offset: 0,
            line: 1,
            pending: None,
            block: None,
        }
    }

    /// Goes to a position in the window.
    pub(crate) fn go_to(&mut self, position: &FilePosition) {
        let next = usize::try_from(position.byte.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        (self.next, self.line) = (next.min(self.filled), position.line);
    }

    /// The next byte in the window, and its line.
    pub(crate) fn place(&self) -> (usize, u64) {
        (self.next, self.line)
    }

    /// The offset of the next byte in the text.
    pub(crate) fn byte(&self) -> u64 {
        self.pending.as_ref().map_or(self.offset + self.next as u64, |position| position.byte)
    }

    /// The number of ends of lines between two bytes of the window.
    pub(crate) fn lines_between(&self, start: usize, end: usize) -> u64 {
        memchr::memchr_iter(b'\n', &self.buffer[start..end]).count() as u64
    }

    /// The first byte of the window that must stay in it.
    pub(super) fn first_needed(&mut self) -> usize {
        match self.block.as_ref().and_then(|block| block.start) {
            Some(start) if self.next - start <= MAX_KEPT_BYTES => start,
            Some(_) => {
                self.save_block();
                self.next
            }
            None => self.next,
        }
    }

    /// The window was moved by so many bytes.
    pub(super) fn move_block(&mut self, bytes: usize) {
        if let Some(start) = self.block.as_mut().and_then(|block| block.start.as_mut()) {
            *start -= bytes;
        }
    }

    /// Keeps what there is of the block outside of the window.
    #[cold]
    pub(super) fn save_block(&mut self) {
        let Some(block) = &mut self.block else { return };
        if let Some(start) = block.start.take() {
            block.saved.extend_from_slice(&self.buffer[start - block.before..self.next]);
        }
    }
}
