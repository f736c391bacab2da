//! Runs one step execution on a thread of its own, and sees to it that a stop ends it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error_span;

use super::persist::persist;
use super::running::{Handle, LiveStep, StopCause};
use super::state::EngineState;
use super::step_end::{EndedStep, FlowOf, Report, StepEnd};
use crate::author_thread;
use crate::event::Event;
use crate::execution::{StepState, cause_chain};
use crate::listener::{StepListening, run_listened};
use crate::repository::{RepositoryError, StartedStep};
use crate::step::{BodyError, BodyRun, JobScope, LiveCounters, SavedContexts, Shared, Step, StepContext, StepScope};

/// The time that a step that was dropped may take to report before its thread is left behind.
pub(super) const LEAVE_BEHIND_AFTER: Duration = Duration::from_millis(500);
/// Time between polls of the step's further threads that are to end.
const POLL_SIDE_THREADS: Duration = Duration::from_millis(10);

/// Runs a step that was started, to its recorded end.
pub(super) async fn run_step(
    state: &Arc<EngineState>,
    (step, started): (&Step, StartedStep),
    job: &Arc<JobScope>,
    handle: &Handle,
    flow: FlowOf<'_>,
) -> StepEnd {
    let step_id = started.fence.step_id;
    let live = Arc::new(LiveCounters::default());
    let resumed = started.state.is_some();
    let stored = started.state.as_deref().map_or_else(|| Ok(StepState::default()), StepState::from_json);
    let own_context = stored.as_ref().map(|stored| stored.context.clone()).unwrap_or_default();
    let job_context = job.context.current();
    let scope = Arc::new(StepScope {
        job: Arc::clone(job),
        step_name: step.name().to_owned(),
        step_id,
        context: Shared::default(),
        saved: SavedContexts::new(own_context, job_context.clone()),
        live: Arc::clone(&live),
        earlier: started.earlier,
        beside: Arc::default(),
        listening: StepListening::default(),
        progress: OnceLock::new(),
        totals: Mutex::default(),
    });
    let step_name = step.name();
    handle.begin_step(LiveStep { step_id, step_name: step_name.to_owned(), live: Arc::clone(&live) });
    state.events.emit(&Event::StepStarted { execution_id: job.execution_id, step_id, step_name, resumed, live: &live });
    let (kept, report) = match stored {
        Ok(stored) => {
            scope.context.replace(stored.context.clone());
            let report =
                match persist(state, "prepare a step", || state.repository.chunk_transaction(&started.fence)).await {
                    Ok(mut transaction) => {
                        transaction.end_waits_at(handle.stop.clone());
                        let run = BodyRun {
                            context: StepContext::new(Arc::clone(&scope)),
                            state: stored.clone(),
                            control_totals: started.control_totals.clone(),
                            resumed,
                            transaction,
                        };
                        supervise(state, step, run, handle).await
                    }
                    Err(RepositoryError::LeaseLost { .. }) => Report::Body(BodyError::LeaseLost),
                    Err(error) => Report::Body(BodyError::Failed(cause_chain(&error))),
                };
            (stored, report)
        }
        Err(error) => (StepState::default(), Report::Body(BodyError::Failed(cause_chain(&error)))),
    };
    let ended = EndedStep { step, scope: &scope, handle, started: &started, kept, job_context, flow };
    let end = ended.record(state, report).await;
    handle.end_step(step_id);
    end
}

/// Lets the step's thread run and, when a stop was asked for and the grace is over, drops it or leaves it behind.
async fn supervise(state: &EngineState, step: &Step, run: BodyRun, handle: &Handle) -> Report {
    let drop_it = CancellationToken::new();
    let beside = Arc::clone(&run.context.scope().beside);
    let mut report = match start_thread(step.clone(), run, drop_it.clone()) {
        Ok(report) => report,
        Err(error) => {
            let message = format!("failed to start a thread for the step: {error}");
            return Report::Body(BodyError::Failed(message));
        }
    };
    let received = |received: Result<thread::Result<Report>, _>| match received {
        Ok(Ok(report)) => report,
        Ok(Err(payload)) => Report::Panicked(payload),
        Err(_) => Report::Died,
    };
    tokio::select! {
        biased;
        ended = &mut report => return received(ended),
        () = handle.stop.cancelled() => {}
    }
    let grace = match handle.cause() {
        Some(cause) if cause.is_loss() => Duration::ZERO,
        Some(StopCause::Shutdown) => state.config.shutdown_timeout,
        _ => state.config.stop_grace,
    };
    let mut deadline = Instant::now() + grace;
    if !state.local.closing.is_cancelled() {
        tokio::select! {
            biased;
            ended = &mut report => return received(ended),
            () = tokio::time::sleep_until(deadline) => {}
            // A shutdown does not wait longer than its own time for what was being stopped already.
            () = state.local.closing.cancelled() => deadline = deadline.min(Instant::now() + state.config.shutdown_timeout),
        }
    }
    if let Ok(ended) = tokio::time::timeout_at(deadline, &mut report).await {
        return received(ended);
    }
    drop_it.cancel();
    let deadline = Instant::now() + LEAVE_BEHIND_AFTER;
    if let Ok(ended) = tokio::time::timeout_at(deadline, &mut report).await {
        // The future is gone, but threads that read or process for it may sit in the author's code.
        while beside.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            tokio::time::sleep(POLL_SIDE_THREADS).await;
        }
        if beside.load(Ordering::Acquire) == 0 {
            return received(ended);
        }
    }
    let (execution_id, step_name) = (handle.lease.execution_id(), step.name());
    state.events.emit(&Event::StepLeftBehind { execution_id, step_name });
    Report::LeftBehind
}

/// Runs the body on a new thread. Its log lines, and those of the author's code, carry the execution and the step.
fn start_thread(
    step: Step,
    run: BodyRun,
    drop_it: CancellationToken,
) -> std::io::Result<oneshot::Receiver<thread::Result<Report>>> {
    let context = &run.context;
    let name = format!("step-{}", context.step_execution_id());
    // Of the highest level, so that no filter takes the ids away from the lines that it lets through.
    let span = error_span!(
        "step",
        job.name = context.job_name(),
        execution.id = context.execution_id().0,
        step.name = context.step_name()
    );
    let body = move |runtime: &tokio::runtime::Runtime| {
        runtime.block_on(async {
            tokio::select! {
                biased;
                ended = run_listened(&step, run) => match ended {
                    Ok(end) => Report::Ended(end),
                    Err(error) => Report::Body(error),
                },
                () = drop_it.cancelled() => Report::Dropped,
            }
        })
    };
    span.in_scope(|| author_thread::start(name, (), body))
}
