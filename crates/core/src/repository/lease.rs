//! The owners of work: nodes, leases, fences.

use std::fmt;

use uuid::Uuid;

use super::error::RepositoryError;
use crate::execution::{ExecutionId, StepExecutionId};

/// One start of one process: a name for people, and an id that no other start has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// Name of the node, by default the host's.
    pub name: String,
    /// Made anew at each start.
    pub boot_id: Uuid,
}

impl Node {
    /// A node that starts now.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), boot_id: Uuid::new_v4() }
    }
}

/// `name/boot-id`, as it is stored in a lease.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.boot_id)
    }
}

/// A piece of work that has one owner at a time.
///
/// Today that is a whole execution; a part of one, with an owner of its own, is one more kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseKey {
    /// An execution, with all that runs of it.
    Execution(ExecutionId),
}

impl LeaseKey {
    /// The execution that the work is a part of.
    pub fn execution_id(self) -> ExecutionId {
        match self {
            Self::Execution(id) => id,
        }
    }
}

/// The executions that are leased as a whole, among the keys that a node holds.
pub fn leased_executions(held: &[LeaseKey]) -> impl Iterator<Item = ExecutionId> {
    held.iter().map(|key| match key {
        LeaseKey::Execution(id) => *id,
    })
}

/// The right to write for a piece of work. Whoever takes it over raises the epoch, and this one is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The work.
    pub key: LeaseKey,
    /// The number of times that the work has changed hands.
    pub epoch: i64,
}

impl Lease {
    /// The lease on a whole execution.
    pub fn on_execution(id: ExecutionId, epoch: i64) -> Self {
        Self { key: LeaseKey::Execution(id), epoch }
    }

    /// The execution that the work is a part of.
    pub fn execution_id(&self) -> ExecutionId {
        self.key.execution_id()
    }

    /// Checks that a write under the lease has found its row.
    ///
    /// # Errors
    /// The lease is lost: no row has its epoch.
    pub fn check(&self, rows: u64) -> Result<(), RepositoryError> {
        match rows {
            0 => Err(RepositoryError::LeaseLost { id: self.execution_id() }),
            _ => Ok(()),
        }
    }
}

/// The right to write for one step execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepFence {
    /// Lease on the execution.
    pub lease: Lease,
    /// The step execution.
    pub step_id: StepExecutionId,
}
