//! The begin of a step: whether it has to run, and with what state.

use super::corrupt;
use crate::execution::{Status, StatusEvent, next};
use crate::repository::{NewStep, RepositoryError, StepStart};

/// The last attempt of a step since the execution from which completed steps count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAttempt {
    /// Its status.
    pub status: Status,
    /// Its state as JSON.
    pub state: Option<String>,
    /// Its control totals as JSON.
    pub control_totals: Option<String>,
}

/// What an attempt of a step begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    /// The state as JSON; `None` for a fresh start.
    pub state: Option<String>,
    /// The control totals as JSON.
    pub control_totals: Option<String>,
}

/// What a step of an execution with a status begins with, or why it does not run.
///
/// # Errors
/// The answer that the step does not run.
pub fn inherited(execution: Status, last: Option<LastAttempt>, step: &NewStep) -> Result<Inherited, StepStart> {
    if execution == Status::Stopping {
        return Err(StepStart::StopRequested);
    }
    match last {
        None => Ok(Inherited::default()),
        Some(last) if last.status == Status::Completed => match step.rerun_if_complete {
            true => Ok(Inherited::default()),
            false => Err(StepStart::AlreadyComplete),
        },
        Some(last) => Ok(Inherited { state: last.state, control_totals: last.control_totals }),
    }
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

    #[test]
    fn a_step_runs_with_the_state_of_its_last_attempt_or_fresh_or_not_at_all() {
        let step = |rerun_if_complete| NewStep {
            step_name: "Step".to_owned(),
            rerun_if_complete,
            start_limit: Some(2),
            time: Timestamp::UNIX_EPOCH,
        };
        let last = |status| Some(LastAttempt { status, state: Some("{}".to_owned()), control_totals: None });
        let fresh = Ok(Inherited::default());
        assert_eq!(inherited(Status::Started, None, &step(false)), fresh);
        assert_eq!(inherited(Status::Started, last(Status::Completed), &step(true)), fresh);
        assert_eq!(inherited(Status::Started, last(Status::Completed), &step(false)), Err(StepStart::AlreadyComplete));
        for status in [Status::Failed, Status::Stopped, Status::Started, Status::Stopping] {
            let begun = inherited(Status::Started, last(status), &step(false)).unwrap();
            assert_eq!(begun.state.as_deref(), Some("{}"), "{status}");
        }
        assert_eq!(inherited(Status::Stopping, last(Status::Failed), &step(false)), Err(StepStart::StopRequested));
        let limited = |attempts| check_attempts(&step(false), attempts).is_err();
        assert_eq!([limited(0), limited(1), limited(2), limited(3)], [false, false, true, true]);
        assert!(check_attempts(&NewStep { start_limit: None, ..step(false) }, 1_000).is_ok());
    }
}
