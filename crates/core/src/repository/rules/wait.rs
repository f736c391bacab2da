//! Waiting: the reason why an execution that no pause holds up is not run yet.

use std::fmt;

use super::launch::{Running, reached_limit};
use crate::execution::Status;
use crate::repository::{NodeState, NodeStatus, RunLimits, Workload};

/// The reason why an execution waits for a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// No node that takes work knows its job.
    NoNode {
        /// Its job.
        job: String,
    },
    /// As many run as may.
    Limit {
        /// `true` if the limit is that of its job, and not of all jobs together.
        of_job: bool,
        /// The number of those that run.
        running: i64,
        /// The limit.
        limit: u32,
    },
    /// Every node that knows its job has its slots in use.
    NodesFull,
    /// Nothing: a node takes it.
    Nothing,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode { job } => {
                write!(f, "no node that takes work knows the job {job}: start one, or end the drain of one")
            }
            Self::Limit { of_job: true, running, limit } => {
                write!(f, "{running} of its job run already, and at most {limit} may at once")
            }
            Self::Limit { of_job: false, running, limit } => {
                write!(f, "{running} executions run already, and at most {limit} may at once")
            }
            Self::NodesFull => f.write_str("every node that knows its job runs as many executions as it may"),
            Self::Nothing => f.write_str("a node takes it within moments"),
        }
    }
}

/// The reason why an execution of a job waits, by the nodes, by what runs, and by the limits that launches keep to.
pub fn wait_reason(job: &str, limits: &RunLimits, nodes: &[NodeStatus], workload: &[Workload]) -> WaitReason {
    let able: Vec<&NodeStatus> = nodes.iter().filter(|node| takes(node, job)).collect();
    if able.is_empty() {
        return WaitReason::NoNode { job: job.to_owned() };
    }
    let running = running(job, workload);
    if let Some((of_job, limit)) = reached_limit(job, limits, running) {
        let running = if of_job { running.of_job } else { running.in_all };
        return WaitReason::Limit { of_job, running, limit };
    }
    let is_full =
        |node: &&NodeStatus| node.running.len() >= usize::try_from(node.report.capacity).unwrap_or(usize::MAX);
    if able.iter().all(is_full) { WaitReason::NodesFull } else { WaitReason::Nothing }
}

/// `true` if a node takes executions of a job from the queue.
fn takes(node: &NodeStatus, job: &str) -> bool {
    node.state == NodeState::Live && node.report.capacity > 0 && node.report.jobs.iter().any(|known| known == job)
}

/// The executions that a node has taken.
fn running(job: &str, workload: &[Workload]) -> Running {
    let taken = || workload.iter().filter(|load| load.status != Status::Starting);
    let of_job = taken().filter(|load| load.job_name == job).map(|load| load.count).sum();
    Running { of_job, in_all: taken().map(|load| load.count).sum() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::execution::ExecutionId;
    use crate::repository::{Node, NodeReport};

    fn node(state: NodeState, capacity: u32, running: i64) -> NodeStatus {
        let report = NodeReport {
            node: Node::new("node"),
            version: "1".to_owned(),
            jobs: ["Job".to_owned()].into(),
            capacity,
            lease: Duration::from_secs(30),
            start_time: Timestamp::UNIX_EPOCH,
        };
        let running = (1..=running).map(|id| (ExecutionId(id), "Job".to_owned())).collect();
        NodeStatus { report, heartbeat: Timestamp::UNIX_EPOCH, state, drain: None, running }
    }

    fn load(job_name: &str, status: Status, count: i64) -> Workload {
        Workload { job_name: job_name.to_owned(), status, count, oldest: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn the_first_thing_that_keeps_an_execution_waiting_is_named() {
        let limits = RunLimits { of_jobs: [("Job".to_owned(), 2)].into(), total: Some(5) };
        let live = |running| vec![node(NodeState::Live, 2, running)];
        let load = |of_job, others| {
            vec![
                load("Job", Status::Starting, 9),
                load("Job", Status::Started, of_job),
                load("Other", Status::Stopping, others),
            ]
        };
        let reason = |nodes: Vec<NodeStatus>, workload: Vec<Workload>| wait_reason("Job", &limits, &nodes, &workload);
        let no_node = WaitReason::NoNode { job: "Job".to_owned() };
        assert_eq!(reason(Vec::new(), load(0, 0)), no_node);
        assert_eq!(reason(vec![node(NodeState::Live, 0, 0), node(NodeState::Silent, 2, 0)], load(0, 0)), no_node);
        assert_eq!(reason(live(0), load(2, 0)), WaitReason::Limit { of_job: true, running: 2, limit: 2 });
        assert_eq!(reason(live(0), load(1, 4)), WaitReason::Limit { of_job: false, running: 5, limit: 5 });
        assert_eq!(reason(live(2), load(1, 1)), WaitReason::NodesFull);
        assert_eq!(reason(live(1), load(1, 0)), WaitReason::Nothing);
        let mixed = live(2).into_iter().chain(live(0)).collect();
        assert_eq!(reason(mixed, load(1, 0)), WaitReason::Nothing);
    }
}
