//! The begin of a step: whether it has to run, and with what state.

use std::time::Duration;

use super::corrupt;
use super::time::RunningTime;
use crate::execution::{
    Counters, ExecutionId, InstanceId, Status, StatusEvent, StepExecution, StepExecutionId, StepState, StepSummary,
    next,
};
use crate::item::BoxError;
use crate::repository::{Lease, NewStep, RepositoryError, StartedStep, StepFence, StepStart};

/// An execution as a step of it needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningExecution {
    /// Its status.
    pub status: Status,
    /// Its instance.
    pub instance_id: InstanceId,
    /// The execution from which the attempts of the instance's steps count.
    pub lineage: i64,
    /// The job's context as JSON.
    pub context: Option<String>,
    /// The execution that was launched, and that it goes on with by itself; itself, where it was launched.
    pub launched: ExecutionId,
}

/// The last attempt of a step in a round, since the execution from which its attempts count.
#[derive(Debug, Clone, PartialEq)]
pub struct LastAttempt {
    /// Its row.
    pub step: StepExecution,
    /// Its state as JSON.
    pub state: Option<String>,
    /// Its control totals as JSON.
    pub control_totals: Option<String>,
    /// Sums of the counters of the attempts before it, as JSON.
    pub earlier: Option<String>,
    /// Its running time.
    pub running: RunningTime,
}

impl LastAttempt {
    /// Sums of the counters of the attempts up to this one.
    ///
    /// # Errors
    /// The stored sums cannot be read.
    pub fn sums(&self) -> Result<Counters, RepositoryError> {
        let Some(json) = &self.earlier else { return Ok(self.step.counters) };
        let earlier: Counters =
            serde_json::from_str(json).map_err(|error| self.unreadable("earlier counters", error))?;
        Ok(earlier.plus(&self.step.counters))
    }

    /// The step as later elements see it.
    ///
    /// # Errors
    /// Its stored state cannot be read.
    pub fn summary(self) -> Result<StepSummary, RepositoryError> {
        let counters = self.sums()?;
        let state = self.state.as_deref().map(StepState::from_json).transpose();
        let context = state.map_err(|error| self.unreadable("state", error))?.unwrap_or_default().context;
        let StepExecution { id, step_name, iteration, status, exit_code, exit_message, control_totals, .. } = self.step;
        Ok(StepSummary {
            step_name,
            iteration,
            step_id: id,
            status,
            exit_code,
            exit_message,
            counters,
            control_totals,
            context,
        })
    }

    fn unreadable(&self, what: &str, source: impl Into<BoxError>) -> RepositoryError {
        RepositoryError::Corrupt {
            what: format!("{what} of step execution in row {}", self.step.id),
            source: source.into(),
        }
    }
}

/// The begin of an attempt of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    /// The state as JSON; `None` for a fresh start.
    pub state: Option<String>,
    /// The control totals as JSON.
    pub control_totals: Option<String>,
    /// Sums of the counters of the attempts before. An attempt behind a complete one begins a new series.
    pub earlier: Counters,
    /// The running time of the attempts before, in executions that its own goes on with by itself.
    pub running: Duration,
}

impl Inherited {
    /// The sums as they are stored; `None` where nothing was counted.
    pub fn earlier_json(&self) -> Option<String> {
        (self.earlier != Counters::default()).then(|| serde_json::json!(self.earlier).to_string())
    }

    /// The answer that the step runs, under its lease, as the step execution that was created for it.
    pub fn into_start(self, lease: Lease, id: i64, execution: RunningExecution) -> StepStart {
        let Self { state, control_totals, earlier, running } = self;
        let fence = StepFence { lease, step_id: StepExecutionId(id) };
        let job_context = execution.context;
        StepStart::Run(Box::new(StartedStep { fence, state, control_totals, earlier, running, job_context }))
    }
}

/// The begin of a step of an execution, or the answer that it does not run.
///
/// # Errors
/// The stored state of the last attempt cannot be read.
pub fn inherited(
    execution: &RunningExecution,
    last: Option<LastAttempt>,
    step: &NewStep,
) -> Result<Result<Inherited, StepStart>, RepositoryError> {
    if execution.status == Status::Stopping {
        return Ok(Err(StepStart::StopRequested));
    }
    Ok(match last {
        None => Ok(Inherited::default()),
        Some(last) if last.step.status == Status::Completed => match step.rerun_if_complete {
            true => Ok(Inherited::default()),
            false => Err(StepStart::AlreadyComplete(Box::new(last.summary()?))),
        },
        Some(last) => {
            let earlier = last.sums()?;
            let goes_on = last.step.execution_id >= execution.launched;
            let running = if goes_on { last.running.total() } else { Duration::ZERO };
            Ok(Inherited { state: last.state, control_totals: last.control_totals, earlier, running })
        }
    })
}

/// Refuses a step that was attempted as often as it may be.
///
/// # Errors
/// The answer that it does not run.
pub fn check_attempts(step: &NewStep, attempts: i64) -> Result<(), StepStart> {
    match step.start_limit.is_some_and(|limit| attempts >= i64::from(limit)) {
        true => Err(StepStart::StartLimitReached { attempts }),
        false => Ok(()),
    }
}

/// The status of a step that begins.
///
/// # Errors
/// A defect of the state machine.
pub fn begun() -> Result<Status, RepositoryError> {
    next(Status::Starting, StatusEvent::Start).map_err(corrupt)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::execution::{ControlTotals, StepExecutionId};

    fn step(rerun_if_complete: bool) -> NewStep {
        NewStep {
            step_name: "Step".to_owned(),
            iteration: 1,
            since: None,
            rerun_if_complete,
            start_limit: Some(2),
            time: Timestamp::UNIX_EPOCH,
        }
    }

    fn last(status: Status) -> LastAttempt {
        let counters = Counters { read: 3, ..Counters::default() };
        let step = StepExecution {
            id: StepExecutionId(7),
            execution_id: ExecutionId(2),
            step_name: "Step".to_owned(),
            iteration: 1,
            status,
            start_time: Timestamp::UNIX_EPOCH,
            end_time: None,
            exit_code: Some("CODE".to_owned()),
            exit_message: None,
            counters,
            control_totals: ControlTotals::default(),
            progress: None,
            shares: None,
        };
        let earlier = serde_json::json!(Counters { read: 4, ..counters }).to_string();
        LastAttempt {
            step,
            state: Some("{}".to_owned()),
            control_totals: Some("[]".to_owned()),
            earlier: Some(earlier),
            running: RunningTime { earlier: Duration::from_secs(9), ..RunningTime::default() },
        }
    }

    fn running(status: Status, launched: i64) -> RunningExecution {
        let (instance_id, launched) = (InstanceId(1), ExecutionId(launched));
        RunningExecution { status, instance_id, lineage: 1, context: None, launched }
    }

    #[test]
    fn a_step_goes_on_with_the_state_and_the_sums_of_its_last_attempt_unless_that_was_complete() {
        let begins = |execution, last, step: &NewStep| inherited(&running(execution, 2), last, step).unwrap();
        assert_eq!(begins(Status::Started, None, &step(false)), Ok(Inherited::default()));
        for status in [Status::Failed, Status::Stopped] {
            let inherited = begins(Status::Started, Some(last(status)), &step(false)).unwrap();
            assert_eq!((inherited.state.as_deref(), inherited.control_totals.as_deref()), (Some("{}"), Some("[]")));
            assert_eq!(inherited.earlier.read, 7);
        }
        let complete = begins(Status::Started, Some(last(Status::Completed)), &step(false));
        let Err(StepStart::AlreadyComplete(summary)) = complete else { panic!("{complete:?}") };
        assert_eq!((summary.counters.read, summary.exit_code.as_deref()), (7, Some("CODE")));
        let again = begins(Status::Started, Some(last(Status::Completed)), &step(true));
        assert_eq!(again, Ok(Inherited::default()));
        let stopping = begins(Status::Stopping, Some(last(Status::Failed)), &step(false));
        assert_eq!(stopping, Err(StepStart::StopRequested));
    }

    #[test]
    fn the_running_time_of_a_step_goes_on_until_a_person_launches_again() {
        let used = |launched| {
            let execution = running(Status::Started, launched);
            inherited(&execution, Some(last(Status::Failed)), &step(false)).unwrap().unwrap().running.as_secs()
        };
        // The last attempt was in execution 2.
        assert_eq!([used(1), used(2), used(3)], [9, 9, 0]);
    }

    #[test]
    fn a_start_limit_counts_attempts() {
        assert!(check_attempts(&step(false), 1).is_ok());
        assert_eq!(check_attempts(&step(false), 2), Err(StepStart::StartLimitReached { attempts: 2 }));
        assert!(check_attempts(&NewStep { start_limit: None, ..step(false) }, 1_000).is_ok());
    }
}
