//! Which problem each refusal of the engine and the repository is.

use oxbatch_core::engine::{OperatorError, PreviewError, SchedulerError};
use oxbatch_core::execution::cause_chain;
use oxbatch_core::job::InvalidParameters;
use oxbatch_core::repository::{LaunchError, Missing, RepositoryError};

use super::{ParameterError, Problem, ProblemKind};

/// Seconds after which a full queue may have capacity again.
const QUEUE_RETRY_SECONDS: u32 = 1;
/// Seconds after which the store may answer again.
const STORE_RETRY_SECONDS: u32 = 2;
/// Seconds after which a service that shuts down may be up again.
const RESTART_RETRY_SECONDS: u32 = 5;

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::UnknownJob { .. } => Missing::Job.into(),
            OperatorError::Parameters(invalid) => invalid.into(),
            OperatorError::Launch(error) => error.into(),
            OperatorError::UnknownExecution { .. } => Missing::Execution.into(),
            OperatorError::NotRestartable { id, .. } => {
                Self::new(ProblemKind::WrongStatus, error.to_string()).with_execution(id)
            }
            OperatorError::StalePlan { id, plan } => {
                let detail =
                    format!("the plan of the restart of execution {id} does not hold any more: see the new one");
                Self::new(ProblemKind::StalePlan, detail).with_execution(id).with_plan((*plan).into())
            }
            OperatorError::Priority { .. } => {
                let invalid = ParameterError { parameter: Some("priority".to_owned()), message: error.to_string() };
                Self::parameters(ProblemKind::InvalidQuery, vec![invalid])
            }
            OperatorError::NotRerunnable { id, .. } => {
                Self::new(ProblemKind::NotRerunnable, error.to_string()).with_execution(id)
            }
            OperatorError::UnknownBulk { .. } => Missing::Bulk.into(),
            OperatorError::PauseRefused { problem } => Self::new(ProblemKind::PauseRefused, problem),
            OperatorError::BulkRefused { problem } => Self::new(ProblemKind::BulkRefused, problem),
            OperatorError::ShuttingDown => {
                Self::new(ProblemKind::ShuttingDown, error.to_string()).retry_after(RESTART_RETRY_SECONDS)
            }
            OperatorError::Repository(error) => error.into(),
            error => Self::internal(cause_chain(&error)),
        }
    }
}

impl From<SchedulerError> for Problem {
    fn from(error: SchedulerError) -> Self {
        let detail = error.to_string();
        match error {
            SchedulerError::UnknownSchedule { .. } => Missing::Schedule.into(),
            SchedulerError::UnknownJob { .. } => Missing::Job.into(),
            SchedulerError::UnknownFire { .. } => Missing::Fire.into(),
            SchedulerError::UnknownBackfill { .. } => Missing::Backfill.into(),
            SchedulerError::Schedule(_) | SchedulerError::Reason | SchedulerError::Until { .. } => {
                Self::new(ProblemKind::InvalidSchedule, detail)
            }
            SchedulerError::ShuttingDown => {
                Self::new(ProblemKind::ShuttingDown, detail).retry_after(RESTART_RETRY_SECONDS)
            }
            SchedulerError::Repository(error) => error.into(),
            _ => Self::new(ProblemKind::ScheduleConflict, detail),
        }
    }
}

/// The words are those of the original service, which its clients know.
impl From<Missing> for Problem {
    fn from(missing: Missing) -> Self {
        let kind = match missing {
            Missing::Job => ProblemKind::JobNotFound,
            Missing::Execution => ProblemKind::ExecutionNotFound,
            Missing::Instance => ProblemKind::InstanceNotFound,
            Missing::StepExecution => ProblemKind::StepNotFound,
            Missing::Node => ProblemKind::NodeNotFound,
            Missing::Schedule => ProblemKind::ScheduleNotFound,
            Missing::Fire => ProblemKind::FireNotFound,
            Missing::Backfill => ProblemKind::BackfillNotFound,
            Missing::Bulk => ProblemKind::BulkNotFound,
            Missing::Notice => ProblemKind::NoticeNotFound,
            _ => ProblemKind::NothingHere,
        };
        Self::new(kind, missing.sentence())
    }
}

impl From<PreviewError> for Problem {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::Parameters(invalid) => invalid.into(),
            PreviewError::NotPreviewable { .. } => Self::new(ProblemKind::NotPreviewable, error.to_string()),
            error => Self::internal(cause_chain(&error)),
        }
    }
}

impl From<LaunchError> for Problem {
    fn from(error: LaunchError) -> Self {
        let detail = error.to_string();
        match error {
            LaunchError::AlreadyRunning { execution_id } => {
                Self::new(ProblemKind::AlreadyRunning, detail).with_execution(execution_id)
            }
            LaunchError::Abandoned { execution_id } => {
                Self::new(ProblemKind::Abandoned, detail).with_execution(execution_id)
            }
            LaunchError::NotRestartable { execution_id, .. } => {
                Self::new(ProblemKind::NotRestartable, detail).with_execution(execution_id)
            }
            LaunchError::DefinitionChanged { execution_id, .. } => {
                Self::new(ProblemKind::DefinitionChanged, detail).with_execution(execution_id)
            }
            LaunchError::NotLast { execution_id, .. } => {
                Self::new(ProblemKind::WrongStatus, detail).with_execution(execution_id)
            }
            LaunchError::NoRunNumber { .. } => Self::new(ProblemKind::NoRunNumber, detail),
            LaunchError::QueueFull { .. } => Self::new(ProblemKind::QueueFull, detail).retry_after(QUEUE_RETRY_SECONDS),
            LaunchError::LimitReached { .. } => {
                Self::new(ProblemKind::LimitReached, detail).retry_after(QUEUE_RETRY_SECONDS)
            }
            LaunchError::KeyReused { execution_id, .. } => {
                Self::new(ProblemKind::KeyReused, detail).with_execution(execution_id)
            }
            LaunchError::Repository(error) => error.into(),
            error => Self::internal(cause_chain(&error)),
        }
    }
}

impl From<RepositoryError> for Problem {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::NotFound { what, .. } => what.into(),
            RepositoryError::NodeNotFound { .. } => Missing::Node.into(),
            RepositoryError::Refused { id, .. } => {
                Self::new(ProblemKind::WrongStatus, error.to_string()).with_execution(id)
            }
            RepositoryError::Unavailable { .. } | RepositoryError::Full { .. } => {
                Self::new(ProblemKind::StoreUnavailable, "the job repository does not answer; try again later")
                    .retry_after(STORE_RETRY_SECONDS)
                    .with_cause(cause_chain(&error))
            }
            RepositoryError::Gone { .. } => {
                Self::new(ProblemKind::StoreUnavailable, "the job repository is gone; nothing was recorded")
                    .with_cause(cause_chain(&error))
            }
            error => Self::internal(cause_chain(&error)),
        }
    }
}

impl From<InvalidParameters> for Problem {
    fn from(error: InvalidParameters) -> Self {
        let of = |invalid: oxbatch_core::job::InvalidParameter| ParameterError {
            parameter: invalid.parameter,
            message: invalid.message,
        };
        Self::parameters(ProblemKind::InvalidParameters, error.errors.into_iter().map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_may_answer_later_is_worth_another_try_and_any_other_fault_is_not() {
        let source = || std::io::Error::other("disk of oxbatch.db").into();
        let status = |error: RepositoryError| {
            let problem = Problem::from(error);
            assert!(!problem.detail.contains("oxbatch.db") && !problem.detail.contains("list"), "{problem:?}");
            assert!(problem.cause.as_ref().is_some_and(|cause| cause.contains("disk of oxbatch.db")), "{problem:?}");
            problem.kind.status().as_u16()
        };
        assert_eq!(status(RepositoryError::Unavailable { operation: "list", source: source() }), 503);
        assert_eq!(status(RepositoryError::Full { operation: "list", source: source() }), 503);
        assert_eq!(status(RepositoryError::Database { operation: "list", source: source() }), 500);
        assert_eq!(status(RepositoryError::Corrupt { what: "list".to_owned(), source: source() }), 500);
    }
}
