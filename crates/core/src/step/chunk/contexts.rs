//! The contexts as they are to be stored with the next save, and as they were before the chunk in hand.

use crate::execution::{ContextError, ExecutionContext};
use crate::step::{Shared, Side};

/// A context as it is to be stored: what was settled up to the chunk in hand, and what the writer has put.
#[derive(Default)]
struct Stored {
    settled: ExecutionContext,
    written: ExecutionContext,
}

impl Stored {
    fn settle(&mut self, change: Option<ExecutionContext>) -> bool {
        let changed = change.is_some();
        if let Some(change) = change {
            self.settled = change;
        }
        changed
    }

    fn write(&mut self, shared: &Shared) -> bool {
        let change = shared.take_change_of(Side::Writing);
        let changed = change.is_some();
        if let Some(change) = change {
            self.written = change;
        }
        changed
    }

    fn merged(&self) -> ExecutionContext {
        let mut merged = self.settled.clone();
        merged.merge(&self.written);
        merged
    }
}

/// The step's context and the job's.
pub(super) struct Contexts {
    step: Stored,
    job: Stored,
    /// Whether the job's has changed since it was last saved.
    job_changed: bool,
    /// What the writer had put before the chunk in hand, as long as chunks before it are not saved.
    before: Option<Written>,
}

/// What the writer has put into the contexts.
#[derive(Clone)]
struct Written {
    step: ExecutionContext,
    job: ExecutionContext,
    job_changed: bool,
}

impl Contexts {
    pub(super) fn new(step: ExecutionContext, job: ExecutionContext) -> Self {
        let settled = |settled| Stored { settled, ..Stored::default() };
        Self { step: settled(step), job: settled(job), job_changed: false, before: None }
    }

    /// Takes what was put up to a chunk's last item. Whether the step's context has changed by it.
    pub(super) fn settle(&mut self, step: Option<ExecutionContext>, job: Option<ExecutionContext>) -> bool {
        self.job_changed |= self.job.settle(job);
        self.step.settle(step)
    }

    /// Takes what the writer has put. Whether the step's context has changed by it.
    pub(super) fn write(&mut self, step: &Shared, job: &Shared) -> bool {
        self.job_changed |= self.job.write(job);
        self.step.write(step)
    }

    pub(super) fn of_step(&self) -> ExecutionContext {
        self.step.merged()
    }

    pub(super) fn job_changed(&self) -> bool {
        self.job_changed
    }

    /// The job's context, when it is to be saved.
    pub(super) fn changed_of_job(&self) -> Result<Option<String>, ContextError> {
        self.job_changed.then(|| self.job.merged().to_json()).transpose()
    }

    /// Remembers what the chunks before the one in hand have put.
    pub(super) fn remember(&mut self) {
        self.before = Some(Written {
            step: self.step.written.clone(),
            job: self.job.written.clone(),
            job_changed: self.job_changed,
        });
    }

    /// All is saved.
    pub(super) fn saved(&mut self) {
        (self.job_changed, self.before) = (false, None);
    }

    /// Goes back to what the chunks before the one in hand have put, and answers what it has put itself.
    pub(super) fn take_back(&mut self) -> Option<TakenBack> {
        let mut written = self.before.take()?;
        self.swap(&mut written);
        Some(TakenBack(written))
    }

    /// What was taken back holds again: the chunk is tried once more.
    pub(super) fn bring_back(&mut self, TakenBack(mut written): TakenBack) {
        self.swap(&mut written);
    }

    fn swap(&mut self, other: &mut Written) {
        std::mem::swap(&mut self.step.written, &mut other.step);
        std::mem::swap(&mut self.job.written, &mut other.job);
        std::mem::swap(&mut self.job_changed, &mut other.job_changed);
    }
}

/// What the writer has put for a chunk that was taken back.
pub(super) struct TakenBack(Written);
