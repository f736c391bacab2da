//! Questions to a repository, and the shapes of the answers.

use jiff::Timestamp;

use super::{RerunStep, StatusCounts};
use crate::execution::{ExecutionId, InstanceId, JobExecution, JobInstance, Status, StoredSkip};
use crate::job::Parameter;

/// Which executions a list shows; an empty filter shows all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Of this job.
    pub job_name: Option<String>,
    /// With one of these statuses; empty for any.
    pub statuses: Vec<Status>,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created before.
    pub to: Option<Timestamp>,
    /// Of this instance.
    pub instance_id: Option<InstanceId>,
}

/// Which instances a list shows; an empty filter shows all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceFilter {
    /// Of this job.
    pub job_name: Option<String>,
}

/// Which page of a list: keyset, so the cost does not depend on how far it is from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Only rows with a smaller id.
    pub before: Option<i64>,
    /// Most rows, at least 1.
    pub limit: u32,
}

/// One page of executions.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionPage {
    /// The rows, newest first.
    pub executions: Vec<JobExecution>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<i64>,
}

/// Executions whose status has changed since a position in the store's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// As they stand, those first that changed first. What changed several times is there once.
    pub executions: Vec<JobExecution>,
    /// From where the next call goes on: it tells what has changed by then and is not in any page until here, no matter in
    /// which order it was committed.
    pub position: String,
    /// A short position that can be kept and sent around. It is at or before the exact one: who goes on from it is reported
    /// some changes again, and misses none.
    pub resume: String,
    /// Whether more has changed already than fits this page.
    pub more: bool,
    /// Whether it went on from a position; otherwise it only tells where the history is.
    pub resumed: bool,
}

/// One page of instances.
#[derive(Debug, Clone, PartialEq)]
pub struct InstancePage {
    /// The rows, newest first.
    pub instances: Vec<JobInstance>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<i64>,
}

/// What is left of the items that an execution skipped in one of its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSkips {
    /// Name of the step.
    pub step_name: String,
    /// Pending items whose JSON is complete.
    pub items: i64,
    /// Pending items that could not be read and whose raw text is complete.
    pub raw: i64,
    /// Pending items of which not all was kept.
    pub incomplete: i64,
    /// Items that were run again by executions of the instance that was asked for.
    pub rerun: i64,
}

/// Asks for skipped items that nobody has run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSkips {
    /// Of this execution.
    pub execution_id: ExecutionId,
    /// Of this step.
    pub step_name: String,
    /// Those that can be run again, or all others.
    pub rerunnable: bool,
    /// Whether raw text can be run again.
    pub raw: bool,
    /// Only those after this row.
    pub after: Option<i64>,
    /// Most rows, at least 1.
    pub limit: u32,
}

impl PendingSkips {
    /// Asks for the first item of a step that can be run again.
    pub fn first_of(execution_id: ExecutionId, step: &RerunStep) -> Self {
        Self { execution_id, step_name: step.step_name.clone(), rerunnable: true, raw: step.raw, after: None, limit: 1 }
    }
}

/// One page of skipped items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkipPage {
    /// The items, in the order in which they were skipped.
    pub skips: Vec<StoredSkip>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<i64>,
}

/// A stored parameter of an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceParameter {
    /// Id of the row.
    pub id: i64,
    /// The instance.
    pub instance_id: InstanceId,
    /// Its name.
    pub name: String,
    /// Its value and flags.
    pub parameter: Parameter,
}

/// What a list of jobs shows of one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobSummary {
    /// Its newest execution.
    pub last_execution: Option<JobExecution>,
    /// How many executions have which status; statuses without any are left out.
    pub counts: StatusCounts,
}

/// Whether a repository can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Number of the newest migration that the database has.
    pub migration: i64,
    /// Number of the newest migration that this version knows.
    pub expected_migration: i64,
}
