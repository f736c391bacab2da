//! Calls the listeners of a job on the runtime of its execution, and sees to it that those that hang are ended: by a
//! stop, before the first step by the job's time limit, behind the last one by that of the end.

use std::sync::Arc;
use std::time::Duration;

use super::grace::{Ending, LEAVE_BEHIND_AFTER, within_grace};
use super::job_end::JobEnd as End;
use super::running::Handle;
use super::state::EngineState;
use super::time_limit::{Bound, exceeded};
use crate::author_thread::panic_message;
use crate::event::Limited;
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
/// The end of the execution.
pub(super) async fn before(state: &EngineState, job: &Job, scope: &Arc<JobScope>, handle: &Handle) -> Result<(), End> {
    let factories: Vec<_> = state.config.listeners.iter().chain(job.listeners()).cloned().collect();
    if factories.is_empty() {
        return Ok(());
    }
    let now = handle.clock.now();
    let bound = job.time_limit().map(|limit| Bound::new(Limited::Job, limit, now, now));
    match call(state, scope, handle, (JobMoment::Before(factories), bound)).await {
        Ok(()) => Ok(()),
        Err(Unfinished::OverTime(message)) => Err(End::over_time(message)),
        Err(Unfinished::Failed(message)) if handle.cause().is_some() => Err(End::Stopped { message: Some(message) }),
        Err(Unfinished::Failed(message)) => Err(End::failed(message)),
    }
}

/// Reports the end of an execution, which is going to be recorded, and adds the errors of listeners to its message, a
/// time longer than `limit` among them.
pub(super) async fn after(
    state: &EngineState,
    scope: &Arc<JobScope>,
    handle: &Handle,
    limit: Duration,
    outcome: &mut ExecutionOutcome,
) {
    if scope.listening.has_job_listeners() {
        // Only ends come here, each of which a started execution has.
        let status = next(Status::Started, outcome.event).unwrap_or(Status::Failed);
        let exit_code = outcome.exit_code.clone().unwrap_or_else(|| status.as_str().to_owned());
        let bound = Bound::new(Limited::Finally, limit, Duration::ZERO, handle.clock.now());
        let end = JobEnd::new(status, exit_code, outcome.exit_message.clone());
        let called = match scope.listening.are_left_behind() {
            // Their thread still sits in what was called before.
            true => Err(Unfinished::Failed(LEFT_BEHIND.to_owned())),
            false => call(state, scope, handle, (JobMoment::After(end), Some(bound))).await,
        };
        if let Err(Unfinished::Failed(message) | Unfinished::OverTime(message)) = called {
            scope.listening.record(&message);
        }
    }
    complete(scope, outcome);
}

/// Adds the errors of listeners to the message of an end.
pub(super) fn complete(scope: &JobScope, outcome: &mut ExecutionOutcome) {
    let message = scope.listening.completed(outcome.exit_message.take());
    outcome.exit_message = message.map(|message| cut_message(scope.mask.masked(message)));
}

/// The sentence about listeners that have not come to a good end.
enum Unfinished {
    Failed(String),
    OverTime(String),
}

async fn call(
    state: &EngineState,
    scope: &Arc<JobScope>,
    handle: &Handle,
    (moment, bound): (JobMoment, Option<Bound>),
) -> Result<(), Unfinished> {
    let runtime = scope.runtime.handle().map_err(|error| {
        Unfinished::Failed(format!("failed to start a thread for the listeners of the job: {error}"))
    })?;
    let (name, place) = match &moment {
        JobMoment::Before(_) => ("before_job", "before its first step"),
        JobMoment::After(_) => ("after_job", "behind its last step"),
    };
    let mut called = runtime.spawn(run_listened_job(Arc::clone(scope), moment));
    let ended = tokio::select! {
        biased;
        ended = &mut called => Some(ended),
        () = handle.stop.cancelled() => within_grace(state, handle, Ending::Listeners, &mut called).await,
        bound = exceeded(bound, &handle.clock) => {
            called.abort();
            if tokio::time::timeout(LEAVE_BEHIND_AFTER, called).await.is_err() {
                scope.listening.leave_behind();
            }
            bound.report(&state.events, scope.execution_id, name);
            return Err(Unfinished::OverTime(format!("{} in a listener, {place}", bound.message())));
        }
    };
    let failed = match ended {
        Some(Ok(result)) => return result.map_err(Unfinished::Failed),
        Some(Err(error)) if error.is_panic() => panic_message(error.into_panic().as_ref()),
        Some(Err(_)) => "the thread of the listeners of the job died".to_owned(),
        None => {
            called.abort();
            LEFT_BEHIND.to_owned()
        }
    };
    Err(Unfinished::Failed(failed))
}
