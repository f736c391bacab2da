//! Runs one step execution on a thread of its own, and sees to it that a stop ends it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error_span;

use super::grace::{Ending, LEAVE_BEHIND_AFTER, within_grace};
use super::logs::LogKeeper;
use super::persist::persist;
use super::running::{Handle, LiveStep};
use super::state::EngineState;
use super::step_end::{BehindOf, EndedStep, Report, StepEnd};
use super::time_limit::{Bound, exceeded, first};
use crate::author_thread;
use crate::event::{Event, Limited};
use crate::execution::{StepState, cause_chain};
use crate::listener::{StepListening, run_listened};
use crate::log::{LogWriter, attached};
use crate::repository::{RepositoryError, StartedStep};
use crate::step::{
    BodyEnd, BodyError, BodyRun, JobScope, LiveCounters, SavedContexts, Shared, Step, StepContext, StepScope,
};

/// Time between polls of the step's further threads that are to end.
const POLL_SIDE_THREADS: Duration = Duration::from_millis(10);

/// Where the report of a step's thread arrives.
type Receiver = oneshot::Receiver<thread::Result<Report>>;

/// A step that was started, with what ends it besides itself.
pub(super) struct StepRun<'a> {
    pub(super) step: &'a Step,
    pub(super) started: StartedStep,
    /// The time limit of the part of the job in which it runs.
    pub(super) part: Option<Bound>,
    /// Says what is recorded with its end.
    pub(super) behind: BehindOf<'a>,
    /// The log of the execution.
    pub(super) log: &'a LogKeeper,
}

/// Runs a step that was started, to its recorded end.
pub(super) async fn run_step(
    state: &Arc<EngineState>,
    job: &Arc<JobScope>,
    handle: &Handle,
    run: StepRun<'_>,
) -> StepEnd {
    let StepRun { step, started, part, behind, log } = run;
    let step_id = started.fence.step_id;
    let own = step.time_limit().map(|limit| Bound::new(Limited::Step, limit, started.running, handle.clock.now()));
    let bound = first(own.into_iter().chain(part));
    let live = Arc::new(LiveCounters::default());
    let resumed = started.state.is_some();
    let stored = started.state.as_deref().map_or_else(|| Ok(StepState::default()), StepState::from_json);
    let own_context = stored.as_ref().map(|stored| stored.context.clone()).unwrap_or_default();
    let job_context = job.context.current();
    let scope = Arc::new(StepScope {
        job: Arc::clone(job),
        stop: handle.stop.child_token(),
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
    let (kept, (report, over)) = match stored {
        Ok(stored) => {
            scope.context.replace(stored.context.clone());
            let ended =
                match persist(state, "prepare a step", || state.repository.chunk_transaction(&started.fence)).await {
                    Ok(mut transaction) => {
                        transaction.end_waits_at(scope.stop.clone());
                        let run = BodyRun {
                            context: StepContext::new(Arc::clone(&scope)),
                            state: stored.clone(),
                            control_totals: started.control_totals.clone(),
                            resumed,
                            transaction,
                        };
                        supervise(state, step, run, handle, bound).await
                    }
                    Err(RepositoryError::LeaseLost { .. }) => (Report::Body(BodyError::LeaseLost), None),
                    Err(error) => (Report::Body(BodyError::Failed(cause_chain(&error))), None),
                };
            (stored, ended)
        }
        Err(error) => (StepState::default(), (Report::Body(BodyError::Failed(cause_chain(&error))), None)),
    };
    let ended = EndedStep { step, scope: &scope, handle, log, started: &started, kept, job_context, behind, over };
    let end = ended.record(state, report).await;
    handle.end_step(step_id);
    end
}

/// Lets the step's thread run and, when a stop was asked for or a time limit is exceeded, and the grace is over, drops
/// it or leaves it behind. Its report, and the limit that it has exceeded.
async fn supervise(
    state: &EngineState,
    step: &Step,
    run: BodyRun,
    handle: &Handle,
    bound: Option<Bound>,
) -> (Report, Option<Bound>) {
    if handle.stop.is_cancelled() {
        // The stop came while its begin was recorded: none of the author's code is called any more.
        return (Report::Ended(BodyEnd::Stopped), None);
    }
    let drop_it = CancellationToken::new();
    let scope = run.context.scope();
    let (beside, stop) = (Arc::clone(&scope.beside), scope.stop.clone());
    let mut report = match start_thread(step.clone(), run, drop_it.clone()) {
        Ok(report) => report,
        Err(error) => {
            let message = format!("failed to start a thread for the step: {error}");
            return (Report::Body(BodyError::Failed(message)), None);
        }
    };
    let over = tokio::select! {
        biased;
        ended = &mut report => return (received(ended), None),
        () = handle.stop.cancelled() => None,
        bound = exceeded(bound, &handle.clock) => Some(bound),
    };
    if let Some(bound) = over {
        bound.report(&state.events, handle.lease.execution_id(), step.name());
        stop.cancel();
    }
    if let Some(ended) = within_grace(state, handle, Ending::Work, &mut report).await {
        return (received(ended), over);
    }
    drop_it.cancel();
    (drop_or_leave_behind(state, step, handle, report, &beside).await, over)
}

/// Waits for the report of a step whose future is dropped; its thread is left behind when it does not come in time.
async fn drop_or_leave_behind(
    state: &EngineState,
    step: &Step,
    handle: &Handle,
    mut report: Receiver,
    beside: &AtomicUsize,
) -> Report {
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

fn received(received: Result<thread::Result<Report>, oneshot::error::RecvError>) -> Report {
    match received {
        Ok(Ok(report)) => report,
        Ok(Err(payload)) => Report::Panicked(payload),
        Err(_) => Report::Died,
    }
}

/// Runs the body on a new thread. Its log lines, and those of the author's code, carry the execution and the step.
fn start_thread(step: Step, run: BodyRun, drop_it: CancellationToken) -> std::io::Result<Receiver> {
    let context = &run.context;
    let name = format!("step-{}", context.step_execution_id());
    // Of the highest level, so that no filter takes the ids away from the lines that it lets through.
    let make = || {
        error_span!(
            "step",
            job.name = context.job_name(),
            execution.id = context.execution_id().0,
            step.name = context.step_name()
        )
    };
    let span = attached(LogWriter::of(&context.scope().job.log, Some(context.step_name())), make);
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
