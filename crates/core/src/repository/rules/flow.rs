//! The end of an execution behind its main part: which result an execution goes on with, and how it ends.

use super::step::LastAttempt;
use crate::execution::{
    EXIT_ABORTED, EXIT_FINALLY_FAILED, EXIT_SHUTDOWN, MainResult, Status, StepSummaries, StepSummary,
};
use crate::repository::{PreviousExecution, RepositoryError};

/// The main result that an execution takes over from the one before it: it runs the steps at the end alone.
///
/// That is so behind a COMPLETED main part whose end was not reached, and behind a FAILED one whose end was
/// interrupted. After a FAILED main part whose end was reached a restart runs the main part again.
pub fn pending_main(previous: Option<PreviousExecution>) -> Option<MainResult> {
    let PreviousExecution { status, exit_code, main } = previous?;
    let main = main?;
    let was_interrupted = match exit_code.as_deref() {
        Some(EXIT_ABORTED | EXIT_SHUTDOWN) => true,
        _ => status == Status::Stopped,
    };
    match main.status {
        Status::Completed => (status != Status::Completed).then_some(main),
        _ => was_interrupted.then_some(main),
    }
}

/// The summaries of rounds of steps, from their last attempts.
///
/// # Errors
/// The stored state of an attempt cannot be read.
pub fn rounds(attempts: Vec<LastAttempt>) -> Result<Vec<StepSummary>, RepositoryError> {
    attempts.into_iter().map(|attempt| attempt.summary()).collect()
}

/// The latest round of each step, by name.
pub fn latest_rounds(rounds: &[StepSummary]) -> StepSummaries {
    let mut latest = StepSummaries::new();
    for round in rounds {
        if latest.get(&round.step_name).is_none_or(|known| known.iteration <= round.iteration) {
            latest.insert(round.step_name.clone(), round.clone());
        }
    }
    latest
}

/// The end of an execution whose steps at the end have run; `failure` names the first of them that failed.
///
/// A COMPLETED main part fails by it. After a FAILED one the first reason stays first.
pub fn with_finally(main: MainResult, failure: Option<String>) -> MainResult {
    let Some(failure) = failure else { return main };
    let MainResult { execution_id, status, exit_code, exit_message, running } = main;
    let exit_message = Some(match &exit_message {
        Some(message) => format!("{message}; then {failure}"),
        None => failure,
    });
    let exit_code = match status {
        Status::Completed => Some(EXIT_FINALLY_FAILED.to_owned()),
        _ => exit_code,
    };
    MainResult { execution_id, status: Status::Failed, exit_code, exit_message, running }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::execution::ExecutionId;

    fn main_of(status: Status) -> MainResult {
        let (exit_message, running) = (Some("why".to_owned()), Duration::ZERO);
        MainResult { execution_id: ExecutionId(1), status, exit_code: None, exit_message, running }
    }

    #[test]
    fn a_restart_runs_the_end_alone_when_that_is_all_that_is_left() {
        for (main, status, exit_code, is_pending) in [
            (Status::Completed, Status::Completed, "COMPLETED", false),
            (Status::Completed, Status::Failed, EXIT_FINALLY_FAILED, true),
            (Status::Completed, Status::Failed, EXIT_ABORTED, true),
            (Status::Completed, Status::Stopped, "STOPPED", true),
            (Status::Failed, Status::Failed, "FAILED", false),
            (Status::Failed, Status::Failed, EXIT_ABORTED, true),
            (Status::Failed, Status::Stopped, EXIT_SHUTDOWN, true),
            (Status::Failed, Status::Stopped, "STOPPED", true),
        ] {
            let exit_code = Some(exit_code.to_owned());
            let pending = pending_main(Some(PreviousExecution { status, exit_code, main: Some(main_of(main)) }));
            assert_eq!(pending.is_some(), is_pending, "{main} {status}");
        }
        assert_eq!(pending_main(None), None);
    }

    #[test]
    fn a_failing_end_fails_a_complete_main_part_and_leaves_the_reason_of_a_failed_one_first() {
        let failed = with_finally(main_of(Status::Completed), Some("the end failed".to_owned()));
        assert_eq!((failed.status, failed.exit_code.as_deref()), (Status::Failed, Some(EXIT_FINALLY_FAILED)));
        let failed = with_finally(main_of(Status::Failed), Some("the end failed".to_owned()));
        assert_eq!((failed.exit_code, failed.exit_message.as_deref()), (None, Some("why; then the end failed")));
        assert_eq!(with_finally(main_of(Status::Completed), None), main_of(Status::Completed));
    }
}
