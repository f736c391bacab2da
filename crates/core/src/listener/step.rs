//! Listeners of steps.

use std::future::Future;
use std::sync::Arc;

use crate::execution::{Counters, Status};
use crate::item::BoxError;
use crate::step::StepContext;

/// Is called before and after a step.
///
/// # Contract
/// - `before_step` is called before anything of the step is built; its error fails the step.
/// - `after_step` is called when the step has ended, whatever the end is, before the end is recorded. It is called
///   after a `before_step` that failed, too. It is not called when the execution belongs to another node by then, nor
///   for a step that was dropped or left behind since it did not stop in time.
pub trait StepListener: Send + Sync + 'static {
    /// The step is to begin.
    fn before_step(&self, context: &StepContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// The step has ended. An exit code that is returned is recorded instead of the step's own, where it is COMPLETED
    /// or FAILED; the listeners that are called next see it.
    fn after_step(
        &self,
        context: &StepContext,
        end: &StepEnd,
    ) -> impl Future<Output = Result<Option<String>, BoxError>> + Send {
        let _ = (context, end);
        async { Ok(None) }
    }
}

/// The end of a step, as it is going to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepEnd {
    /// COMPLETED, FAILED or STOPPED.
    pub status: Status,
    /// The exit code.
    pub exit_code: String,
    /// The error, with its causes.
    pub message: Option<String>,
    /// The counters as of the last commit, summed over all attempts since the last forced launch.
    pub counters: Counters,
}

impl<L: StepListener> StepListener for Arc<L> {
    fn before_step(&self, context: &StepContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        (**self).before_step(context)
    }

    fn after_step(
        &self,
        context: &StepContext,
        end: &StepEnd,
    ) -> impl Future<Output = Result<Option<String>, BoxError>> + Send {
        (**self).after_step(context, end)
    }
}
