//! `BlockReader`: one of several readers that share a source and each take blocks of it.

use std::collections::VecDeque;

use super::{Checkpoint, ItemError, Origin};

/// Reads a source together with others, each on a thread of its own: it takes a block of whole records, which is quick,
/// and makes items of it while others take theirs.
///
/// # Contract
/// - The engine calls `take`, for one reader of a source at a time, then `decode` once, then asks for checkpoints and
///   origins within this block. The blocks, in the order in which they were taken, hold the records that
///   [`read`](super::ItemReader::read) would have returned, and the same errors at the same places.
/// - An outcome is an item or an error. `checkpoint(n)` describes the position behind the first `n` outcomes of the
///   block, as that of the whole source: any reader of the source's kind can be opened with it.
pub trait BlockReader<I>: Send {
    /// Takes the next block of at most so many records; `false` at the end of the source.
    ///
    /// # Errors
    /// When the next record cannot be found: the error is the only outcome of the block. After one of kind
    /// [`ErrorKind::Transient`](super::ErrorKind::Transient) the source stays before the record, and this reader may be
    /// asked again; after any other it is behind it.
    fn take(&mut self, records: usize) -> Result<bool, ItemError>;

    /// Makes items of the records of the block. Checkpoints are going to be asked for behind the first `marks.first`
    /// outcomes and behind every further `marks.every`, as far as can be told: they are made ready by the way.
    fn decode(&mut self, marks: Marks, into: &mut DecodedBlock<I>);

    /// The position behind so many outcomes of the block; `None` for a source that always starts anew.
    ///
    /// # Errors
    /// As [`ItemReader::checkpoint`](super::ItemReader::checkpoint).
    fn checkpoint(&mut self, outcomes: usize) -> Result<Option<Checkpoint>, ItemError>;

    /// The file and the position of an outcome of the block, from 0.
    fn origin(&self, outcome: usize) -> Option<Origin>;

    /// Share of the source that has been taken up to the end of the block, 0 to 1.
    fn progress(&self) -> Option<f64>;
}

/// The places in a block behind which checkpoints are likely to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The outcomes before the first of them.
    pub first: usize,
    /// The outcomes between two of them, at least 1.
    pub every: usize,
}

/// The outcomes of a block.
#[derive(Debug)]
pub struct DecodedBlock<I> {
    /// The items, in their order.
    pub items: VecDeque<I>,
    /// The errors, in their order, each with the number of outcomes before it.
    pub errors: VecDeque<(usize, ItemError)>,
}

impl<I> Default for DecodedBlock<I> {
    fn default() -> Self {
        Self { items: VecDeque::new(), errors: VecDeque::new() }
    }
}

impl<I> DecodedBlock<I> {
    /// The number of outcomes.
    pub fn len(&self) -> usize {
        self.items.len() + self.errors.len()
    }

    /// True if there are no outcomes.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.errors.is_empty()
    }
}
