//! The end of an execution, as its flow has come to it.

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
    /// On request.
    Stopped {
        message: Option<String>,
    },
    LeaseLost,
}

impl JobEnd {
    pub(super) fn failed(message: String) -> Self {
        Self::Failed { exit_code: None, message }
    }
}
