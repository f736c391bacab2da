//! The contexts as they are to be stored with the next save.

use super::sealed::Seal;
use crate::execution::{ContextChanges, ContextError, ExecutionContext};
use crate::step::context::StepScope;
use crate::step::overlay::Overlay;
use crate::step::shared::{Shared, Side};

/// A context as it is to be stored: what was base up to the chunk in hand, and what the writer has put.
#[derive(Default)]
struct Stored {
    base: ExecutionContext,
    /// By the writer, up to the chunk in hand.
    written: Overlay,
    /// The same with the chunk in hand, when that has changed it.
    in_hand: Option<Overlay>,
}

impl Stored {
    fn merged(&self) -> ExecutionContext {
        let mut merged = self.base.clone();
        self.in_hand.as_ref().unwrap_or(&self.written).apply_to(&mut merged);
        merged
    }

    /// Takes what was put outside of any attempt to write; whether there was anything.
    fn adopt(&mut self, base: Option<ExecutionContext>, shared: &Shared) -> bool {
        let written = shared.take_change_of(Side::Writing);
        shared.mark(Side::Writing);
        let changed = base.is_some() || written.is_some();
        if let Some(base) = base {
            self.base = base;
        }
        if let Some(written) = written {
            self.written = written;
        }
        changed
    }

    fn commit(&mut self, shared: &Shared) {
        if let Some(written) = self.in_hand.take() {
            self.written = written;
            shared.mark(Side::Writing);
        }
    }
}

/// The step's context and the job's.
pub(super) struct Contexts {
    step: Stored,
    job: Stored,
    /// True if the step's has changed since it was last saved.
    step_changed: bool,
    /// The same of the job's.
    job_changed: bool,
}

impl Contexts {
    /// Both as they are stored. What the parts have put by now, as they were built or opened, is a change that comes
    /// with the first chunk.
    pub(super) fn new(scope: &StepScope) -> Self {
        let base = |context: &ExecutionContext| Stored { base: context.clone(), ..Stored::default() };
        let saved = scope.saved.lock();
        Self { step: base(&saved.step), job: base(&saved.job), step_changed: false, job_changed: false }
    }

    /// True if a chunk brings changes with it, or the writer has put something since the last one.
    pub(super) fn change_with(scope: &StepScope, seal: &Seal) -> bool {
        seal.context.is_some() || seal.job_context.is_some() || Self::written(scope)
    }

    /// True if the writer has put something that was not taken yet.
    pub(super) fn written(scope: &StepScope) -> bool {
        scope.context.has_change_of(Side::Writing) || scope.job.context.has_change_of(Side::Writing)
    }

    /// Takes what was put up to a chunk's last item. Whether the step's context has changed by it.
    pub(super) fn adopt(
        &mut self,
        scope: &StepScope,
        step: Option<ExecutionContext>,
        job: Option<ExecutionContext>,
    ) -> bool {
        self.job_changed |= self.job.adopt(job, &scope.job.context);
        let changed = self.step.adopt(step, &scope.context);
        self.step_changed |= changed;
        changed
    }

    /// Takes what the writer has put for the chunk in hand. Whether the step's context has changed by it.
    pub(super) fn write(&mut self, scope: &StepScope) -> bool {
        self.job.in_hand = scope.job.context.take_change_of(Side::Writing);
        self.step.in_hand = scope.context.take_change_of(Side::Writing);
        self.step.in_hand.is_some()
    }

    /// Undoes what the writer has put for the chunk in hand. True if the step's context has changed by it.
    pub(super) fn roll_back(&mut self) -> bool {
        self.job.in_hand = None;
        self.step.in_hand.take().is_some()
    }

    /// All is saved.
    pub(super) fn commit(&mut self, scope: &StepScope) {
        if self.job_changed() || self.step_changed() {
            let mut saved = scope.saved.lock();
            if self.job_changed() {
                saved.job = self.job.merged();
            }
            if self.step_changed() {
                saved.step = self.step.merged();
            }
        }
        (self.step_changed, self.job_changed) = (false, false);
        self.job.commit(&scope.job.context);
        self.step.commit(&scope.context);
    }

    pub(super) fn of_step(&self) -> ExecutionContext {
        self.step.merged()
    }

    fn step_changed(&self) -> bool {
        self.step_changed || self.step.in_hand.is_some()
    }

    /// True if the job's is to be saved.
    pub(super) fn job_changed(&self) -> bool {
        self.job_changed || self.job.in_hand.is_some()
    }

    /// The entries of the job's context that are to be saved.
    ///
    /// # Errors
    /// When the whole context is too large.
    pub(super) fn changes_of_job(&self, scope: &StepScope) -> Result<Option<ContextChanges>, ContextError> {
        if !self.job_changed() {
            return Ok(None);
        }
        let job = self.job.merged();
        job.to_json()?;
        let changes = job.changes_since(&scope.saved.lock().job);
        Ok((!changes.is_empty()).then_some(changes))
    }
}
