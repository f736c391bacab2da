//! The end of a step execution: what its thread reported becomes its recorded end.

use super::logs::LogKeeper;
use super::persist::persist_end;
use super::running::{Handle, StopCause};
use super::state::EngineState;
use super::time_limit::Bound;
use crate::author_thread::panic_message;
use crate::event::{Event, Limited};
use crate::execution::{
    ContextChanges, EXIT_SHUTDOWN, EXIT_TIMEOUT, ExecutionContext, JobExecution, Status, StatusEvent, StepExecution,
    StepExecutionId, StepState, StepSummary, cause_chain, cut_message,
};
use crate::job::flow::Ended;
use crate::repository::{
    ExecutionOutcome, FlowRecord, LastEnded, LastOutcome, RepositoryError, StartedStep, StepOutcome,
};
use crate::step::{BodyEnd, BodyError, Step, StepKind, StepScope};

/// The end of a step as it is recorded.
pub(super) enum StepEnd {
    /// COMPLETED or FAILED by itself.
    Ended {
        ended: Ended,
        summary: Box<StepSummary>,
        /// The execution, where it has ended with the step.
        execution: Option<Box<JobExecution>>,
    },
    /// FAILED without having come to an end of its own: no transition sees it.
    Broken {
        message: String,
    },
    /// FAILED by the time limit of the part of the job in which it ran: no transition sees it.
    OverTime {
        message: String,
    },
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
            Report::Ended(BodyEnd::Failed { exit_code, message }) => {
                Self { exit_code: Some(exit_code), ..Self::new(StatusEvent::Fail, message) }
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
    pub(super) log: &'a LogKeeper,
    pub(super) started: &'a StartedStep,
    /// The state with which it began.
    pub(super) kept: StepState,
    /// The job's context with which it began.
    pub(super) job_context: ExecutionContext,
    /// Says what is recorded with its end.
    pub(super) behind: BehindOf<'a>,
    /// The time limit that it has exceeded.
    pub(super) over: Option<Bound>,
}

/// The changes that are recorded with the end of a step.
#[derive(Default)]
pub(super) struct Behind {
    /// The entry of the flow history, where one is kept.
    pub(super) flow: Option<FlowRecord>,
    /// The end of the execution, where it ends with the step.
    pub(super) execution: Option<ExecutionOutcome>,
}

/// Says what is recorded with the end of a step.
pub(super) type BehindOf<'a> = &'a (dyn Fn(&Ended, StepExecutionId) -> Behind + Sync);

impl EndedStep<'_> {
    /// Records the end.
    pub(super) async fn record(self, state: &EngineState, report: Report) -> StepEnd {
        let Some(ending) = Ending::of(report).filter(|_| !self.handle.cause().is_some_and(StopCause::is_loss)) else {
            return StepEnd::LeaseLost;
        };
        let (scope, started) = (self.scope, self.started);
        let (mut ending, of_part) = self.bounded(ending);
        let mask = &scope.job.mask;
        ending.exit_code = ending.exit_code.map(|code| mask.masked(code));
        ending.message = scope.listening.completed(ending.message).map(|message| cut_message(mask.masked(message)));
        match unsaved_contexts(self.step, scope, self.kept.clone(), &self.job_context, ending.event) {
            Ok((own, of_job)) => (ending.state, ending.job_context) = (own, of_job),
            Err(message) => ending = Ending::failed(message),
        }
        let ended = ending.ended().filter(|_| of_part.is_none());
        let behind = ended.as_ref().map(|ended| (self.behind)(ended, started.fence.step_id)).unwrap_or_default();
        let Ending { event, exit_code, message, .. } = &ending;
        let outcome = StepOutcome {
            event: *event,
            exit_code: exit_code.clone(),
            exit_message: message.clone(),
            counters: scope.live.counters(),
            progress: scope.live.progress(),
            shares: scope.live.shares(),
            state: ending.state.clone(),
            job_context: ending.job_context.clone(),
            flow: behind.flow,
            time: state.config.clock.now(),
        };
        let recorded = self.recorded(state, outcome, behind.execution);
        let (step, execution) = match recorded.await {
            Ok(LastEnded { step, execution }) => {
                state.events.emit(&Event::StepFinished { step: &step });
                // The store has lost chunks that it had answered, and knows better how the step stands.
                if step.status == Status::Failed && ending.event != StatusEvent::Fail {
                    return StepEnd::Broken { message: step.exit_message.unwrap_or_default() };
                }
                (step, execution.map(Box::new))
            }
            Err(RepositoryError::LeaseLost { .. }) => return StepEnd::LeaseLost,
            Err(error) => return StepEnd::Broken { message: cause_chain(&error) },
        };
        if let Some(message) = of_part {
            return StepEnd::OverTime { message: format!("{message} in step '{}'", self.step.name()) };
        }
        match ended {
            Some(ended) => StepEnd::Ended { ended, summary: Box::new(self.summary(step)), execution },
            None => StepEnd::Stopped,
        }
    }

    /// Records the end, and with it that of the execution, if it ends with the step: then what belongs to the execution
    /// ends before it, and its last lines are stored.
    async fn recorded(
        &self,
        state: &EngineState,
        step: StepOutcome,
        execution: Option<ExecutionOutcome>,
    ) -> Result<LastEnded, RepositoryError> {
        const DOING: &str = "record the end of a step";
        let fence = &self.started.fence;
        let Some(execution) = execution else {
            let step = persist_end(state, DOING, || state.repository.finish_step(fence, step.clone())).await?;
            return Ok(LastEnded { step, execution: None });
        };
        self.scope.job.runtime.end();
        self.log.finish().await;
        // They end at one moment.
        let execution = ExecutionOutcome { time: step.time, ..execution };
        let outcome = LastOutcome { step, execution };
        persist_end(state, DOING, || state.repository.finish_last_step(fence, outcome.clone())).await
    }

    /// The end with the exit codes of a shutdown and of the listeners, or as one by a time limit; and the message of a
    /// limit that is not the step's own.
    fn bounded(&self, mut ending: Ending) -> (Ending, Option<String>) {
        if self.handle.cause() == Some(StopCause::Shutdown) && ending.event == StatusEvent::Stop {
            ending.exit_code.get_or_insert_with(|| EXIT_SHUTDOWN.to_owned());
        }
        if let Some(code) = self.scope.listening.exit_code().filter(|_| ending.event != StatusEvent::Stop) {
            ending.exit_code = Some(code);
        }
        // What has completed in spite of its limit is complete.
        let Some(bound) = self.over.filter(|_| ending.event != StatusEvent::Complete) else { return (ending, None) };
        let of_part = (bound.limited != Limited::Step).then(|| bound.message());
        (ending.over_time(&bound), of_part)
    }
}

impl Ending {
    /// The same as an end by a time limit. The reason why the work stopped is of no more interest when it heard of it.
    fn over_time(self, bound: &Bound) -> Self {
        let message = match self.message {
            Some(own) => format!("{}; {own}", bound.message()),
            None => bound.message(),
        };
        let event = StatusEvent::Fail;
        Self { event, exit_code: Some(EXIT_TIMEOUT.to_owned()), message: Some(message), ..self }
    }

    /// The end that transitions see; `None` for a stop.
    fn ended(&self) -> Option<Ended> {
        let status = match self.event {
            StatusEvent::Complete => Status::Completed,
            StatusEvent::Fail => Status::Failed,
            _ => return None,
        };
        let exit_code = self.exit_code.clone().unwrap_or_else(|| status.as_str().to_owned());
        Some(Ended { status, exit_code, message: self.message.clone(), has_run: true })
    }
}

impl EndedStep<'_> {
    /// The step as later elements see it.
    fn summary(&self, step: StepExecution) -> StepSummary {
        StepSummary {
            step_name: step.step_name,
            iteration: step.iteration,
            step_id: step.id,
            status: step.status,
            exit_code: step.exit_code,
            exit_message: step.exit_message,
            counters: self.started.earlier.plus(&step.counters),
            control_totals: step.control_totals,
            context: match self.step.kind() {
                StepKind::Task => self.scope.context.current(),
                _ => self.scope.saved.lock().step.clone(),
            },
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
        // What is void is not to be seen by what comes behind a failure that a transition handles.
        scope.job.context.replace(scope.saved.lock().job.clone());
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
    scope.job.context.merge_sides();
    let Some(changed) = scope.job.context.take_change() else { return Ok((state, None)) };
    changed.to_json().map_err(|error| error.to_string())?;
    let changes = changed.changes_since(stored);
    Ok((state, (!changes.is_empty()).then_some(changes)))
}
