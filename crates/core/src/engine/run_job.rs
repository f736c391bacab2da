//! Runs one execution: its steps one after the other, then the record of its end.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::job_listeners;
use super::persist::{persist, persist_end};
use super::rerun_plan::{StepsOf, gone, steps_of};
use super::run_step::run_step;
use super::running::{Handle, StopCause};
use super::state::EngineState;
use super::step_end::StepEnd;
use crate::event::Event;
use crate::execution::{EXIT_SHUTDOWN, ExecutionContext, JobExecution, StatusEvent, cause_chain};
use crate::job::Job;
use crate::listener::JobListening;
use crate::repository::{ExecutionOutcome, Lease, NewStep, RepositoryError, StartedStep, StepStart};
use crate::step::{ExecutionRuntime, JobScope, Shared, Step, StepKind};

/// The end of an execution, before it is recorded.
enum JobEnd {
    Completed { exit_code: Option<String>, message: Option<String> },
    Failed { message: String },
    Stopped { message: Option<String> },
    LeaseLost,
}

/// Runs an execution of this node in the background; `permit` is given back when it has ended.
pub(super) fn spawn(
    state: &Arc<EngineState>,
    execution: JobExecution,
    lease: Lease,
    permit: Option<OwnedSemaphorePermit>,
) {
    let handle = state.local.begin(lease, &execution);
    let state = Arc::clone(state);
    let tracker = state.tasks.clone();
    tracker.spawn(async move {
        // It may have been taken in the very moment in which the node began to close.
        if state.local.closing.is_cancelled() {
            state.local.running.shut_down();
        }
        run(&state, execution, &handle).await;
        state.local.end(lease.execution_id());
        drop(permit);
        state.wake_for_limits();
    });
}

async fn run(state: &Arc<EngineState>, execution: JobExecution, handle: &Handle) {
    state.events.emit(&Event::ExecutionStarted { execution: &execution });
    let execution_id = execution.id;
    let scope = job_scope(state, &execution, handle);
    let end = match state.registry.get(&execution.job_name) {
        Some(job) => match job_listeners::before(state, job, &scope, handle).await {
            Ok(()) => run_steps(state, job.clone(), execution, &scope, handle).await,
            Err(message) if handle.cause().is_some() => JobEnd::Stopped { message: Some(message) },
            Err(message) => JobEnd::Failed { message },
        },
        None => JobEnd::Failed { message: format!("this node does not know the job '{}'", execution.job_name) },
    };
    let lost = || {
        // That the store is gone is an event of its own.
        if handle.cause() != Some(StopCause::StoreGone) {
            state.events.emit(&Event::LeaseLost { execution_id });
        }
    };
    let Some(mut outcome) = outcome(state, end, handle) else { return lost() };
    job_listeners::after(state, &scope, handle, &mut outcome).await;
    scope.runtime.end();
    if handle.cause().is_some_and(StopCause::is_loss) {
        return lost();
    }
    let recorded = persist_end(state, "record the end of an execution", || {
        state.repository.finish_execution(&handle.lease, outcome.clone())
    });
    match recorded.await {
        Ok(execution) => state.events.emit(&Event::ExecutionFinished { execution: &execution }),
        Err(RepositoryError::LeaseLost { .. }) => lost(),
        // The node closes while the trouble lasts; the next start recovers the execution.
        Err(_) => {}
    }
}

fn outcome(state: &EngineState, end: JobEnd, handle: &Handle) -> Option<ExecutionOutcome> {
    let time = state.config.clock.now();
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

fn job_scope(state: &Arc<EngineState>, execution: &JobExecution, handle: &Handle) -> Arc<JobScope> {
    let (node, id) = (Arc::clone(state), execution.id);
    let request_stop = move || {
        node.local.running.stop(id, &node.events);
    };
    Arc::new(JobScope {
        job_name: execution.job_name.clone(),
        execution_id: execution.id,
        instance_id: execution.instance_id,
        rerun_of: execution.rerun_of,
        parameters: execution.parameters.clone(),
        context: Shared::default(),
        stop: handle.stop.clone(),
        repository: Arc::clone(&state.repository),
        events: state.events.clone(),
        listening: JobListening::default(),
        runtime: ExecutionRuntime::new(&execution.job_name, execution.id),
        request_stop: Box::new(request_stop),
    })
}

async fn run_steps(
    state: &Arc<EngineState>,
    job: Job,
    execution: JobExecution,
    scope: &Arc<JobScope>,
    handle: &Handle,
) -> JobEnd {
    let find =
        persist(state, "find the steps of an execution", || steps_of(state.repository.as_ref(), &job, &execution));
    let steps = match find.await {
        Ok(StepsOf::Steps(steps)) => steps,
        Ok(StepsOf::Gone(of)) => return JobEnd::Failed { message: gone(of) },
        Err(error) => return JobEnd::Failed { message: cause_chain(&error) },
    };
    let mut ran = 0_usize;
    let mut exit_code = None;
    for step in steps {
        let started = match start_step(state, step, scope, handle).await {
            Ok(Some(started)) => started,
            Ok(None) => continue,
            Err(end) => return end,
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
        match run_step(state, step, scope, handle, started).await {
            StepEnd::Completed { exit_code: own } => exit_code = own,
            StepEnd::Failed { message } => {
                return JobEnd::Failed { message: format!("step '{}' failed: {message}", step.name()) };
            }
            StepEnd::Stopped => return JobEnd::Stopped { message: Some(stopped_in(state, step, handle)) },
            StepEnd::LeaseLost => return JobEnd::LeaseLost,
        }
    }
    let message = (ran == 0).then(|| {
        "every step was already complete in an earlier execution, nothing was run; launch with force to run them again"
            .to_owned()
    });
    JobEnd::Completed { exit_code, message }
}

/// Begins a step; `None` when an earlier execution has completed it.
///
/// # Errors
/// The end of the execution, when the step cannot begin.
async fn start_step(
    state: &EngineState,
    step: &Step,
    scope: &JobScope,
    handle: &Handle,
) -> Result<Option<StartedStep>, JobEnd> {
    if handle.cause().is_some() {
        return Err(stopped_before(step, handle));
    }
    let new = NewStep {
        step_name: step.name().to_owned(),
        rerun_if_complete: step.reruns_if_complete(),
        start_limit: step.start_limit(),
        time: state.config.clock.now(),
    };
    let start = persist(state, "begin a step", || state.repository.start_step(&handle.lease, new.clone())).await;
    match start {
        Ok(StepStart::Run(started)) => Ok(Some(started)),
        Ok(StepStart::AlreadyComplete) => {
            let (execution_id, step_name) = (scope.execution_id, step.name());
            state.events.emit(&Event::StepAlreadyComplete { execution_id, step_name });
            Ok(None)
        }
        Ok(StepStart::StopRequested) => {
            state.local.running.stop(scope.execution_id, &state.events);
            Err(stopped_before(step, handle))
        }
        Ok(StepStart::StartLimitReached { attempts }) => Err(JobEnd::Failed {
            message: format!(
                "step '{}' was attempted {attempts} times, as often as its start limit allows; launch with force to begin anew",
                step.name()
            ),
        }),
        Err(RepositoryError::LeaseLost { .. }) => Err(JobEnd::LeaseLost),
        Err(error) => Err(JobEnd::Failed { message: cause_chain(&error) }),
    }
}

/// The message of an execution that stopped in a step.
fn stopped_in(state: &EngineState, step: &Step, handle: &Handle) -> String {
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

fn stopped_before(step: &Step, handle: &Handle) -> JobEnd {
    match handle.cause() {
        Some(cause) if cause.is_loss() => JobEnd::LeaseLost,
        _ => JobEnd::Stopped { message: Some(format!("stopped before step '{}'", step.name())) },
    }
}
