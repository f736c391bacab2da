//! The end of an execution, as its flow has come to it.

use crate::execution::{EXIT_TIMEOUT, JobExecution};

/// The end of an execution, before it is recorded.
pub(super) enum JobEnd {
    Completed {
        exit_code: Option<String>,
        message: Option<String>,
    },
    Failed {
        exit_code: Option<String>,
        message: String,
    },
    /// By a transition.
    StoppedByFlow {
        exit_code: Option<String>,
        message: String,
    },
    /// Before anything has run: its past depends on another definition of the job.
    DefinitionChanged {
        message: String,
    },
    /// On request.
    Stopped {
        message: Option<String>,
    },
    LeaseLost,
    /// It was recorded with the end of its last step.
    Recorded(Box<JobExecution>),
}

impl JobEnd {
    pub(super) fn failed(message: String) -> Self {
        Self::Failed { exit_code: None, message }
    }

    /// By a time limit.
    pub(super) fn over_time(message: String) -> Self {
        Self::Failed { exit_code: Some(EXIT_TIMEOUT.to_owned()), message }
    }
}
