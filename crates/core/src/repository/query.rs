//! Questions to a repository, and the shapes of the answers.

use jiff::Timestamp;

use super::RerunStep;
use crate::execution::{
    ExecutionContext, ExecutionId, InstanceId, JobExecution, JobInstance, Status, StepExecutionId, StoredSkip,
};
use crate::job::Parameter;

/// Executions that a filter may name.
pub const MAX_CHOSEN: usize = 500;

/// The filter of a list of executions; an empty one shows all.
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
    /// One of these; empty for any. At most [`MAX_CHOSEN`].
    pub ids: Vec<ExecutionId>,
    /// Of instances that were created with all of these parameters.
    pub parameters: Vec<ParameterMatch>,
    /// With this text in the name of the job or in the exit message, whatever the case of its ASCII letters.
    pub text: Option<String>,
}

/// A parameter that is searched for; secrets are never found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterMatch {
    /// Its name.
    pub name: String,
    /// Its value as it is written: a text, a number or a date.
    pub value: String,
}

impl std::str::FromStr for ParameterMatch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("must be NAME=VALUE")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// The contexts of an execution and of its steps, as they were committed last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contexts {
    /// That of the job; `None` where nothing was put into it.
    pub job: Option<ExecutionContext>,
    /// Those of steps.
    pub steps: Vec<(StepExecutionId, ExecutionContext)>,
}

/// The filter of a list of instances; an empty one shows all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceFilter {
    /// Of this job.
    pub job_name: Option<String>,
}

/// The page of a list: keyset, so the cost does not depend on the distance from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Only rows with a smaller id.
    pub before: Option<i64>,
    /// Most rows, at least 1.
    pub limit: u32,
}

impl PageRequest {
    /// The id that all rows of the page are below.
    pub fn upper_bound(self) -> i64 {
        self.before.unwrap_or(i64::MAX)
    }

    /// The number of rows that a repository reads: one more than fit, which shows that there is another page.
    pub fn rows_to_read(self) -> i64 {
        rows_to_read(self.limit)
    }
}

/// The number of rows that a repository reads for a page of so many: one more, which shows that there is another page.
pub fn rows_to_read(limit: u32) -> i64 {
    i64::from(limit.max(1)) + 1
}

/// Removes the row that only shows that there is another page: the last row of this one then.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: u32) -> Option<&T> {
    let limit = limit.max(1) as usize;
    if rows.len() <= limit {
        return None;
    }
    rows.truncate(limit);
    rows.last()
}

/// One page of executions.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionPage {
    /// The rows, newest first.
    pub executions: Vec<JobExecution>,
    /// The begin of the next page; `None` on the last. A page of a search may have fewer rows than fit, or none, and
    /// another one behind it.
    pub next: Option<i64>,
}

impl ExecutionPage {
    /// The page of the rows that were read for it.
    pub fn of(mut executions: Vec<JobExecution>, limit: u32) -> Self {
        let next = cut(&mut executions, limit).map(|execution| execution.id.0);
        Self { executions, next }
    }

    /// The page of a search that has looked at executions down to an id; `oldest` is the smallest that there is.
    pub fn of_search(executions: Vec<JobExecution>, limit: u32, down_to: i64, oldest: i64) -> Self {
        let page = Self::of(executions, limit);
        let next = page.next.or((down_to > oldest).then_some(down_to));
        Self { next, ..page }
    }
}

/// Executions whose status has changed since a position in the store's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// As they stand, those first that changed first. What changed several times is there once.
    pub executions: Vec<JobExecution>,
    /// From where the next call goes on: it stands for what has changed by then and is not in any page until here,
    /// in whichever order it was committed.
    pub position: String,
    /// A short position that can be kept and sent around. It is at or before the exact one: who goes on from it is
    /// reported some changes again, and misses none.
    pub resume: String,
    /// `true` if more has changed already than fits this page.
    pub more: bool,
    /// `true` if it went on from a position; otherwise it only says where the history is now.
    pub resumed: bool,
}

/// One page of instances.
#[derive(Debug, Clone, PartialEq)]
pub struct InstancePage {
    /// The rows, newest first.
    pub instances: Vec<JobInstance>,
    /// The begin of the next page; `None` on the last.
    pub next: Option<i64>,
}

impl InstancePage {
    /// The page of the rows that were read for it.
    pub fn of(mut instances: Vec<JobInstance>, limit: u32) -> Self {
        let next = cut(&mut instances, limit).map(|instance| instance.id.0);
        Self { instances, next }
    }
}

/// The skipped items of a step that are left.
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
    /// `true` if raw text can be run again.
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
    /// The begin of the next page; `None` on the last.
    pub next: Option<i64>,
}

impl SkipPage {
    /// The page of the rows that were read for it.
    pub fn of(mut skips: Vec<StoredSkip>, limit: u32) -> Self {
        let next = cut(&mut skips, limit).map(|skip| skip.id);
        Self { skips, next }
    }
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

/// The executions of a job that have not ended and have the same status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Name of the job.
    pub job_name: String,
    /// STARTING, STARTED or STOPPING.
    pub status: Status,
    /// The number of executions.
    pub count: i64,
    /// The launch of the oldest one.
    pub oldest: Timestamp,
}

/// The connections of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections that may be open.
    pub limit: usize,
    /// Those of them that are in use.
    pub used: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

/// The state of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Number of the newest migration that the database has.
    pub migration: i64,
    /// Number of the newest migration that this version knows.
    pub expected_migration: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_at_most_its_limit_and_the_last_one_names_no_next() {
        // Rows that were read, limit, rows of the page, last row where there is a next page.
        let cases = [(0, 3, 0, None), (3, 3, 3, None), (4, 3, 3, Some(2)), (1, 0, 1, None), (2, 0, 1, Some(0))];
        for (read, limit, shown, last) in cases {
            let mut rows: Vec<i64> = (0..read).collect();
            assert_eq!(cut(&mut rows, limit).copied(), last, "{read} rows, limit {limit}");
            assert_eq!(rows.len(), shown, "{read} rows, limit {limit}");
            assert!(rows_to_read(limit) > i64::from(limit));
        }
    }
}
