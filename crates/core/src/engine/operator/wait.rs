//! Waits of an operator for executions and nodes.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Operator;
use crate::engine::refusal::OperatorError;
use crate::execution::{ExecutionId, JobExecution};
use crate::repository::{NodeStatus, RepositoryError};

/// Time between polls of an execution that another process runs, where the store does not notify of its end.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// The same where it does, though a notification may be lost.
const POLL_BESIDE_NOTIFICATIONS: Duration = Duration::from_secs(1);

impl Operator {
    /// Waits until an execution has ended, but not longer than `at_most`. The result is its state then.
    ///
    /// # Errors
    /// When it does not exist, or the repository fails.
    pub async fn wait(&self, id: ExecutionId, at_most: Duration) -> Result<JobExecution, OperatorError> {
        let deadline = Instant::now() + at_most;
        let local = &self.inner.local;
        let poll_every = if local.listens { POLL_BESIDE_NOTIFICATIONS } else { POLL_EVERY };
        let watcher = local.changes.watch(id);
        loop {
            // Taken before the poll, so that no change between the poll and the wait is missed.
            let change = watcher.change();
            if let Some(ended) = watcher.ended() {
                return Ok(ended.clone());
            }
            let (runs_here, now) = (local.running.has(id), Instant::now());
            if !runs_here || now >= deadline {
                let execution = self.execution(id).await?;
                if !execution.status.is_running() || now >= deadline {
                    return Ok(execution);
                }
            }
            // What runs here notifies when it ends; what waits or runs elsewhere is polled.
            let next = if runs_here { deadline } else { deadline.min(now + poll_every) };
            tokio::select! {
                () = change => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Waits until something may have happened to an execution, but not longer than `at_most`. What happens on another
    /// node is heard only where the repository notifies of it.
    pub async fn change(&self, id: ExecutionId, at_most: Duration) {
        let watcher = self.inner.local.changes.watch(id);
        // A caller that waited in vain polls too.
        let _ = tokio::time::timeout(at_most, watcher.change()).await;
    }

    /// Waits until something may have happened to any execution, but not longer than `at_most`; as [`Self::change`].
    pub async fn any_change(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.inner.local.changes.any()).await;
    }

    /// Waits until a node is as `is_done` wants it, but not longer than `at_most`; the result is its state then, `None`
    /// when it has ended.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn wait_for_node(
        &self,
        boot_id: Uuid,
        at_most: Duration,
        is_done: impl Fn(&NodeStatus) -> bool,
    ) -> Result<Option<NodeStatus>, RepositoryError> {
        let deadline = Instant::now() + at_most;
        loop {
            let node = self.nodes().await?.into_iter().find(|node| node.report.node.boot_id == boot_id);
            let now = Instant::now();
            if now >= deadline || node.as_ref().is_none_or(&is_done) {
                return Ok(node);
            }
            tokio::time::sleep_until(deadline.min(now + POLL_EVERY)).await;
        }
    }
}
