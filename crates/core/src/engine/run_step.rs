//! Runs one step execution on a thread of its own, and records how it ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::finish::{self, persist};
use super::run_job::LEAVE_BEHIND_AFTER;
use super::running::{Handle, StopCause};
use super::{Event, Inner, LiveStep};
use crate::execution::{EXIT_SHUTDOWN, ExecutionContext, Status, StatusEvent, StepState, cause_chain, cut_message};
use crate::repository::{RepositoryError, StartedStep, StepOutcome};
use crate::step::{
    BodyEnd, BodyFault, BodyRun, JobScope, LiveCounters, STACK_BYTES, Shared, Step, StepContext, StepKind, StepScope,
};

/// Time between looks at threads beside the step's own that are to end.
const LOOK_BESIDE: Duration = Duration::from_millis(10);

/// How a step ended, and is recorded to have ended.
pub(super) enum StepEnd {
    Completed { exit_code: Option<String> },
    Failed { message: String },
    Stopped,
    LeaseLost,
}

/// What the step's thread reports.
enum Report {
    Ended(BodyEnd),
    Fault(BodyFault),
    Panicked(String),
    /// Its future was dropped at a point where it waited.
    Dropped,
    /// It did not report in time; its thread may go on, but can commit nothing.
    LeftBehind,
}

/// Runs a step that was started, to its recorded end.
pub(super) async fn run_step(
    inner: &Arc<Inner>,
    step: &Step,
    job: &Arc<JobScope>,
    handle: &Handle,
    started: StartedStep,
) -> StepEnd {
    let step_id = started.fence.step_id;
    let live = Arc::new(LiveCounters::default());
    let resumed = started.state.is_some();
    let scope = Arc::new(StepScope {
        job: Arc::clone(job),
        step_name: step.name().to_owned(),
        step_id,
        context: Shared::default(),
        live: Arc::clone(&live),
        beside: Arc::default(),
    });
    let step_name = step.name();
    handle.begin_step(LiveStep { step_id, step_name: step_name.to_owned(), live: Arc::clone(&live) });
    inner.events.emit(&Event::StepStarted { execution_id: job.execution_id, step_id, step_name, resumed, live: &live });
    let state = started.state.as_deref().map_or_else(|| Ok(StepState::default()), StepState::from_json);
    let (kept, report) = match state {
        Ok(state) => {
            scope.context.replace(state.context.clone());
            let report =
                match persist(inner, "prepare a step", || inner.repository.chunk_transaction(&started.fence)).await {
                    Ok(transaction) => {
                        let run = BodyRun {
                            context: StepContext::new(Arc::clone(&scope)),
                            state: state.clone(),
                            control_totals: started.control_totals.clone(),
                            resumed,
                            transaction,
                        };
                        supervise(inner, step, run, handle).await
                    }
                    Err(RepositoryError::LeaseLost { .. }) => Report::Fault(BodyFault::LeaseLost),
                    Err(error) => Report::Fault(BodyFault::Failed(cause_chain(&error))),
                };
            (state, report)
        }
        Err(error) => (StepState::default(), Report::Fault(BodyFault::Failed(cause_chain(&error)))),
    };
    let end = record(inner, step, &scope, handle, &started, kept, report).await;
    handle.end_step(step_id);
    end
}

/// Lets the step's thread run and, when a stop was asked for and the grace is over, drops it or leaves it behind.
async fn supervise(inner: &Inner, step: &Step, run: BodyRun, handle: &Handle) -> Report {
    let drop_it = CancellationToken::new();
    let beside = Arc::clone(&run.context.scope().beside);
    let mut report = match spawn_thread(step.clone(), run, drop_it.clone()) {
        Ok(report) => report,
        Err(error) => {
            let message = format!("failed to start a thread for the step: {error}");
            return Report::Fault(BodyFault::Failed(message));
        }
    };
    let received =
        |received: Result<Report, _>| received.unwrap_or_else(|_| Report::Panicked("its thread died".into()));
    tokio::select! {
        biased;
        ended = &mut report => return received(ended),
        () = handle.stop.cancelled() => {}
    }
    let grace = match handle.cause() {
        Some(cause) if cause.is_loss() => Duration::ZERO,
        Some(StopCause::Shutdown) => inner.config.shutdown_timeout,
        _ => inner.config.stop_grace,
    };
    let mut deadline = Instant::now() + grace;
    if !inner.closing.is_cancelled() {
        tokio::select! {
            biased;
            ended = &mut report => return received(ended),
            () = tokio::time::sleep_until(deadline) => {}
            // A shutdown does not wait longer than its own time for what was being stopped already.
            () = inner.closing.cancelled() => deadline = deadline.min(Instant::now() + inner.config.shutdown_timeout),
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
            tokio::time::sleep(LOOK_BESIDE).await;
        }
        if beside.load(Ordering::Acquire) == 0 {
            return received(ended);
        }
    }
    let (execution_id, step_name) = (handle.lease.execution_id, step.name());
    inner.events.emit(&Event::StepLeftBehind { execution_id, step_name });
    Report::LeftBehind
}

/// Runs the body on a new thread, with a small runtime of its own for its timers and sockets.
fn spawn_thread(step: Step, run: BodyRun, drop_it: CancellationToken) -> std::io::Result<oneshot::Receiver<Report>> {
    let (sender, receiver) = oneshot::channel();
    let name = format!("step-{}", run.context.step_execution_id());
    std::thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || {
        let body = AssertUnwindSafe(|| {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    return Report::Fault(BodyFault::Failed(format!("failed to start the step's runtime: {error}")));
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    ended = step.body().run(run) => match ended {
                        Ok(end) => Report::Ended(end),
                        Err(fault) => Report::Fault(fault),
                    },
                    () = drop_it.cancelled() => Report::Dropped,
                }
            })
        });
        let report =
            std::panic::catch_unwind(body).unwrap_or_else(|payload| Report::Panicked(panic_text(payload.as_ref())));
        // Nobody listens any more when the thread was left behind.
        let _ = sender.send(report);
    })?;
    Ok(receiver)
}

/// A panic of tokio's that its own words do not explain.
fn explained(panic: String) -> String {
    if panic.contains("Tokio 1.x context was found, but it is being shutdown") {
        return format!(
            "{panic} (something that outlives its execution, a timer or a client that a factory keeps, belongs to the runtime of an earlier execution, which ended with it: build it anew for each execution, or on a runtime of the program's own)"
        );
    }
    panic
}

pub(super) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

async fn record(
    inner: &Inner,
    step: &Step,
    scope: &StepScope,
    handle: &Handle,
    started: &StartedStep,
    kept: StepState,
    report: Report,
) -> StepEnd {
    let shutdown = handle.cause() == Some(StopCause::Shutdown);
    let (event, exit_code, message) = match report {
        Report::Fault(BodyFault::LeaseLost) => return StepEnd::LeaseLost,
        _ if handle.cause().is_some_and(StopCause::is_loss) => return StepEnd::LeaseLost,
        Report::Ended(BodyEnd::Completed { exit_code }) => (StatusEvent::Complete, exit_code, None),
        Report::Fault(BodyFault::Failed(message)) => (StatusEvent::Fail, None, Some(message)),
        Report::Panicked(text) => (StatusEvent::Fail, None, Some(format!("panicked: {}", explained(text)))),
        Report::Ended(BodyEnd::Stopped) => (StatusEvent::Stop, None, None),
        Report::Dropped => (StatusEvent::Stop, None, Some("did not stop in time; its work was dropped".to_owned())),
        Report::LeftBehind => {
            let message = "did not stop in time and was left behind: its thread may go on, but can commit nothing";
            (StatusEvent::Stop, None, Some(message.to_owned()))
        }
    };
    let exit_code = exit_code.or_else(|| (shutdown && event == StatusEvent::Stop).then(|| EXIT_SHUTDOWN.to_owned()));
    let (state, job_context) = match unsaved_contexts(step, scope, kept, event) {
        Ok(contexts) => contexts,
        Err(message) => {
            return finish(inner, scope, started, StatusEvent::Fail, None, Some(message), (None, None)).await;
        }
    };
    finish(inner, scope, started, event, exit_code, message.map(cut_message), (state, job_context)).await
}

/// What the end of the step has to save of the contexts. A chunk step saves with its chunks: what it changed after the
/// last commit belongs to a chunk that is void. A task's changes are its own marks and are kept however it ended.
fn unsaved_contexts(
    step: &Step,
    scope: &StepScope,
    mut kept: StepState,
    event: StatusEvent,
) -> Result<(Option<String>, Option<String>), String> {
    if step.kind() != StepKind::Task && event != StatusEvent::Complete {
        return Ok((None, None));
    }
    let mut state = None;
    if step.kind() == StepKind::Task
        && let Some(changed) = scope.context.take_change()
    {
        kept.context = changed;
        let mut json = String::new();
        kept.write_json(&mut json).map_err(|error| error.to_string())?;
        state = Some(json);
    }
    scope.job.context.settle();
    let changed = scope.job.context.take_change();
    let job_context = changed.as_ref().map(ExecutionContext::to_json).transpose().map_err(|error| error.to_string())?;
    Ok((state, job_context))
}

async fn finish(
    inner: &Inner,
    scope: &StepScope,
    started: &StartedStep,
    event: StatusEvent,
    exit_code: Option<String>,
    exit_message: Option<String>,
    (state, job_context): (Option<String>, Option<String>),
) -> StepEnd {
    let outcome = StepOutcome {
        event,
        exit_code: exit_code.clone(),
        exit_message: exit_message.clone(),
        counters: scope.live.counters(),
        progress: scope.live.progress(),
        state,
        job_context,
        time: inner.config.clock.now(),
    };
    let recorded = finish::record(inner, "record the end of a step", || {
        inner.repository.finish_step(&started.fence, outcome.clone())
    });
    match recorded.await {
        Ok(step) => {
            inner.events.emit(&Event::StepFinished { step: &step });
            // The store has lost chunks that it had answered, and knows better how the step stands.
            if step.status == Status::Failed && event != StatusEvent::Fail {
                return StepEnd::Failed { message: step.exit_message.unwrap_or_default() };
            }
        }
        Err(RepositoryError::LeaseLost { .. }) => return StepEnd::LeaseLost,
        Err(error) => return StepEnd::Failed { message: cause_chain(&error) },
    }
    match event {
        StatusEvent::Complete => StepEnd::Completed { exit_code },
        StatusEvent::Stop => StepEnd::Stopped,
        _ => StepEnd::Failed { message: exit_message.unwrap_or_default() },
    }
}
