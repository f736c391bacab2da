//! A node: who it is, what it runs, how it stands.

use oxbatch_core::repository::{NodeState, NodeStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::value::time;

/// A process that runs executions of the shared repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Node)]
pub struct NodeView {
    /// Made anew at each start of its process.
    #[schema(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    pub(crate) id: String,
    /// Name for people, by default the host's; several may share it.
    pub(crate) name: String,
    /// Version of the program.
    pub(crate) version: String,
    pub(crate) state: NodeStateView,
    /// The moment of its start, by its own clock.
    #[schema(format = DateTime)]
    pub(crate) start_time: String,
    /// The moment of its last heartbeat, by the database's clock.
    #[schema(format = DateTime)]
    pub(crate) last_heartbeat: String,
    /// Executions that it runs at once; 0 for one that takes none from the queue.
    #[schema(minimum = 0)]
    pub(crate) capacity: u32,
    /// Names of the jobs that it knows.
    pub(crate) jobs: Vec<String>,
    /// The executions that it runs now, oldest first.
    pub(crate) running: Vec<RunningView>,
    /// The request to drain it.
    #[schema(required)]
    pub(crate) drain: Option<DrainView>,
}

/// An execution that a node runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RunningExecution)]
pub struct RunningView {
    #[schema(minimum = 1)]
    pub(crate) execution_id: i64,
    pub(crate) job_name: String,
}

/// A request to drain a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Drain)]
pub struct DrainView {
    /// `true` if what runs is stopped at its next safe point, to be resumed by another node.
    pub(crate) stop: bool,
    /// `true` if its process ends by itself once nothing runs any more.
    pub(crate) exit: bool,
}

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NodeState)]
pub enum NodeStateView {
    /// It works.
    Live,
    /// It works, but takes no new work.
    Draining,
    /// It has missed its heartbeat; its executions are still its own.
    Silent,
    /// It has died, or its leases have run out: what it ran is recovered by others.
    Gone,
}

impl From<NodeState> for NodeStateView {
    fn from(state: NodeState) -> Self {
        match state {
            NodeState::Live => Self::Live,
            NodeState::Draining => Self::Draining,
            NodeState::Silent => Self::Silent,
            NodeState::Gone => Self::Gone,
        }
    }
}

impl From<NodeStatus> for NodeView {
    fn from(status: NodeStatus) -> Self {
        let report = status.report;
        let running = status.running.into_iter();
        Self {
            id: report.node.boot_id.to_string(),
            name: report.node.name,
            version: report.version,
            state: status.state.into(),
            start_time: time(report.start_time),
            last_heartbeat: time(status.heartbeat),
            capacity: report.capacity,
            jobs: report.jobs.to_vec(),
            running: running.map(|(id, job_name)| RunningView { execution_id: id.0, job_name }).collect(),
            drain: status.drain.map(|drain| DrainView { stop: drain.stop, exit: drain.exit }),
        }
    }
}
