//! Ends: of steps and executions by their owner, by a request to stop, and by giving up.

use crate::execution::{ExecutionId, Status, StatusEvent, next};
use crate::repository::{ExecutionOutcome, RepositoryError, StepOutcome};

const NO_SUCH_END: &str = "its end was recorded as something that is no end";
const NOTHING_TO_STOP: &str = "it has ended, there is nothing to stop";
const ENDED_WITHOUT: &str = "its execution ended without it";
const NOT_RESUMED: &str = "stopped by the shutdown of its node; its job is not restartable, so nothing resumes it";
const STOPPED_WAITING: &str = "stopped on request before a node took it";

/// The status after an event that somebody asks for.
fn after(id: ExecutionId, status: Status, event: StatusEvent, reason: &'static str) -> Result<Status, RepositoryError> {
    next(status, event).map_err(|transition| RepositoryError::Refused { id, transition, reason })
}

/// The end of an execution or a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Its last status.
    pub status: Status,
    /// Its exit code.
    pub exit_code: String,
    /// The message for people.
    pub exit_message: Option<String>,
}

/// The end of an execution, and with it that of its steps that still run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionEnd {
    /// The execution's end.
    pub end: End,
    /// `true` if it is resumed by itself at the next start.
    pub resume: bool,
    /// The end of its running steps: nothing is left running. Work that is complete has no such step.
    pub steps: End,
}

/// Saves of a step that its row has had, and those that its process knows of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SaveCounts {
    /// In the row.
    pub kept: i64,
    /// Known to be committed.
    pub known: i64,
}

/// The end of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEnd {
    /// As its owner says.
    AsReported(End),
    /// With the state and the counters that its row has: the store knows better how far it came.
    AsKept(End),
}

/// The end of a step of the execution `id`. A store that has fewer saves than were answered has lost some in a crash;
/// one that has more knows of one whose answer was lost.
///
/// # Errors
/// The outcome is no end.
pub fn step(
    id: ExecutionId,
    status: Status,
    outcome: &StepOutcome,
    saves: SaveCounts,
) -> Result<StepEnd, RepositoryError> {
    let (event, problem) = match saves.kept.cmp(&saves.known) {
        std::cmp::Ordering::Equal => {
            let status = after(id, status, outcome.event, NO_SUCH_END)?;
            let exit_code = outcome.exit_code.clone().unwrap_or_else(|| status.as_str().to_owned());
            return Ok(StepEnd::AsReported(End { status, exit_code, exit_message: outcome.exit_message.clone() }));
        }
        std::cmp::Ordering::Less => (StatusEvent::Fail, RepositoryError::ChunksLost { id }),
        std::cmp::Ordering::Greater => (stop_or_fail(outcome.event), RepositoryError::CommitUnknown { id }),
    };
    let status = after(id, status, event, NO_SUCH_END)?;
    let problem = problem.to_string();
    let own = outcome.exit_message.as_deref().filter(|own| !own.contains(&problem));
    let exit_message = Some(own.map_or_else(|| problem.clone(), |own| format!("{problem}; {own}")));
    Ok(StepEnd::AsKept(End { status, exit_code: status.as_str().to_owned(), exit_message }))
}

fn stop_or_fail(event: StatusEvent) -> StatusEvent {
    if event == StatusEvent::Stop { StatusEvent::Stop } else { StatusEvent::Fail }
}

/// The end of an execution that was launched as `restartable` or not.
///
/// # Errors
/// The outcome is no end.
pub fn execution(
    id: ExecutionId,
    status: Status,
    restartable: bool,
    outcome: &ExecutionOutcome,
) -> Result<ExecutionEnd, RepositoryError> {
    // What a person was stopping is not resumed by itself, although the shutdown came first.
    let was_shut_down = outcome.resume && status == Status::Started;
    let status = after(id, status, outcome.event, NO_SUCH_END)?;
    let exit_code = outcome.exit_code.clone().unwrap_or_else(|| status.as_str().to_owned());
    let was_shut_down = was_shut_down && status == Status::Stopped;
    let exit_message =
        if was_shut_down && !restartable { Some(NOT_RESUMED.to_owned()) } else { outcome.exit_message.clone() };
    Ok(ExecutionEnd {
        end: End { status, exit_code, exit_message },
        resume: was_shut_down && restartable,
        steps: running_steps(id, stop_or_fail(outcome.event), None, ENDED_WITHOUT)?,
    })
}

/// The end of the running steps of an execution that ends. Both running statuses of a step lead to the same end.
pub(super) fn running_steps(
    id: ExecutionId,
    event: StatusEvent,
    exit_code: Option<&str>,
    message: &str,
) -> Result<End, RepositoryError> {
    let status = after(id, Status::Started, event, NO_SUCH_END)?;
    let exit_code = exit_code.unwrap_or(status.as_str()).to_owned();
    Ok(End { status, exit_code, exit_message: Some(message.to_owned()) })
}

/// The answer to a request to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It waits, and has ended with the request.
    AtOnce(End),
    /// It runs, and so do its steps: they have this status until they have stopped.
    Asked(Status),
}

/// The effect of a request to stop an execution.
///
/// # Errors
/// It has ended.
pub fn request_stop(id: ExecutionId, status: Status) -> Result<Stop, RepositoryError> {
    if status == Status::Starting {
        let status = after(id, status, StatusEvent::Stop, NOTHING_TO_STOP)?;
        let exit_code = status.as_str().to_owned();
        return Ok(Stop::AtOnce(End { status, exit_code, exit_message: Some(STOPPED_WAITING.to_owned()) }));
    }
    after(id, status, StatusEvent::RequestStop, NOTHING_TO_STOP).map(Stop::Asked)
}

/// The status of an execution that is given up.
///
/// # Errors
/// It runs, or was given up before.
pub fn abandon(id: ExecutionId, status: Status) -> Result<Status, RepositoryError> {
    let reason = if status.is_running() { "stop it first" } else { "it was given up before" };
    after(id, status, StatusEvent::Abandon, reason)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::execution::Counters;

    const ID: ExecutionId = ExecutionId(1);

    fn step_outcome(event: StatusEvent, message: Option<&str>) -> StepOutcome {
        StepOutcome {
            event,
            exit_code: None,
            exit_message: message.map(str::to_owned),
            counters: Counters::default(),
            progress: None,
            shares: None,
            state: None,
            job_context: None,
            flow: None,
            time: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_step_ends_as_told_only_when_its_row_has_the_saves_that_were_answered() {
        let end = |event, kept, known| {
            let saves = SaveCounts { kept, known };
            step(ID, Status::Started, &step_outcome(event, Some("told")), saves).unwrap()
        };
        let StepEnd::AsReported(reported) = end(StatusEvent::Complete, 3, 3) else { panic!() };
        assert_eq!((reported.status, reported.exit_code.as_str()), (Status::Completed, "COMPLETED"));
        for (event, kept, status, said) in [
            (StatusEvent::Complete, 2, Status::Failed, "lost the last chunks"),
            (StatusEvent::Stop, 2, Status::Failed, "lost the last chunks"),
            (StatusEvent::Complete, 4, Status::Failed, "answer of a commit was lost"),
            (StatusEvent::Stop, 4, Status::Stopped, "answer of a commit was lost"),
        ] {
            let StepEnd::AsKept(end) = end(event, kept, 3) else { panic!("{event:?}") };
            let message = end.exit_message.unwrap();
            assert_eq!(end.status, status);
            assert!(message.contains(said) && message.ends_with("; told"), "{message}");
        }
        assert!(step(ID, Status::Started, &step_outcome(StatusEvent::Start, None), SaveCounts::default()).is_err());
    }

    #[test]
    fn an_execution_takes_its_steps_along_and_resumes_only_what_a_shutdown_stopped() {
        let outcome = |event, resume| ExecutionOutcome {
            event,
            exit_code: None,
            exit_message: None,
            resume,
            time: Timestamp::UNIX_EPOCH,
        };
        for (status, event, ends, steps, resume) in [
            (Status::Started, StatusEvent::Complete, Status::Completed, Status::Failed, false),
            (Status::Started, StatusEvent::Fail, Status::Failed, Status::Failed, false),
            (Status::Started, StatusEvent::Stop, Status::Stopped, Status::Stopped, true),
            (Status::Stopping, StatusEvent::Stop, Status::Stopped, Status::Stopped, false),
        ] {
            let end = execution(ID, status, true, &outcome(event, true)).unwrap();
            assert_eq!((end.end.status, end.steps.status, end.resume), (ends, steps, resume), "{event:?}");
            let end = execution(ID, status, false, &outcome(event, true)).unwrap();
            assert_eq!((end.end.status, end.resume), (ends, false), "{event:?}");
            let says_so = end.end.exit_message.is_some_and(|message| message.contains("not restartable"));
            assert_eq!(says_so, resume, "{event:?}");
        }
    }

    #[test]
    fn what_waits_stops_at_once_what_runs_is_asked_and_what_has_ended_is_refused() {
        for status in Status::ALL {
            let stop = request_stop(ID, status);
            match status {
                Status::Starting => assert!(matches!(stop, Ok(Stop::AtOnce(end)) if end.status == Status::Stopped)),
                Status::Started | Status::Stopping => assert_eq!(stop.unwrap(), Stop::Asked(Status::Stopping)),
                _ => assert!(stop.unwrap_err().to_string().contains("nothing to stop"), "{status}"),
            }
        }
    }

    #[test]
    fn what_does_not_run_can_be_given_up_once() {
        for status in Status::ALL {
            let said = abandon(ID, status).map_err(|error| error.to_string());
            match status {
                status if status.is_running() => assert!(said.unwrap_err().ends_with("stop it first"), "{status}"),
                Status::Abandoned => assert!(said.unwrap_err().ends_with("given up before")),
                Status::Completed | Status::Failed | Status::Stopped => assert_eq!(said, Ok(Status::Abandoned)),
                _ => unreachable!(),
            }
        }
    }
}
