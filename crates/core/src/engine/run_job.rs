//! Runs one execution: its steps one after the other, then the record of its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::finish::{persist, record};
use super::rerun::{StepsOf, gone, steps_of};
use super::run_step::{StepEnd, run_step};
use super::running::{Handle, StopCause};
use super::{Event, Inner};
use crate::execution::{EXIT_SHUTDOWN, ExecutionContext, JobExecution, StatusEvent, cause_chain};
use crate::job::Job;
use crate::repository::{ExecutionOutcome, Lease, NewStep, RepositoryError, StepStart};
use crate::step::{JobScope, Shared, Step, StepKind};

/// How long a step that was dropped may take to report before its thread is left behind.
pub(super) const LEAVE_BEHIND_AFTER: Duration = Duration::from_millis(500);

/// How an execution ended, before it is recorded.
enum JobEnd {
    Completed { exit_code: Option<String>, message: Option<String> },
    Failed { message: String },
    Stopped { message: Option<String> },
    LeaseLost,
}

/// Runs an execution of this node in the background; `place` is given back when it has ended.
pub(super) fn spawn(inner: &Arc<Inner>, execution: JobExecution, lease: Lease, place: Option<OwnedSemaphorePermit>) {
    let handle = inner.running.begin(lease);
    let inner = Arc::clone(inner);
    let tracker = inner.tasks.clone();
    tracker.spawn(async move {
        // It may have been taken in the very moment in which the node began to close.
        if inner.closing.is_cancelled() {
            inner.running.shut_down();
        }
        run(&inner, execution, &handle).await;
        inner.running.end(lease.execution_id);
        drop(place);
        inner.ring_for_limits();
    });
}

async fn run(inner: &Arc<Inner>, execution: JobExecution, handle: &Handle) {
    inner.events.emit(&Event::ExecutionStarted { execution: &execution });
    let execution_id = execution.id;
    let end = match inner.registry.get(&execution.job_name) {
        Some(job) => run_steps(inner, job.clone(), execution, handle).await,
        None => JobEnd::Failed { message: format!("this node does not know the job '{}'", execution.job_name) },
    };
    let lost = || {
        // That the store is gone is an event of its own.
        if handle.cause() != Some(StopCause::StoreGone) {
            inner.events.emit(&Event::LeaseLost { execution_id });
        }
    };
    let Some(outcome) = outcome(inner, end, handle) else { return lost() };
    let recorded = record(inner, "record the end of an execution", || {
        inner.repository.finish_execution(&handle.lease, outcome.clone())
    });
    match recorded.await {
        Ok(execution) => inner.events.emit(&Event::ExecutionFinished { execution: &execution }),
        Err(RepositoryError::LeaseLost { .. }) => lost(),
        // The node closes while the trouble lasts; the next start recovers the execution.
        Err(_) => {}
    }
}

fn outcome(inner: &Inner, end: JobEnd, handle: &Handle) -> Option<ExecutionOutcome> {
    let time = inner.config.clock.now();
    let (event, exit_code, exit_message, resume) = match end {
        JobEnd::LeaseLost => return None,
        JobEnd::Completed { exit_code, message } => (StatusEvent::Complete, exit_code, message, false),
        JobEnd::Failed { message } => (StatusEvent::Fail, None, Some(message), false),
        JobEnd::Stopped { message } if handle.cause() == Some(StopCause::Shutdown) => {
            (StatusEvent::Stop, Some(EXIT_SHUTDOWN.to_owned()), message, true)
        }
        JobEnd::Stopped { message } => (StatusEvent::Stop, None, message, false),
    };
    Some(ExecutionOutcome { event, exit_code, exit_message, resume, time })
}

async fn run_steps(inner: &Arc<Inner>, job: Job, execution: JobExecution, handle: &Handle) -> JobEnd {
    let find = persist(inner, "find the steps of an execution", || steps_of(inner, &job, &execution));
    let steps = match find.await {
        Ok(StepsOf::Steps(steps)) => steps,
        Ok(StepsOf::Gone(of)) => return JobEnd::Failed { message: gone(of) },
        Err(error) => return JobEnd::Failed { message: cause_chain(&error) },
    };
    let scope = Arc::new(JobScope {
        job_name: execution.job_name,
        execution_id: execution.id,
        instance_id: execution.instance_id,
        rerun_of: execution.rerun_of,
        parameters: execution.parameters,
        context: Shared::default(),
        stop: handle.stop.clone(),
        repository: Arc::clone(&inner.repository),
        events: inner.events.clone(),
    });
    let mut ran = 0_usize;
    let mut exit_code = None;
    for step in steps {
        if handle.cause().is_some() {
            return stopped_before(step, handle);
        }
        let new = NewStep {
            step_name: step.name().to_owned(),
            rerun_if_complete: step.reruns_if_complete(),
            start_limit: step.start_limit(),
            time: inner.config.clock.now(),
        };
        let start = persist(inner, "begin a step", || inner.repository.start_step(&handle.lease, new.clone())).await;
        let started = match start {
            Ok(StepStart::Run(started)) => started,
            Ok(StepStart::AlreadyComplete) => {
                let (execution_id, step_name) = (scope.execution_id, step.name());
                inner.events.emit(&Event::StepAlreadyComplete { execution_id, step_name });
                continue;
            }
            Ok(StepStart::StopRequested) => {
                inner.running.stop(scope.execution_id, &inner.events);
                return stopped_before(step, handle);
            }
            Ok(StepStart::StartLimitReached { attempts }) => {
                let message = format!(
                    "step '{}' was attempted {attempts} times, as often as its start limit allows; launch with force to begin anew",
                    step.name()
                );
                return JobEnd::Failed { message };
            }
            Err(RepositoryError::LeaseLost { .. }) => return JobEnd::LeaseLost,
            Err(error) => return JobEnd::Failed { message: cause_chain(&error) },
        };
        if ran == 0
            && let Some(json) = &started.job_context
        {
            match ExecutionContext::from_json(json) {
                Ok(context) => scope.context.replace(context),
                Err(error) => return JobEnd::Failed { message: cause_chain(&error) },
            }
        }
        ran += 1;
        match run_step(inner, step, &scope, handle, started).await {
            StepEnd::Completed { exit_code: own } => exit_code = own,
            StepEnd::Failed { message } => {
                return JobEnd::Failed { message: format!("step '{}' failed: {message}", step.name()) };
            }
            StepEnd::Stopped => {
                let message = match handle.cause() {
                    Some(StopCause::Shutdown) if inner.closing.is_cancelled() => {
                        "stopped by the shutdown of its node; it resumes by itself".to_owned()
                    }
                    Some(StopCause::Shutdown) => "stopped because its node is drained; it resumes by itself".to_owned(),
                    Some(_) => format!("stopped on request in step '{}'", step.name()),
                    // A chunk step stops for no other reason: it heard of the request by its commit.
                    None if step.kind() != StepKind::Task => format!("stopped on request in step '{}'", step.name()),
                    None => format!("step '{}' stopped of itself", step.name()),
                };
                return JobEnd::Stopped { message: Some(message) };
            }
            StepEnd::LeaseLost => return JobEnd::LeaseLost,
        }
    }
    let message = (ran == 0).then(|| {
        "every step was already complete in an earlier execution, nothing was run; launch with force to run them again"
            .to_owned()
    });
    JobEnd::Completed { exit_code, message }
}

fn stopped_before(step: &Step, handle: &Handle) -> JobEnd {
    match handle.cause() {
        Some(cause) if cause.is_loss() => JobEnd::LeaseLost,
        _ => JobEnd::Stopped { message: Some(format!("stopped before step '{}'", step.name())) },
    }
}
