//! Calls listeners: in their order, with their panics caught, and their errors recorded.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

use super::chunk::{Retry, RetryPhase};
use super::job::{JobContext, JobEnd};
use super::set::{ListenerFactory, Listeners};
use super::state::{JobListening, ListenerErrors};
use super::step::StepEnd;
use crate::author_thread::panic_message;
use crate::event::Event;
use crate::execution::{SkippedItem, Status, cause_chain};
use crate::item::{BoxError, ErrorKind, ItemError};
use crate::step::{BodyEnd, BodyError, BodyRun, JobScope, Step, StepContext, StopRequested};

/// Calls a method; a panic is an error.
pub(super) fn caught<T, E: From<ItemError>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    std::panic::catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|payload| Err(ItemError::other(panic_message(payload.as_ref())).into()))
}

/// Awaits a method; a panic is an error.
async fn caught_async<T>(call: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|payload| Err(panic_message(payload.as_ref()).into()))
}

fn sentence(method: &str, cause: &str) -> String {
    format!("listener failed in {method}: {cause}")
}

/// Records an error that changes nothing, and reports it.
fn record(errors: &ListenerErrors, job: &JobScope, step_name: Option<&str>, method: &'static str, cause: &str) {
    errors.record(&sentence(method, cause));
    job.events.emit(&Event::ListenerFailed { execution_id: job.execution_id, step_name, method, cause });
}

impl StepContext {
    /// Records an error of a listener that changes nothing.
    #[cold]
    pub(super) fn listener_failed(&self, method: &'static str, cause: &str) {
        let scope = self.scope();
        record(&scope.listening.errors, &scope.job, Some(self.step_name()), method, cause);
    }
}

impl Listeners {
    /// Before an attempt to write a chunk. The first error is its.
    pub(crate) fn before_chunk(&self, context: &StepContext) -> Result<(), ItemError> {
        self.chunks.iter().try_for_each(|listener| caught(|| listener.before_chunk(context)))
    }

    pub(crate) fn after_chunk(&self, context: &StepContext) {
        for listener in self.chunks.iter().rev() {
            if let Err(error) = caught(|| listener.after_chunk(context)) {
                context.listener_failed("after_chunk", &cause_chain(error.as_ref()));
            }
        }
    }

    #[cold]
    pub(crate) fn on_chunk_error(&self, context: &StepContext, error: &str) {
        for listener in self.chunks.iter().rev() {
            if let Err(error) = caught(|| listener.on_chunk_error(context, error)) {
                context.listener_failed("on_chunk_error", &cause_chain(error.as_ref()));
            }
        }
    }

    pub(crate) fn on_skips(&self, context: &StepContext, skips: &[SkippedItem]) {
        for skipped in skips {
            for listener in self.skips.iter().rev() {
                if let Err(error) = caught(|| listener.on_skip(context, skipped)) {
                    context.listener_failed("on_skip", &cause_chain(error.as_ref()));
                }
            }
        }
    }

    #[cold]
    pub(crate) fn on_retry(&self, context: &StepContext, retry: &Retry<'_>) {
        for listener in self.retries.iter().rev() {
            if let Err(error) = caught(|| listener.on_retry(context, retry)) {
                context.listener_failed("on_retry", &cause_chain(error.as_ref()));
            }
        }
    }

    /// Before a step. The first error ends it.
    async fn before_step(&self, context: &StepContext) -> Result<(), BoxError> {
        for listener in &self.steps {
            caught_async(listener.before(context)).await?;
        }
        Ok(())
    }

    async fn after_step(&self, context: &StepContext, mut end: StepEnd) {
        let may_change = matches!(end.status, Status::Completed | Status::Failed);
        for listener in self.steps.iter().rev() {
            match caught_async(listener.after(context, &end)).await {
                Ok(Some(code)) if may_change => {
                    context.scope().listening.set_exit_code(code.clone());
                    end.exit_code = code;
                }
                Ok(_) => {}
                Err(error) => context.listener_failed("after_step", &cause_chain(error.as_ref())),
            }
        }
    }
}

/// Runs the body of a step with its listeners around it, on the thread of the step.
pub(crate) async fn run_listened(step: &Step, run: BodyRun) -> Result<BodyEnd, BodyError> {
    let context = run.context.clone();
    let scope = context.scope();
    let of_job = scope.job.listening.listeners.get();
    let own = step.body().listeners();
    if of_job.is_none_or(Listeners::is_empty) && own.is_none_or(super::StepListeners::is_empty) {
        return step.body().run(run).await;
    }
    let mut listeners = of_job.cloned().unwrap_or_default();
    if let Some(own) = own {
        let built = caught(|| own.build(&context));
        let failed =
            |error: BoxError| format!("failed to build the listeners of the step: {}", cause_chain(error.as_ref()));
        listeners.extend(built.map_err(|error| BodyError::Failed(failed(error)))?);
    }
    let listeners = scope.listening.listeners.get_or_init(|| listeners);
    let ran = match listeners.before_step(&context).await {
        Ok(()) => AssertUnwindSafe(step.body().run(run)).catch_unwind().await,
        Err(error) if context.is_stopping() && error.is::<StopRequested>() => Ok(Ok(BodyEnd::Stopped)),
        Err(error) => Ok(Err(BodyError::Failed(sentence("before_step", &cause_chain(error.as_ref()))))),
    };
    let (status, exit_code, message) = match &ran {
        Ok(Err(BodyError::LeaseLost)) => return Err(BodyError::LeaseLost),
        Ok(Ok(BodyEnd::Completed { exit_code })) => (Status::Completed, exit_code.clone(), None),
        Ok(Ok(BodyEnd::Failed { exit_code, message })) => (Status::Failed, Some(exit_code.clone()), message.clone()),
        Ok(Ok(BodyEnd::Stopped)) => (Status::Stopped, None, None),
        Ok(Err(BodyError::Failed(message))) => (Status::Failed, None, Some(message.clone())),
        Err(payload) => (Status::Failed, None, Some(panic_message(payload.as_ref()))),
    };
    let exit_code = exit_code.unwrap_or_else(|| status.as_str().to_owned());
    let end = StepEnd { status, exit_code, message, counters: scope.earlier.plus(&scope.live.counters()) };
    listeners.after_step(&context, end).await;
    ran.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// The two moments at which the listeners of an execution are called.
pub(crate) enum JobMoment {
    /// Before its first step: its listeners are built.
    Before(Vec<ListenerFactory>),
    /// Behind its last step.
    After(JobEnd),
}

/// Calls the listeners of a job, on the runtime of its execution.
///
/// # Errors
/// The message with which the execution fails.
pub(crate) async fn run_listened_job(scope: Arc<JobScope>, moment: JobMoment) -> Result<(), String> {
    let context = JobContext::new(Arc::clone(&scope));
    let JobListening { listeners, errors, .. } = &scope.listening;
    match moment {
        JobMoment::Before(factories) => {
            let mut built = Listeners::new();
            for factory in factories {
                let made = caught(|| factory.build(&context));
                built.extend(made.map_err(|error| {
                    format!("failed to build the listeners of the job: {}", cause_chain(error.as_ref()))
                })?);
            }
            let listeners = listeners.get_or_init(|| built);
            for listener in &listeners.jobs {
                let called = caught_async(listener.before(&context)).await;
                called.map_err(|error| sentence("before_job", &cause_chain(error.as_ref())))?;
            }
        }
        JobMoment::After(end) => {
            for listener in listeners.get().iter().flat_map(|listeners| listeners.jobs.iter().rev()) {
                if let Err(error) = caught_async(listener.after(&context, &end)).await {
                    record(errors, &scope, None, "after_job", &cause_chain(error.as_ref()));
                }
            }
        }
    }
    Ok(())
}

/// Reports a repetition to the listeners of a step.
#[cold]
pub(crate) fn report_retry(
    context: &StepContext,
    phase: RetryPhase,
    (attempt, delay): (u32, std::time::Duration),
    (kind, error): (ErrorKind, &str),
) {
    if let Some(listeners) = context.listeners() {
        listeners.on_retry(context, &Retry { phase, attempt, delay, kind, error });
    }
}
