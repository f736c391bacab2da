//! The status of an execution or a step.

use oxbatch_core::Status;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The status of an execution or a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = Status)]
pub enum StatusView {
    /// Accepted, waits for a node with capacity.
    Starting,
    /// A node runs it.
    Started,
    /// A stop was requested; the work has not yet ended.
    Stopping,
    /// Ended by a request; can be restarted.
    Stopped,
    /// Ended by an error; can be restarted.
    Failed,
    /// Ended with all its work done.
    Completed,
    /// Given up by a person; its instance can then only be forced.
    Abandoned,
}

impl StatusView {
    /// The status that it shows.
    #[cfg(feature = "pages")]
    pub(crate) const fn status(self) -> Status {
        match self {
            Self::Starting => Status::Starting,
            Self::Started => Status::Started,
            Self::Stopping => Status::Stopping,
            Self::Stopped => Status::Stopped,
            Self::Failed => Status::Failed,
            Self::Completed => Status::Completed,
            Self::Abandoned => Status::Abandoned,
        }
    }
}

impl From<Status> for StatusView {
    fn from(status: Status) -> Self {
        match status {
            Status::Starting => Self::Starting,
            Status::Started => Self::Started,
            Status::Stopping => Self::Stopping,
            Status::Stopped => Self::Stopped,
            Status::Failed => Self::Failed,
            Status::Completed => Self::Completed,
            Status::Abandoned => Self::Abandoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_written_as_the_core_writes_it() {
        for status in Status::ALL {
            let view = StatusView::from(status);
            assert_eq!(view.status(), status);
            assert_eq!(serde_json::to_value(view).unwrap(), status.as_str());
        }
    }
}
