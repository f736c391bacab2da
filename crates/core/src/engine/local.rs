//! The state that an operator and the node of the same process share: the running executions, and the wake-ups between
//! them.

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::changes::Changes;
use super::running::{Handle, Running};
use crate::execution::{ExecutionId, JobExecution};
use crate::repository::{Claimed, Node};

/// The node of this process as its operator sees it; where none runs, nothing ever happens in it.
pub(super) struct LocalNode {
    pub(super) node: Node,
    pub(super) running: Running,
    pub(super) changes: Changes,
    /// Notified when there may be work to take.
    pub(super) work: Notify,
    /// Notified when leases are to be renewed, and with them requests to stop and to drain heard, before their time.
    pub(super) renew: Notify,
    /// Notified when a schedule was changed in this process.
    pub(super) schedules: Notify,
    /// Notified when bulk work was begun in this process.
    pub(super) bulks: Notify,
    /// `true` if the node listens to notifications of the store.
    pub(super) listens: bool,
    /// No new work is taken once it is cancelled.
    pub(super) closing: CancellationToken,
}

impl LocalNode {
    pub(super) fn new(node: Node, listens: bool) -> Self {
        Self {
            node,
            running: Running::default(),
            changes: Changes::default(),
            work: Notify::new(),
            renew: Notify::new(),
            schedules: Notify::new(),
            bulks: Notify::new(),
            listens,
            closing: CancellationToken::new(),
        }
    }

    pub(super) fn begin(&self, claimed: &Claimed) -> Handle {
        let handle = self.running.begin(claimed);
        self.changes.notify(claimed.execution.id);
        handle
    }

    /// An execution does not run here any more; `recorded` is its end, where this node has recorded it.
    pub(super) fn end(&self, id: ExecutionId, recorded: Option<JobExecution>) {
        self.running.end(id);
        match recorded {
            Some(execution) => self.changes.notify_end(execution),
            None => self.changes.notify(id),
        }
    }
}
