//! The end of an execution, as its flow has come to it.

use super::running::{Handle, StopCause};
use super::state::EngineState;
use crate::execution::{EXIT_DEFINITION_CHANGED, EXIT_SHUTDOWN, EXIT_TIMEOUT, JobExecution, StatusEvent};
use crate::repository::ExecutionOutcome;
use crate::step::JobScope;

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

    /// The end as it is recorded; `None` where it is not for this node to record.
    pub(super) fn outcome(self, state: &EngineState, scope: &JobScope, handle: &Handle) -> Option<ExecutionOutcome> {
        let time = state.config.clock.now();
        let (event, exit_code, exit_message, resume) = match self {
            Self::LeaseLost | Self::Recorded(_) => return None,
            Self::Completed { exit_code, message } => (StatusEvent::Complete, exit_code, message, false),
            Self::Failed { exit_code, message } => (StatusEvent::Fail, exit_code, Some(message), false),
            Self::StoppedByFlow { exit_code, message } => (StatusEvent::Stop, exit_code, Some(message), false),
            Self::DefinitionChanged { message } => {
                (StatusEvent::Stop, Some(EXIT_DEFINITION_CHANGED.to_owned()), Some(message), false)
            }
            Self::Stopped { message } if handle.cause() == Some(StopCause::Shutdown) => {
                (StatusEvent::Stop, Some(EXIT_SHUTDOWN.to_owned()), message, true)
            }
            Self::Stopped { message } => (StatusEvent::Stop, None, message, false),
        };
        let exit_code = exit_code.map(|code| scope.mask.masked(code));
        let exit_message = exit_message.map(|message| scope.mask.masked(message));
        Some(ExecutionOutcome { event, exit_code, exit_message, resume, time })
    }
}
