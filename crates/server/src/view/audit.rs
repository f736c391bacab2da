//! Entries of the audit log.

use oxbatch_core::repository::AuditEntry;
use serde::Serialize;
use utoipa::ToSchema;

use super::value::time;

/// A change that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditView {
    #[schema(minimum = 1)]
    pub(crate) id: i64,
    #[schema(format = DateTime)]
    pub(crate) time: String,
    /// The token of the caller; null for a command on a machine, and for anybody while there is no token.
    #[schema(required, minimum = 1)]
    pub(crate) token_id: Option<i64>,
    /// The name of the token, `local USER`, or `anybody`.
    pub(crate) who: String,
    /// The address of the caller, where it came over the network.
    #[schema(required)]
    pub(crate) address: Option<String>,
    /// The action, such as `launch_job`.
    pub(crate) action: String,
    /// The thing that it is done to.
    pub(crate) object: String,
    /// The outcome; null while it is not known, and for ever where the process has died with it.
    #[schema(required)]
    pub(crate) outcome: Option<String>,
}

impl From<AuditEntry> for AuditView {
    fn from(AuditEntry { id, entry, outcome }: AuditEntry) -> Self {
        Self {
            id: id.0,
            time: time(entry.time),
            token_id: entry.token_id.map(|id| id.0),
            who: entry.who,
            address: entry.address,
            action: entry.action,
            object: entry.object,
            outcome,
        }
    }
}
