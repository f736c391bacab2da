//! Facts that the outside was told, and that must be true for ever.

use std::fmt;

use super::store::Store;

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The step before the last has ended in this execution, or in an earlier one of its instance.
    RowsWritten { execution: String },
    /// A launch under this idempotency key was answered with this execution.
    Launched { key: String, execution: String },
    /// The execution is complete.
    Completed { execution: String },
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowsWritten { execution } => write!(f, "the rows of execution {execution} are written"),
            Self::Launched { key, execution } => write!(f, "the launch '{key}' is execution {execution}"),
            Self::Completed { execution } => write!(f, "execution {execution} is complete"),
        }
    }
}

impl Fact {
    /// Looks it up; an error says what is known in its place.
    pub(crate) fn check(&self, repository: &Store) -> Result<(), String> {
        let (sql, right) = match self {
            // It may be an earlier execution of the instance that has completed the step.
            Self::RowsWritten { execution } => (
                format!(
                    "SELECT status FROM oxbatch_step_execution WHERE step_name = 'Write' AND status = 'COMPLETED'
                     AND job_instance_id = (SELECT job_instance_id FROM oxbatch_job_execution WHERE id = {execution})"
                ),
                "COMPLETED",
            ),
            Self::Launched { key, execution } => (
                format!("SELECT CAST(job_execution_id AS TEXT) FROM oxbatch_idempotency_key WHERE key = '{key}'"),
                execution.as_str(),
            ),
            Self::Completed { execution } => {
                (format!("SELECT status FROM oxbatch_job_execution WHERE id = {execution}"), "COMPLETED")
            }
        };
        let known = repository.lines(&sql)?;
        if known == [right] { Ok(()) } else { Err(format!("it was said that {self}; now it is {known:?}")) }
    }
}
