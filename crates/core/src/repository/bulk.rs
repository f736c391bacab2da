//! The contract of the store for bulk work: one action on all executions that a filter finds.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::query::cut;
use super::{ExecutionFilter, PageRequest, ParameterMatch, RepositoryError, RepositoryFuture};
use crate::execution::{ExecutionId, InstanceId, Status};
use crate::words::{id, words};

id! {
    /// The id of a bulk.
    BulkId
}

words! {
    /// The action of a bulk.
    BulkAction, "action of a bulk" {
        /// They are restarted.
        Restart = "RESTART",
        /// They are asked to stop.
        Stop = "STOP",
        /// They are given up.
        Abandon = "ABANDON",
    }
}

words! {
    /// The state of a bulk.
    BulkState, "state of a bulk" {
        /// Executions are left to be acted on.
        Running = "RUNNING",
        /// All that it has found were acted on, or left out.
        Ended = "ENDED",
        /// It was cancelled: what was done by then stays.
        Cancelled = "CANCELLED",
    }
}

words! {
    /// The outcome of a bulk for an execution.
    BulkOutcome, "outcome of a bulk" {
        /// The action was done.
        Done = "DONE",
        /// The action does not go with how it stands; the message says why.
        LeftOut = "LEFT_OUT",
    }
}

/// The stored form of a filter.
#[derive(Serialize, Deserialize)]
struct StoredFilter {
    version: u32,
    job: Option<String>,
    statuses: Vec<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    instance: Option<i64>,
    #[serde(default)]
    parameters: Vec<(String, String)>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<i64>,
}

/// The version of the stored form of a filter that names executions: one that passed over their names would take all.
const WITH_IDS: u32 = 2;
/// The version of the stored form of any other filter.
const WITHOUT_IDS: u32 = 1;

/// The filter as it is stored: the same text for the same filter.
pub fn filter_to_json(filter: &ExecutionFilter) -> String {
    let mut statuses: Vec<_> = filter.statuses.iter().map(|status| status.as_str().to_owned()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let ExecutionFilter { job_name, from, to, instance_id, parameters, text, .. } = filter.clone();
    let parameters = parameters.into_iter().map(|it| (it.name, it.value)).collect();
    let mut ids: Vec<_> = filter.ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let stored = StoredFilter {
        version: if ids.is_empty() { WITHOUT_IDS } else { WITH_IDS },
        job: job_name,
        statuses,
        from,
        to,
        instance: instance_id.map(|id| id.0),
        parameters,
        text,
        ids,
    };
    // A shape of texts and numbers can always be written.
    serde_json::to_string(&stored).unwrap_or_default()
}

/// The filter of a stored text.
///
/// # Errors
/// When it is none that this version knows.
pub fn filter_from_json(json: &str) -> Result<ExecutionFilter, RepositoryError> {
    let corrupt = |source: Box<dyn std::error::Error + Send + Sync>| RepositoryError::Corrupt {
        what: "filter of a bulk".to_owned(),
        source,
    };
    let stored: StoredFilter = serde_json::from_str(json).map_err(|error| corrupt(error.into()))?;
    if ![WITHOUT_IDS, WITH_IDS].contains(&stored.version) {
        return Err(corrupt(format!("its form {} is that of a newer version", stored.version).into()));
    }
    let statuses = stored.statuses.iter().map(|status| status.parse::<Status>()).collect::<Result<_, _>>();
    Ok(ExecutionFilter {
        job_name: stored.job,
        statuses: statuses.map_err(|error| corrupt(error.into()))?,
        from: stored.from,
        to: stored.to,
        instance_id: stored.instance.map(InstanceId),
        parameters: stored.parameters.into_iter().map(|(name, value)| ParameterMatch { name, value }).collect(),
        text: stored.text,
        ids: stored.ids.into_iter().map(ExecutionId).collect(),
    })
}

/// The digest of an action on a filter, by which two of the same are known.
pub fn digest(action: BulkAction, filter: &ExecutionFilter) -> String {
    let hash = Sha256::digest(format!("{action} {}", filter_to_json(filter)));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A bulk that is to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBulk {
    /// The action.
    pub action: BulkAction,
    /// The executions.
    pub filter: ExecutionFilter,
    /// The current time.
    pub time: Timestamp,
}

/// The answer to the begin of a bulk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BegunBulk {
    /// It has begun.
    Begun(BulkId),
    /// Another one with the same action and the same filter is running.
    Running(BulkId),
}

/// A bulk as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Its id.
    pub id: BulkId,
    /// The action.
    pub action: BulkAction,
    /// The executions.
    pub filter: ExecutionFilter,
    /// Its state.
    pub state: BulkState,
    /// When it began.
    pub create_time: Timestamp,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// Executions with a smaller id are left; at first all that there were when it began.
    pub before: i64,
    /// Executions on which the action was done.
    pub done: i64,
    /// Executions that were left out.
    pub left_out: i64,
}

/// The result of a bulk for an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkResult {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The outcome.
    pub outcome: BulkOutcome,
    /// The reason why it was left out.
    pub message: Option<String>,
    /// The execution that a restart has launched.
    pub new_execution_id: Option<ExecutionId>,
}

/// Executions that a filter has found, by what decides about an action on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundCount {
    /// Their status.
    pub status: Status,
    /// A later execution of the same instance; `None` where they are the last of theirs.
    pub later: Option<ExecutionId>,
    /// The number of them.
    pub count: usize,
}

/// The executions of a page, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundCounts {
    /// The counts.
    pub counts: Vec<FoundCount>,
    /// The begin of the next page; `None` on the last. A page of a search may have nothing to count, and another one
    /// behind it.
    pub next: Option<i64>,
}

impl FoundCounts {
    /// The counts of the rows that were read for a page, each with the smallest id among them: one row more than fits
    /// shows that there is another page, and is counted there.
    pub fn of(groups: Vec<(FoundCount, i64)>, limit: u32) -> Self {
        let all: usize = groups.iter().map(|(found, _)| found.count).sum();
        let oldest = groups.iter().map(|(_, oldest)| *oldest).min().filter(|_| all > limit.max(1) as usize);
        let counted = |(mut found, smallest): (FoundCount, i64)| {
            found.count -= usize::from(Some(smallest) == oldest);
            found
        };
        let counts = groups.into_iter().map(counted).filter(|found| found.count > 0).collect();
        Self { counts, next: oldest.map(|oldest| oldest.saturating_add(1)) }
    }

    /// The counts of a search that has looked at executions down to an id; `oldest` is the smallest that there is.
    pub fn of_search(groups: Vec<(FoundCount, i64)>, limit: u32, down_to: i64, oldest: i64) -> Self {
        let page = Self::of(groups, limit);
        let next = page.next.or((down_to > oldest).then_some(down_to));
        Self { next, ..page }
    }
}

/// A page of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkPage {
    /// The results, newest execution first.
    pub results: Vec<BulkResult>,
    /// The begin of the next page; `None` on the last.
    pub next: Option<i64>,
}

impl BulkPage {
    /// The page of the rows that were read for it.
    pub fn of(mut results: Vec<BulkResult>, limit: u32) -> Self {
        let next = cut(&mut results, limit).map(|result| result.execution_id.0);
        Self { results, next }
    }
}

/// The durable store of bulk work.
///
/// # Contract
/// That of [`JobRepository`](super::JobRepository). Of several nodes one works on a bulk; another goes on with it where
/// it was when the time for which it was taken is over.
pub trait Bulks: Send + Sync + 'static {
    /// Begins a bulk, unless the same is running. Executions that are created later are none of its own. Durable.
    fn create_bulk(&self, bulk: NewBulk) -> RepositoryFuture<'_, BegunBulk>;

    /// The bulk `id`, or all, newest first, at most 500.
    fn bulks(&self, id: Option<BulkId>) -> RepositoryFuture<'_, Vec<Bulk>>;

    /// Cancels a bulk; `false` where it does not run. Durable.
    fn cancel_bulk(&self, id: BulkId, time: Timestamp) -> RepositoryFuture<'_, bool>;

    /// Takes the oldest running bulk that nobody else works on, for a while.
    fn claim_bulk(&self, owner: String, keep: Duration) -> RepositoryFuture<'_, Option<Bulk>>;

    /// Records a result and goes on behind its execution; without one, the bulk has ended. `false` where it was
    /// cancelled, or is another's by now: nothing is recorded then. Durable.
    fn record_bulk(
        &self,
        id: BulkId,
        owner: String,
        result: Option<BulkResult>,
        time: Timestamp,
    ) -> RepositoryFuture<'_, bool>;

    /// The results of a bulk, one page.
    fn bulk_results(&self, id: BulkId, page: PageRequest) -> RepositoryFuture<'_, BulkPage>;

    /// The executions that a filter finds, one page, counted instead of listed.
    fn count_found(&self, filter: ExecutionFilter, page: PageRequest) -> RepositoryFuture<'_, FoundCounts>;

    /// The last executions of instances, in their order.
    fn last_executions(&self, ids: Vec<InstanceId>) -> RepositoryFuture<'_, Vec<Option<ExecutionId>>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_that_shows_another_page_is_counted_there() {
        let found = |status, later: Option<i64>, count| FoundCount { status, later: later.map(ExecutionId), count };
        let groups = vec![
            (found(Status::Failed, None, 2), 7),
            (found(Status::Failed, Some(9), 1), 3),
            (found(Status::Stopped, None, 2), 5),
        ];
        let whole = FoundCounts::of(groups.clone(), 5);
        assert_eq!((whole.counts.len(), whole.next), (3, None));
        let cut = FoundCounts::of(groups.clone(), 4);
        assert_eq!(cut.counts, [found(Status::Failed, None, 2), found(Status::Stopped, None, 2)]);
        assert_eq!(cut.next, Some(4));
        assert_eq!(FoundCounts::of_search(groups.clone(), 5, 2, 1).next, Some(2));
        assert_eq!(FoundCounts::of_search(groups, 5, 2, 2).next, None);
    }

    #[test]
    fn a_filter_is_read_as_it_was_written_and_one_without_ids_as_older_versions_write_it() {
        let named = ExecutionFilter { ids: vec![ExecutionId(9), ExecutionId(7), ExecutionId(9)], ..Default::default() };
        let json = filter_to_json(&named);
        assert!(json.starts_with(r#"{"version":2,"#), "{json}");
        assert_eq!(filter_from_json(&json).unwrap().ids, [ExecutionId(7), ExecutionId(9)]);
        let other = ExecutionFilter { job_name: Some("Job".to_owned()), ..Default::default() };
        let json = filter_to_json(&other);
        assert!(json.starts_with(r#"{"version":1,"#) && !json.contains("ids"), "{json}");
        assert_eq!(filter_from_json(&json).unwrap(), other);
    }
}
