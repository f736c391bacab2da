//! A chunk that is ready to be written, with all that is committed with it.

use super::buffers::Buffers;
use super::kept::KeptSkips;
use super::totals::Sums;
use crate::execution::ExecutionContext;
use crate::item::Checkpoint;

/// A chunk whose items are settled, ready to be written and committed. What was put into the contexts, and where the
/// reader stands, travels with it: nothing of a later chunk can be committed with an earlier one.
pub(super) struct Sealed<I, O> {
    pub(super) buffers: Buffers<I, O>,
    /// Items that were skipped by the way.
    pub(super) skips: KeptSkips,
    pub(super) filtered: i64,
    pub(super) retries: i64,
    /// The sums that it adds to the control totals.
    pub(super) totals: Vec<Sums>,
    pub(super) seal: Seal,
}

/// The state behind the last item of a chunk.
pub(super) struct Seal {
    pub(super) read: i64,
    /// The reader has said that there is no more.
    pub(super) end: bool,
    pub(super) checkpoint: Option<Checkpoint>,
    /// The checkpoint of the processor.
    pub(super) processor: Option<Checkpoint>,
    pub(super) progress: Option<f64>,
    /// The step's and the job's context, as far as they changed.
    pub(super) context: Option<ExecutionContext>,
    pub(super) job_context: Option<ExecutionContext>,
    /// The rows of kept items that it runs again.
    pub(super) rerun: Vec<i64>,
}
