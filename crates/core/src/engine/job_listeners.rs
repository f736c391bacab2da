//! Calls the listeners of a job on the runtime of its execution, and sees to it that a stop ends those that hang.

use std::sync::Arc;

use super::grace::{Ending, within_grace};
use super::running::Handle;
use super::state::EngineState;
use crate::author_thread::panic_message;
use crate::execution::{Status, cut_message, next};
use crate::job::Job;
use crate::listener::{JobEnd, JobMoment, run_listened_job};
use crate::repository::ExecutionOutcome;
use crate::step::JobScope;

/// The message of an execution whose listeners are left behind.
const LEFT_BEHIND: &str = "the listeners of the job did not end in time and were left behind";

/// Builds the listeners of an execution and calls what precedes it.
///
/// # Errors
/// The message with which the execution fails.
pub(super) async fn before(
    state: &EngineState,
    job: &Job,
    scope: &Arc<JobScope>,
    handle: &Handle,
) -> Result<(), String> {
    let factories: Vec<_> = state.config.listeners.iter().chain(job.listeners()).cloned().collect();
    if factories.is_empty() {
        return Ok(());
    }
    call(state, scope, handle, JobMoment::Before(factories)).await
}

/// Reports the end of an execution, which is going to be recorded, and adds the errors of listeners to its message.
pub(super) async fn after(state: &EngineState, scope: &Arc<JobScope>, handle: &Handle, outcome: &mut ExecutionOutcome) {
    if scope.listening.has_job_listeners() {
        // Only ends come here, each of which a started execution has.
        let status = next(Status::Started, outcome.event).unwrap_or(Status::Failed);
        let exit_code = outcome.exit_code.clone().unwrap_or_else(|| status.as_str().to_owned());
        let end = JobEnd::new(status, exit_code, outcome.exit_message.clone());
        if let Err(message) = call(state, scope, handle, JobMoment::After(end)).await {
            scope.listening.record(&message);
        }
    }
    outcome.exit_message = scope.listening.completed(outcome.exit_message.take()).map(cut_message);
}

async fn call(state: &EngineState, scope: &Arc<JobScope>, handle: &Handle, moment: JobMoment) -> Result<(), String> {
    let runtime = scope.runtime.handle();
    let runtime = runtime.map_err(|error| format!("failed to start a thread for the listeners of the job: {error}"))?;
    let mut called = runtime.spawn(run_listened_job(Arc::clone(scope), moment));
    let ended = tokio::select! {
        biased;
        ended = &mut called => Some(ended),
        () = handle.stop.cancelled() => within_grace(state, handle, Ending::Listeners, &mut called).await,
    };
    match ended {
        Some(Ok(result)) => result,
        Some(Err(error)) if error.is_panic() => Err(panic_message(error.into_panic().as_ref())),
        Some(Err(_)) => Err("the thread of the listeners of the job died".to_owned()),
        None => {
            called.abort();
            Err(LEFT_BEHIND.to_owned())
        }
    }
}
