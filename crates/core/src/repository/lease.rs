//! Who owns an execution: nodes, leases, fences.

use std::fmt;

use uuid::Uuid;

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

/// The right to write for an execution. Whoever takes it over raises the epoch, and this one is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The execution.
    pub execution_id: ExecutionId,
    /// How many times the execution has changed hands.
    pub epoch: i64,
}

/// The right to write for one step execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepFence {
    /// Lease on the execution.
    pub lease: Lease,
    /// The step execution.
    pub step_id: StepExecutionId,
}
