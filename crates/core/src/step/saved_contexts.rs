//! The contexts of a step that runs, as they were saved last.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::execution::ExecutionContext;

/// The contexts as the store holds them: what later elements see of a step that has failed, whatever it has put since.
#[derive(Default)]
pub(crate) struct SavedContexts(Mutex<Both>);

/// The step's own context and the job's.
#[derive(Default)]
pub(crate) struct Both {
    pub(crate) step: ExecutionContext,
    pub(crate) job: ExecutionContext,
}

impl SavedContexts {
    pub(crate) fn new(step: ExecutionContext, job: ExecutionContext) -> Self {
        Self(Mutex::new(Both { step, job }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Both> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
