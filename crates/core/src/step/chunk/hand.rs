//! The chunk in hand: what is to be written, what is committed with it, and what was tried so far.

use super::buffers::{Buffers, count};
use super::kept::KeptSkips;
use super::totals::Sums;
use crate::execution::{Counters, SkipPhase};
use crate::item::Checkpoint;

/// The positions of the parts of a step.
#[derive(Default)]
pub(super) struct Positions {
    pub(super) reader: Option<Checkpoint>,
    pub(super) processor: Option<Checkpoint>,
    pub(super) writer: Option<Checkpoint>,
    pub(super) rejects: Option<Checkpoint>,
}

/// A sealed chunk on its way to its commit.
pub(super) struct Hand<I, O> {
    pub(super) buffers: Buffers<I, O>,
    pub(super) skips: KeptSkips,
    pub(super) totals: Vec<Sums>,
    pub(super) filtered: i64,
    pub(super) retries: i64,
    pub(super) read: i64,
    pub(super) progress: Option<f64>,
    /// The rows of kept items that it runs again.
    pub(super) rerun: Vec<i64>,
    /// It brings changes of the contexts, so it is saved at once.
    pub(super) changed: bool,
    /// The positions of the parts of the step before it: they are rolled back to while chunks before it are saved.
    pub(super) before: Positions,
    pub(super) tries: Tries,
}

/// The attempts that were made for a chunk.
#[derive(Default)]
pub(super) struct Tries {
    /// Additional attempts that the retry policy was asked for.
    pub(super) repeated: u32,
    /// The same since the search for bad outputs has begun, or has last found out something.
    pub(super) trials: u32,
    /// Attempts since the store was lost.
    pub(super) losses: u32,
    /// Outputs that are out, one by one, by a writer that cannot roll back: they are not written again.
    pub(super) sent: usize,
    /// It shares no transaction with others: an attempt of it, or of a span that it was in, has failed.
    pub(super) alone: bool,
}

impl<I, O> Hand<I, O> {
    /// True if there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.read == 0 && self.skips.is_empty()
    }

    /// The outputs that are yet to be written.
    pub(super) fn to_write(&self) -> &[O] {
        &self.buffers.outputs[self.tries.sent..]
    }

    /// The counters once it is committed.
    pub(super) fn counted(&self, before: Counters) -> Counters {
        let mut next = before;
        next.read += self.read;
        next.filter += self.filtered;
        next.write += count(self.buffers.written());
        next.retry += self.retries;
        next.commit += 1;
        for skip in self.skips.as_slice() {
            *match skip.phase {
                SkipPhase::Read => &mut next.read_skip,
                SkipPhase::Process => &mut next.process_skip,
                SkipPhase::Write => &mut next.write_skip,
            } += 1;
        }
        next
    }

    /// The items of the outputs that are left, where outputs were skipped.
    pub(super) fn left(&self) -> Option<&[I]> {
        let isolated = self.skips.as_slice().iter().any(|skip| skip.phase == SkipPhase::Write);
        isolated.then_some(self.buffers.inputs.as_slice())
    }
}
