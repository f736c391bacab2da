//! Runs one execution in the background, and records its end.

use std::sync::{Arc, RwLock};

use tokio::sync::OwnedSemaphorePermit;

use super::job_end::JobEnd;
use super::job_listeners;
use super::logs::LogKeeper;
use super::persist::{persist, persist_end};
use super::run_flow::run_flow;
use super::running::{Handle, StopCause};
use super::state::EngineState;
use crate::event::Event;
use crate::execution::{JobExecution, cause_chain};
use crate::job::{DEFAULT_FINALLY_TIME_LIMIT, Job, JobParameters, Reached, definition_difference};
use crate::listener::JobListening;
use crate::log::LogWriter;
use crate::repository::rules::flow::latest_rounds;
use crate::repository::{Claimed, RepositoryError, StartedStep};
use crate::secret::{ActiveMask, Mask, Opened};
use crate::step::{ExecutionRuntime, JobScope, Shared};

/// Runs an execution of this node in the background; `permit` is given back when it has ended.
pub(super) fn spawn(state: &Arc<EngineState>, claimed: Claimed, permit: Option<OwnedSemaphorePermit>) {
    let handle = state.local.begin(&claimed);
    let Claimed { lease, past_definition, begun, .. } = claimed;
    let state = Arc::clone(state);
    let tracker = state.tasks.clone();
    tracker.spawn(async move {
        // It may have been taken in the very moment in which the node began to close.
        if state.local.closing.is_cancelled() {
            state.local.running.shut_down();
        }
        let recorded = run(&state, past_definition, begun, &handle).await;
        state.local.end(lease.execution_id(), recorded);
        drop(permit);
        state.wake_for_limits();
    });
}

/// Runs an execution to its end, as that was recorded; `None` where it was not.
async fn run(
    state: &Arc<EngineState>,
    past_definition: Option<String>,
    begun: Option<Box<StartedStep>>,
    handle: &Handle,
) -> Option<JobExecution> {
    let execution = handle.execution.as_ref();
    state.events.emit(&Event::ExecutionStarted { execution });
    let execution_id = execution.id;
    let job = state.registry.get(&execution.job_name);
    let (opened, refused) = open_secrets(state, job, &execution.parameters, handle).await;
    let mask = opened.mask.activate();
    let log = LogKeeper::start(state, execution_id, &mask);
    let scope = job_scope(state, execution, (opened.parameters, mask), handle, &log);
    let end = match (job, refused) {
        (_, Some(end)) => end,
        (Some(job), None) => match check_definition(state, job, past_definition, handle).await {
            Ok(()) => begin(state, job, begun, (&scope, &log), handle).await,
            Err(end) => end,
        },
        (None, None) => JobEnd::failed(format!("this node does not know the job '{}'", execution.job_name)),
    };
    let recorded = match end {
        JobEnd::Recorded(execution) => Ok(*execution),
        end => record(state, (job, end), (&scope, &log), handle).await,
    };
    match recorded {
        Ok(execution) => {
            state.events.emit(&Event::ExecutionFinished { execution: &execution });
            return Some(execution);
        }
        // That the store is gone is an event of its own.
        Err(RepositoryError::LeaseLost { .. }) if handle.cause() != Some(StopCause::StoreGone) => {
            state.events.emit(&Event::LeaseLost { execution_id });
        }
        // The node closes while the trouble lasts; the next start recovers the execution.
        Err(_) => {}
    }
    None
}

/// Calls the listeners behind an execution, and records its end.
///
/// # Errors
/// The lease is lost, or the end cannot be recorded.
async fn record(
    state: &EngineState,
    (job, end): (Option<&Job>, JobEnd),
    (scope, log): (&Arc<JobScope>, &LogKeeper),
    handle: &Handle,
) -> Result<JobExecution, RepositoryError> {
    let lost = || RepositoryError::LeaseLost { id: handle.lease.execution_id() };
    let mut outcome = end.outcome(state, scope, handle).ok_or_else(lost)?;
    let limit = job.map_or(DEFAULT_FINALLY_TIME_LIMIT, |job| job.finally_time_limit());
    job_listeners::after(state, scope, handle, limit, &mut outcome).await;
    scope.runtime.end();
    log.finish().await;
    if handle.cause().is_some_and(StopCause::is_loss) {
        return Err(lost());
    }
    let record = || state.repository.finish_execution(&handle.lease, outcome.clone());
    persist_end(state, "record the end of an execution", record).await
}

/// Opens the secret parameters of an execution; one that has no value ends it.
async fn open_secrets(
    state: &EngineState,
    job: Option<&Job>,
    parameters: &JobParameters,
    handle: &Handle,
) -> (Opened, Option<JobEnd>) {
    let closed = || Opened { parameters: parameters.clone(), mask: Mask::default() };
    let Some(job) = job else { return (closed(), None) };
    tokio::select! {
        biased;
        opened = state.config.secrets.open_aside(job, parameters) => match opened {
            Ok(opened) => (opened, None),
            Err(error) => (closed(), Some(JobEnd::failed(cause_chain(&error)))),
        },
        () = handle.stop.cancelled() => (closed(), Some(JobEnd::Stopped { message: None })),
    }
}

async fn begin(
    state: &Arc<EngineState>,
    job: &Job,
    begun: Option<Box<StartedStep>>,
    (scope, log): (&Arc<JobScope>, &LogKeeper),
    handle: &Handle,
) -> JobEnd {
    match job_listeners::before(state, job, scope, handle).await {
        Ok(()) => run_flow(state, job.clone(), begun, (scope, log), handle).await,
        Err(end) => end,
    }
}

/// Compares the definition of the job with that on which the past of the execution depends: what resumes by itself is
/// asked for here alone.
///
/// # Errors
/// The end of the execution, which waits for a person then.
async fn check_definition(
    state: &EngineState,
    job: &Job,
    past_definition: Option<String>,
    handle: &Handle,
) -> Result<(), JobEnd> {
    let (execution_id, now) = (handle.lease.execution_id(), job.fingerprint());
    let Some(definition) = past_definition.filter(|past| past != now) else { return Ok(()) };
    let past = persist(state, "read the past of a flow", || state.repository.flow_past(&handle.lease)).await;
    let past = past.map_err(|error| JobEnd::failed(cause_chain(&error)))?;
    let steps = latest_rounds(&past.rounds);
    let reached = Reached { entries: &past.entries, steps: &steps };
    match definition_difference(&definition, now, reached) {
        Ok(None) => {
            state.events.emit(&Event::DefinitionChanged { execution_id, difference: None });
            Ok(())
        }
        Ok(Some(difference)) => {
            state.events.emit(&Event::DefinitionChanged { execution_id, difference: Some(&difference) });
            let message = format!(
                "waits: definition changed: {difference}; restart it with accept_changes (--accept-changes) to go on all \
                 the same, or launch with force to run every step from the start"
            );
            Err(JobEnd::DefinitionChanged { message })
        }
        Err(error) => Err(JobEnd::failed(format!("the stored definition of the job cannot be read: {error}"))),
    }
}

fn job_scope(
    state: &Arc<EngineState>,
    execution: &JobExecution,
    (parameters, mask): (JobParameters, ActiveMask),
    handle: &Handle,
    log: &LogKeeper,
) -> Arc<JobScope> {
    let log = Arc::clone(log.log());
    let writer = LogWriter::of(&log, None);
    let (node, id) = (Arc::clone(state), execution.id);
    let request_stop = move || {
        node.local.running.stop(id, &node.events);
    };
    Arc::new(JobScope {
        job_name: execution.job_name.clone(),
        execution_id: execution.id,
        instance_id: execution.instance_id,
        rerun_of: execution.rerun_of,
        parameters,
        context: Shared::default(),
        steps: RwLock::default(),
        stop: handle.stop.clone(),
        repository: Arc::clone(&state.repository),
        events: state.events.masking(&mask),
        mask,
        log,
        listening: JobListening::default(),
        runtime: ExecutionRuntime::new(&execution.job_name, execution.id, Some(writer)),
        request_stop: Box::new(request_stop),
    })
}
