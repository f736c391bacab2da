//! The chunks that share a transaction: kept until its commit, to be written again one by one when it fails.

use super::buffers::Buffers;
use super::hand::Hand;
use super::standing::Mark;

/// Outputs of a span: what is kept of them is bounded, and more would hardly save anything.
const MOST_OUTPUTS: usize = 65_536;
/// Bytes of the outputs that are encoded.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Chunks that are written in one transaction, and not committed.
pub(super) struct Span<I, O> {
    chunks: Vec<Hand<I, O>>,
    outputs: usize,
    bytes: usize,
    /// The state before the first of them.
    before: Option<Mark>,
    /// The memory of chunks that are committed.
    spare: Vec<Buffers<I, O>>,
}

impl<I, O> Default for Span<I, O> {
    fn default() -> Self {
        Self { chunks: Vec::new(), outputs: 0, bytes: 0, before: None, spare: Vec::new() }
    }
}

impl<I, O> Span<I, O> {
    /// True if no chunk waits for its commit.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// True if another chunk may wait with these.
    pub(super) fn takes(&self, hand: &Hand<I, O>) -> bool {
        self.outputs + hand.buffers.written() <= MOST_OUTPUTS
            && self.bytes + hand.buffers.encoded.bytes.len() <= MOST_BYTES
    }

    /// A span begins: so the step stands before it.
    pub(super) fn begin(&mut self, before: Mark) {
        self.before = Some(before);
    }

    /// Keeps a chunk that was written. The answer is memory for another.
    pub(super) fn keep(&mut self, hand: Hand<I, O>) -> Buffers<I, O> {
        self.outputs += hand.buffers.written();
        self.bytes += hand.buffers.encoded.bytes.len();
        self.chunks.push(hand);
        self.spare.pop().unwrap_or_default()
    }

    /// All of them are committed.
    pub(super) fn committed(&mut self) {
        (self.outputs, self.bytes, self.before) = (0, 0, None);
        self.spare.extend(self.chunks.drain(..).map(|hand| hand.buffers));
    }

    /// Takes them out, with the state before them: nothing of them is committed.
    pub(super) fn take(&mut self) -> (Vec<Hand<I, O>>, Option<Mark>) {
        (self.outputs, self.bytes) = (0, 0);
        (std::mem::take(&mut self.chunks), self.before.take())
    }

    /// Keeps the memory of a chunk.
    pub(super) fn reuse(&mut self, buffers: Buffers<I, O>) {
        self.spare.push(buffers);
    }
}
