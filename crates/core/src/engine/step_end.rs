//! The end of a step execution: what its thread reported becomes its recorded end.

use super::persist::persist_end;
use super::running::{Handle, StopCause};
use super::state::EngineState;
use crate::author_thread::panic_message;
use crate::event::Event;
use crate::execution::{
    ContextChanges, EXIT_SHUTDOWN, ExecutionContext, Status, StatusEvent, StepState, cause_chain, cut_message,
};
use crate::repository::{RepositoryError, StartedStep, StepOutcome};
use crate::step::{BodyEnd, BodyError, Step, StepKind, StepScope};

/// The end of a step as it is recorded.
pub(super) enum StepEnd {
    Completed { exit_code: Option<String> },
    Failed { message: String },
    Stopped,
    LeaseLost,
}

/// The report of a step's thread.
pub(super) enum Report {
    Ended(BodyEnd),
    Body(BodyError),
    /// It panicked.
    Panicked(Box<dyn std::any::Any + Send>),
    /// It was lost without a report.
    Died,
    /// Its future was dropped at a point where it waited.
    Dropped,
    /// It did not report in time; its thread may go on, but can commit nothing.
    LeftBehind,
}

/// An end that is to be recorded.
struct Ending {
    event: StatusEvent,
    exit_code: Option<String>,
    message: Option<String>,
    state: Option<String>,
    job_context: Option<ContextChanges>,
}

impl Ending {
    fn new(event: StatusEvent, message: Option<String>) -> Self {
        Self { event, exit_code: None, message, state: None, job_context: None }
    }

    fn failed(message: String) -> Self {
        Self::new(StatusEvent::Fail, Some(message))
    }

    /// The end that a report means; `None` when the step is not this node's any more.
    fn of(report: Report) -> Option<Self> {
        Some(match report {
            Report::Body(BodyError::LeaseLost) => return None,
            Report::Ended(BodyEnd::Completed { exit_code }) => {
                Self { exit_code, ..Self::new(StatusEvent::Complete, None) }
            }
            Report::Body(BodyError::Failed(message)) => Self::failed(message),
            Report::Panicked(payload) => Self::failed(panic_message(payload.as_ref())),
            Report::Died => Self::failed("its thread died".to_owned()),
            Report::Ended(BodyEnd::Stopped) => Self::new(StatusEvent::Stop, None),
            Report::Dropped => {
                Self::new(StatusEvent::Stop, Some("did not stop in time; its work was dropped".to_owned()))
            }
            Report::LeftBehind => {
                let message = "did not stop in time and was left behind: its thread may go on, but can commit nothing";
                Self::new(StatusEvent::Stop, Some(message.to_owned()))
            }
        })
    }
}

/// A step that has run, with what its record takes.
pub(super) struct EndedStep<'a> {
    pub(super) step: &'a Step,
    pub(super) scope: &'a StepScope,
    pub(super) handle: &'a Handle,
    pub(super) started: &'a StartedStep,
    /// The state with which it began.
    pub(super) kept: StepState,
    /// The job's context with which it began.
    pub(super) job_context: ExecutionContext,
}

impl EndedStep<'_> {
    /// Records the end.
    pub(super) async fn record(self, state: &EngineState, report: Report) -> StepEnd {
        let Some(mut ending) = Ending::of(report).filter(|_| !self.handle.cause().is_some_and(StopCause::is_loss))
        else {
            return StepEnd::LeaseLost;
        };
        if self.handle.cause() == Some(StopCause::Shutdown) && ending.event == StatusEvent::Stop {
            ending.exit_code.get_or_insert_with(|| EXIT_SHUTDOWN.to_owned());
        }
        let (scope, started) = (self.scope, self.started);
        if let Some(code) = scope.listening.exit_code().filter(|_| ending.event != StatusEvent::Stop) {
            ending.exit_code = Some(code);
        }
        ending.message = scope.listening.completed(ending.message).map(cut_message);
        match unsaved_contexts(self.step, scope, self.kept, &self.job_context, ending.event) {
            Ok((own, of_job)) => (ending.state, ending.job_context) = (own, of_job),
            Err(message) => ending = Ending::failed(message),
        }
        let Ending { event, exit_code, message, .. } = &ending;
        let outcome = StepOutcome {
            event: *event,
            exit_code: exit_code.clone(),
            exit_message: message.clone(),
            counters: scope.live.counters(),
            progress: scope.live.progress(),
            state: ending.state.clone(),
            job_context: ending.job_context.clone(),
            time: state.config.clock.now(),
        };
        let recorded = persist_end(state, "record the end of a step", || {
            state.repository.finish_step(&started.fence, outcome.clone())
        });
        match recorded.await {
            Ok(step) => {
                state.events.emit(&Event::StepFinished { step: &step });
                // The store has lost chunks that it had answered, and knows better how the step stands.
                if step.status == Status::Failed && ending.event != StatusEvent::Fail {
                    return StepEnd::Failed { message: step.exit_message.unwrap_or_default() };
                }
            }
            Err(RepositoryError::LeaseLost { .. }) => return StepEnd::LeaseLost,
            Err(error) => return StepEnd::Failed { message: cause_chain(&error) },
        }
        match ending.event {
            StatusEvent::Complete => StepEnd::Completed { exit_code: ending.exit_code },
            StatusEvent::Stop => StepEnd::Stopped,
            _ => StepEnd::Failed { message: ending.message.unwrap_or_default() },
        }
    }
}

/// The contexts that the end of the step has to save. A chunk step saves with its chunks: what it changed after the
/// last commit belongs to a chunk that is void. A task's changes are its own marks and are kept however it ended.
fn unsaved_contexts(
    step: &Step,
    scope: &StepScope,
    mut kept: StepState,
    stored: &ExecutionContext,
    event: StatusEvent,
) -> Result<(Option<String>, Option<ContextChanges>), String> {
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
    let Some(changed) = scope.job.context.take_change() else { return Ok((state, None)) };
    changed.to_json().map_err(|error| error.to_string())?;
    let changes = changed.changes_since(stored);
    Ok((state, (!changes.is_empty()).then_some(changes)))
}
