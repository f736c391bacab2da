//! The begin of a step, and the sentences for an execution that stopped before or within one.

use super::config::EngineConfig;
use super::job_end::JobEnd;
use super::persist::persist;
use super::running::{Handle, StopCause};
use super::state::EngineState;
use crate::event::Event;
use crate::execution::{ExecutionId, StepSummary, cause_chain};
use crate::job::flow::Ended;
use crate::job::{Job, JobRegistry};
use crate::repository::{FirstStep, KnownJobs, NewStep, RepositoryError, StartedStep, StepStart};
use crate::step::{JobScope, Step, StepKind};

/// The answer to the begin of a step.
pub(super) enum Begun {
    Run(Box<StartedStep>),
    /// An earlier execution has completed it.
    AlreadyComplete(Box<StepSummary>),
}

/// The jobs of a node, with the first steps that may begin with the claim.
pub(super) fn known_jobs(registry: &JobRegistry, config: &EngineConfig) -> KnownJobs {
    let jobs = registry.iter().map(|job| (job.name().to_owned(), job.fingerprint().to_owned()));
    let first = registry.iter().filter_map(|job| Some((job.name().to_owned(), first_step(job, config)?)));
    KnownJobs::new(jobs).with_first_steps(first)
}

/// The first step of a job; `None` where a listener is called before it, or the past of the flow says which it is.
fn first_step(job: &Job, config: &EngineConfig) -> Option<FirstStep> {
    let step = job.flow().elements().first()?.step()?;
    let is_preceded = !config.listeners.is_empty() || !job.listeners().is_empty() || job.flow().has_past();
    let first = FirstStep {
        step_name: step.name().to_owned(),
        rerun_if_complete: step.reruns_if_complete(),
        start_limit: step.start_limit(),
    };
    (!is_preceded).then_some(first)
}

/// Begins a step in a round of its own, whose attempts count from an execution where that is another one than for the
/// flow.
///
/// # Errors
/// The end of the execution, when the step cannot begin.
pub(super) async fn start_step(
    state: &EngineState,
    step: &Step,
    scope: &JobScope,
    handle: &Handle,
    (iteration, since): (u32, Option<ExecutionId>),
) -> Result<Begun, JobEnd> {
    if handle.cause().is_some() {
        return Err(stopped_before(step.name(), handle));
    }
    let new = new_step(step, (iteration, since), state.config.clock.now());
    let start = persist(state, "begin a step", || state.repository.start_step(&handle.lease, new.clone())).await;
    match start {
        Ok(StepStart::Run(started)) => Ok(Begun::Run(started)),
        Ok(StepStart::AlreadyComplete(summary)) => {
            let (execution_id, step_name) = (scope.execution_id, step.name());
            state.events.emit(&Event::StepAlreadyComplete { execution_id, step_name });
            Ok(Begun::AlreadyComplete(summary))
        }
        Ok(StepStart::StopRequested) => {
            state.local.running.stop(scope.execution_id, &state.events);
            Err(stopped_before(step.name(), handle))
        }
        Ok(StepStart::StartLimitReached { attempts }) => Err(JobEnd::failed(start_limit_reached(step, attempts))),
        Err(RepositoryError::LeaseLost { .. }) => Err(JobEnd::LeaseLost),
        Err(error) => Err(JobEnd::failed(cause_chain(&error))),
    }
}

/// A step as the repository is asked whether it has to run.
pub(super) fn new_step(step: &Step, (iteration, since): (u32, Option<ExecutionId>), time: jiff::Timestamp) -> NewStep {
    NewStep {
        step_name: step.name().to_owned(),
        iteration,
        since,
        rerun_if_complete: step.reruns_if_complete(),
        start_limit: step.start_limit(),
        time,
    }
}

/// The end of a step that an earlier execution has completed.
pub(super) fn already_complete(summary: &StepSummary) -> Ended {
    let exit_code = summary.exit_code.clone().unwrap_or_else(|| summary.status.as_str().to_owned());
    Ended { status: summary.status, exit_code, message: None, has_run: false }
}

/// The message of an execution that fails since a step was attempted as often as it may be.
pub(super) fn start_limit_reached(step: &Step, attempts: i64) -> String {
    format!(
        "step '{}' was attempted {attempts} times, as often as its start limit allows; launch with force to begin anew",
        step.name()
    )
}

/// The message of an execution that stopped in a step.
pub(super) fn stopped_in(state: &EngineState, step: &Step, handle: &Handle) -> String {
    match handle.cause() {
        Some(StopCause::Shutdown) if state.local.closing.is_cancelled() => {
            "stopped by the shutdown of its node; it resumes by itself".to_owned()
        }
        Some(StopCause::Shutdown) => "stopped because its node is drained; it resumes by itself".to_owned(),
        Some(_) => format!("stopped on request in step '{}'", step.name()),
        // A chunk step stops for no other reason: it heard of the request by its commit.
        None if step.kind() != StepKind::Task => format!("stopped on request in step '{}'", step.name()),
        None => format!("step '{}' stopped of itself", step.name()),
    }
}

pub(super) fn stopped_before(element: &str, handle: &Handle) -> JobEnd {
    match handle.cause() {
        Some(cause) if cause.is_loss() => JobEnd::LeaseLost,
        _ => JobEnd::Stopped { message: Some(format!("stopped before step '{element}'")) },
    }
}
