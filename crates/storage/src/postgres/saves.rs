//! The number of acknowledged saves of each running step: it shows that a server has lost some in a crash.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oxbatch_core::execution::StepExecutionId;

/// The counts of the steps that run in this process.
///
/// Chunks do not wait for the disk. A server that crashes and comes back has lost the last of them, rows and checkpoint
/// together; but the step lives on in this process, and its position is behind them. It must not go on, nor be
/// COMPLETED.
#[derive(Default)]
pub(super) struct Saves(Mutex<HashMap<StepExecutionId, Arc<AtomicI64>>>);

/// The count of one step, shared by all of its transactions.
#[derive(Clone, Default)]
pub(super) struct SavesOfStep(Arc<AtomicI64>);

impl Saves {
    fn counts(&self) -> MutexGuard<'_, HashMap<StepExecutionId, Arc<AtomicI64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The count of a step.
    pub(super) fn of(&self, id: StepExecutionId) -> SavesOfStep {
        SavesOfStep(Arc::clone(self.counts().entry(id).or_default()))
    }

    /// The number of a step's saves that this process knows to be committed.
    pub(super) fn known(&self, id: StepExecutionId) -> i64 {
        self.counts().get(&id).map_or(0, |count| count.load(Ordering::Acquire))
    }

    /// The step has ended.
    pub(super) fn forget(&self, id: StepExecutionId) {
        self.counts().remove(&id);
    }
}

impl SavesOfStep {
    /// The count.
    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    /// Remembers what the step's row says.
    pub(super) fn set(&self, revision: i64) {
        self.0.store(revision, Ordering::Release);
    }
}
