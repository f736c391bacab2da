//! The nodes that share a store: which of them live, what they run, and which are to be drained.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Node;
use crate::execution::ExecutionId;

/// The time that the row of a node stays after its last heartbeat. A node that ends in order takes its row with it.
pub const NODE_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// A node is silent once it has missed its heartbeat for this share of its lease; at the whole lease it is gone.
pub const SILENT_AFTER: u32 = 2;

/// The report of a node with each heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// The node.
    pub node: Node,
    /// Version of the program.
    pub version: String,
    /// Names of the jobs that it knows, sorted.
    pub jobs: Arc<[String]>,
    /// Executions that it runs at once; 0 for one that takes none from the queue.
    pub capacity: u32,
    /// The time that its executions stay with it without a renewal.
    pub lease: Duration,
    /// The time of its start, by its own clock.
    pub start_time: Timestamp,
}

/// A node takes no new work and lets what it runs come to an end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drain {
    /// `true` if what runs is stopped at its next safe point, to be resumed by another node.
    pub stop: bool,
    /// `true` if its process ends by itself once nothing runs any more.
    pub exit: bool,
}

/// A node as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// The node's own report.
    pub report: NodeReport,
    /// Its last heartbeat, by the store's clock.
    pub heartbeat: Timestamp,
    /// The state of the node.
    pub state: NodeState,
    /// The request to drain it.
    pub drain: Option<Drain>,
    /// Its executions in the order of their ids, with the names of their jobs.
    pub running: Vec<(ExecutionId, String)>,
}

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// It works.
    Live,
    /// It works, but takes no new work.
    Draining,
    /// It has missed its heartbeat; its executions are its own until its lease runs out.
    Silent,
    /// Its process has ended, or its leases have run out: what it ran is recovered by others.
    Gone,
}

impl NodeState {
    /// The state of a node whose last heartbeat is `age` old.
    pub fn of(age: Duration, lease: Duration, drain: Option<Drain>) -> Self {
        if age >= lease {
            Self::Gone
        } else if age >= lease / SILENT_AFTER {
            Self::Silent
        } else if drain.is_some() {
            Self::Draining
        } else {
            Self::Live
        }
    }

    /// The state of the node where it is known whether its process lives: one that does is not gone, however old its
    /// heartbeat is, and one that has ended is, however fresh.
    pub fn with_process(self, lives: bool) -> Self {
        match (self, lives) {
            (_, false) => Self::Gone,
            (Self::Gone, true) => Self::Silent,
            (state, true) => state,
        }
    }

    /// The state in lower case, for people and programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Silent => "silent",
            Self::Gone => "gone",
        }
    }
}

/// The number of executions that may run at once, on all nodes together. They hold exactly, for whoever claims with
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunLimits {
    /// Of all jobs.
    pub total: Option<u32>,
    /// Of single jobs, by their names.
    pub of_jobs: Arc<[(String, u32)]>,
}

impl RunLimits {
    /// Returns whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.total.is_none() && self.of_jobs.is_empty()
    }

    /// The limit of a job.
    pub fn of_job(&self, name: &str) -> Option<u32> {
        self.of_jobs.iter().find(|(job, _)| job == name).map(|(_, limit)| *limit)
    }
}

/// A hint that something has changed in the store. It may come twice, late or never: whoever hears it polls the
/// store, and polls it now and then without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// An execution waits for a node.
    Work,
    /// An execution that runs is asked to stop.
    StopRequested(ExecutionId),
    /// An execution has begun to run.
    Started(ExecutionId),
    /// An execution has ended.
    Ended(ExecutionId),
    /// Nodes are asked to drain, or no longer.
    Drain,
    /// Notification may have been missed.
    Missed,
}

/// The jobs that a node knows, with the fingerprints of their definitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownJobs {
    names: Vec<String>,
    fingerprints: Vec<String>,
    json: String,
    first_steps: BTreeMap<String, FirstStep>,
}

/// The first step of a job, as far as the repository has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstStep {
    /// Its name.
    pub step_name: String,
    /// `true` if it runs again although it is COMPLETED.
    pub rerun_if_complete: bool,
    /// The number of attempts that the instance allows it.
    pub start_limit: Option<u32>,
}

impl KnownJobs {
    /// Jobs by name, each with its fingerprint.
    pub fn new(jobs: impl IntoIterator<Item = (String, String)>) -> Self {
        let (names, fingerprints): (Vec<String>, Vec<String>) = jobs.into_iter().unzip();
        let by_name = names.iter().cloned().zip(fingerprints.iter().map(|it| it.as_str().into()));
        let json = serde_json::Value::Object(by_name.collect()).to_string();
        Self { names, fingerprints, json, first_steps: BTreeMap::new() }
    }

    /// The same jobs, with the first steps of those, by name, before which the node does nothing.
    #[must_use]
    pub fn with_first_steps(mut self, steps: impl IntoIterator<Item = (String, FirstStep)>) -> Self {
        self.first_steps.extend(steps);
        self
    }

    /// The first step of a job before which the node does nothing.
    pub fn first_step(&self, job_name: &str) -> Option<&FirstStep> {
        self.first_steps.get(job_name)
    }

    /// The fingerprint of a job.
    pub fn fingerprint(&self, job_name: &str) -> Option<&str> {
        let index = self.names.iter().position(|name| name == job_name)?;
        self.fingerprints.get(index).map(String::as_str)
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Their fingerprints, in the order of the names.
    pub fn fingerprints(&self) -> &[String] {
        &self.fingerprints
    }

    /// The fingerprints by the names, as a JSON object.
    pub fn as_json(&self) -> &str {
        &self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_falls_silent_before_it_is_gone_and_both_outweigh_a_drain() {
        let lease = Duration::from_secs(30);
        let state = |seconds, drain| NodeState::of(Duration::from_secs(seconds), lease, drain).as_str();
        assert_eq!(
            [0, 14, 15, 29, 30, 999].map(|age| state(age, None)),
            ["live", "live", "silent", "silent", "gone", "gone"]
        );
        let drain = Some(Drain::default());
        assert_eq!([0, 15, 30].map(|age| state(age, drain)), ["draining", "silent", "gone"]);
        let all = [NodeState::Live, NodeState::Draining, NodeState::Silent, NodeState::Gone];
        assert_eq!(all.map(|state| state.with_process(true).as_str()), ["live", "draining", "silent", "silent"]);
        assert_eq!(all.map(|state| state.with_process(false)), [NodeState::Gone; 4]);
    }
}
