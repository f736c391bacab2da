//! The errors of a service that is reached over HTTP.

use oxbatch_core::repository::Missing;

use crate::exit::Exit;

/// The error of a request to a service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// No answer came.
    #[error("the service at {address} does not answer")]
    Unreachable {
        address: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The service refused, by the sentence of its problem document.
    #[error("the service at {address} refused ({status}): {detail}")]
    Refused { address: String, status: u16, detail: String },
    /// The thing that was named is not there.
    #[error("{what}: {culprit} (asked of the service at {address})")]
    Missing { what: Missing, culprit: String, address: String },
    /// The answer is none of this service's version.
    #[error("the answer of the service at {address} cannot be read: {problem}")]
    Unreadable { address: String, problem: String },
}

impl RemoteError {
    /// The same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Refused { status: 502..=504, .. })
    }

    /// The exit code that goes with it, the same as for a command that works on the database itself.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } | Self::Refused { status: 400 | 404 | 415 | 422, .. } => Exit::Usage,
            Self::Refused { status: 401 | 403 | 409 | 429, .. } => Exit::Refused,
            _ => Exit::Unusable,
        }
    }
}
