//! Bulk work: which executions an action goes with.

use std::fmt;

use crate::execution::{ExecutionId, Status};
use crate::repository::BulkAction;

/// The reason why an execution is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// A later one of its instance stands for it.
    NotLast {
        /// The last one.
        last: ExecutionId,
    },
    /// Its status forbids the action.
    Status {
        /// The action.
        action: BulkAction,
        /// The status.
        status: Status,
    },
}

impl LeftOut {
    /// The reason without what differs from execution to execution.
    pub fn kind(self) -> String {
        match self {
            Self::NotLast { .. } => "a later execution of the same instance stands for it".to_owned(),
            Self::Status { .. } => self.to_string(),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLast { last } => write!(f, "execution {last} of the same instance came after it"),
            Self::Status { action: BulkAction::Stop, status } => write!(f, "it is {status}: only what runs is stopped"),
            Self::Status { action: BulkAction::Restart, status } => {
                write!(f, "it is {status}: only what has failed or was stopped is restarted")
            }
            Self::Status { action: BulkAction::Abandon, status } => {
                write!(f, "it is {status}: only what has failed or was stopped is abandoned")
            }
        }
    }
}

/// Judges an execution by its status and by a later one of its instance.
///
/// # Errors
/// The reason why it is left out.
pub fn judge(action: BulkAction, status: Status, later: Option<ExecutionId>) -> Result<(), LeftOut> {
    if let Some(last) = later {
        return Err(LeftOut::NotLast { last });
    }
    let fits = match action {
        BulkAction::Restart | BulkAction::Abandon => matches!(status, Status::Failed | Status::Stopped),
        BulkAction::Stop => status.is_running() && status != Status::Stopping,
    };
    if fits { Ok(()) } else { Err(LeftOut::Status { action, status }) }
}
