//! The contract of the store for the audit log: every change, who asked for it, and what came of it.

use jiff::Timestamp;

use super::{PageRequest, RepositoryFuture};
use crate::access::TokenId;
use crate::words::id;

id! {
    /// The id of an entry of the audit log.
    AuditId
}

/// A change that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// The current time.
    pub time: Timestamp,
    /// The token of the caller, where there is one.
    pub token_id: Option<TokenId>,
    /// The name of the caller: of the token, or `local USER` for a command on the machine.
    pub who: String,
    /// The address from which it was asked for, where it came over the network.
    pub address: Option<String>,
    /// The action, such as `launch_job`.
    pub action: String,
    /// The thing that it is done to, such as `/jobs/Import`.
    pub object: String,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// The change.
    pub entry: NewAuditEntry,
    /// The outcome; `None` while it is not known, and for ever where the process has died with it.
    pub outcome: Option<String>,
}

/// A page of the audit log, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// The cursor of the next page.
    pub next: Option<i64>,
}

impl AuditPage {
    /// A page of so many rows as [`PageRequest::rows_to_read`] says.
    pub fn of(mut entries: Vec<AuditEntry>, limit: u32) -> Self {
        let next = super::query::cut(&mut entries, limit).map(|last| last.id.0);
        Self { entries, next }
    }
}

/// The durable audit log.
///
/// # Contract
/// That of [`JobRepository`](super::JobRepository).
pub trait Audit: Send + Sync + 'static {
    /// Writes down a change before it is made. Durable: what is made after it cannot be without it.
    fn begin_audit(&self, entry: NewAuditEntry) -> RepositoryFuture<'_, AuditId>;

    /// Writes down what came of a change. Need not be durable.
    fn end_audit(&self, id: AuditId, outcome: String) -> RepositoryFuture<'_, ()>;

    /// Entries since a moment, one page.
    fn audit(&self, since: Option<Timestamp>, page: PageRequest) -> RepositoryFuture<'_, AuditPage>;

    /// Removes entries from before a moment, at most so many; the number of those removed.
    fn prune_audit(&self, before: Timestamp, limit: u32) -> RepositoryFuture<'_, u64>;
}
