//! The refusals of an operator.

use super::restart_plan::RestartPlan;
use crate::execution::{ExecutionId, Status};
use crate::job::{InvalidParameters, MAX_PRIORITY, MIN_PRIORITY};
use crate::repository::{BulkId, LaunchError, Missing, RepositoryError};

/// The refusals of an operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// There is no such job.
    #[error("{}: '{name}'", Missing::Job)]
    UnknownJob {
        /// Its name.
        name: String,
    },
    /// The parameters do not fit the job.
    #[error("{0}")]
    Parameters(#[from] InvalidParameters),
    /// The launch was refused.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The priority is out of its range.
    #[error("priority {priority} is not from {MIN_PRIORITY} to {MAX_PRIORITY}")]
    Priority {
        /// The given value.
        priority: i32,
    },
    /// There is no such execution.
    #[error("{}: {id}", Missing::Execution)]
    UnknownExecution {
        /// Its id.
        id: ExecutionId,
    },
    /// The execution cannot be restarted.
    #[error("execution {id} is {status} and cannot be restarted: {reason}")]
    NotRestartable {
        /// Its id.
        id: ExecutionId,
        /// Its status.
        status: Status,
        /// The reason, and the alternative.
        reason: String,
    },
    /// The plan by which an execution was to be restarted does not hold any more.
    #[error("the plan of the restart of execution {id} does not hold any more: see the new one")]
    StalePlan {
        /// Its id.
        id: ExecutionId,
        /// The plan that holds now.
        plan: Box<RestartPlan>,
    },
    /// The skipped items of the execution cannot be run again.
    #[error("the skipped items of execution {id} cannot be run again: {reason}")]
    NotRerunnable {
        /// Its id.
        id: ExecutionId,
        /// The reason, and the alternative.
        reason: String,
    },
    /// There is no such bulk.
    #[error("{}: {id}", Missing::Bulk)]
    UnknownBulk {
        /// Its id.
        id: BulkId,
    },
    /// A bulk that cannot begin, or cannot be cancelled.
    #[error("{problem}")]
    BulkRefused {
        /// The reason, and the alternative.
        problem: String,
    },
    /// A pause of launches that cannot begin or end.
    #[error("{problem}")]
    PauseRefused {
        /// The reason, and the alternative.
        problem: String,
    },
    /// The node takes no new work.
    #[error("the service is shutting down and takes no new work")]
    ShuttingDown,
    /// The store failed.
    #[error(transparent)]
    Repository(RepositoryError),
}

impl From<RepositoryError> for OperatorError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::NotFound { what: Missing::Execution, id } => {
                Self::UnknownExecution { id: ExecutionId(id) }
            }
            error => Self::Repository(error),
        }
    }
}
