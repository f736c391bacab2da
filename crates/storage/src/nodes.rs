//! The list of nodes, alike in both databases: what each of them runs, whether its process lives.

use std::collections::HashMap;

use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::{Drain, NodeState, NodeStatus, RepositoryError};
use uuid::Uuid;

use crate::rows::StoredRow;

/// Most nodes in a list: those that were seen last.
pub(crate) const MOST_NODES: i64 = 500;

/// Executions that have an owner, with the names of their jobs. `+id`: SQLite would rather scan the whole table in the
/// order of its ids than sort the few rows that the index of leases has.
pub(crate) const RUNNING: &str =
    "SELECT lease_owner, id, job_name FROM oxbatch_job_execution WHERE lease_owner IS NOT NULL ORDER BY +id";

/// Executions with the names of their jobs, by their owners.
#[derive(Debug, Default)]
pub(crate) struct Running(HashMap<String, Vec<(ExecutionId, String)>>);

impl Running {
    /// Adds a row of [`RUNNING`].
    pub(crate) fn add<R: StoredRow>(&mut self, row: &R) -> Result<(), R::Error> {
        self.0.entry(row.value(0)?).or_default().push((ExecutionId(row.value(1)?), row.value(2)?));
        Ok(())
    }

    /// The nodes with what each of them runs, and in the state that `state` finds for the owner of its leases.
    pub(crate) fn of(
        mut self,
        mut nodes: Vec<NodeStatus>,
        state: impl Fn(NodeState, &str) -> NodeState,
    ) -> Vec<NodeStatus> {
        for node in &mut nodes {
            let owner = node.report.node.to_string();
            node.running = self.0.remove(&owner).unwrap_or_default();
            node.state = state(node.state, &owner);
        }
        nodes
    }
}

/// Reads draining, drain_stop and drain_exit from a column on.
pub(crate) fn drain<R: StoredRow>(row: &R, first: usize) -> Result<Option<Drain>, R::Error> {
    let drain = Drain { stop: row.value(first + 1)?, exit: row.value(first + 2)? };
    Ok(row.value::<bool>(first)?.then_some(drain))
}

/// Picks one node of a list.
pub(crate) fn find(nodes: Vec<NodeStatus>, boot_id: Uuid) -> Result<NodeStatus, RepositoryError> {
    let found = nodes.into_iter().find(|status| status.report.node.boot_id == boot_id);
    found.ok_or(RepositoryError::NodeNotFound { id: boot_id })
}
