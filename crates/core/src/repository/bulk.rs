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
}

/// The version of the stored form.
const VERSION: u32 = 1;

/// The filter as it is stored: the same text for the same filter.
pub fn filter_to_json(filter: &ExecutionFilter) -> String {
    let mut statuses: Vec<_> = filter.statuses.iter().map(|status| status.as_str().to_owned()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let ExecutionFilter { job_name, from, to, instance_id, parameters, text, .. } = filter.clone();
    let parameters = parameters.into_iter().map(|it| (it.name, it.value)).collect();
    let stored = StoredFilter {
        version: VERSION,
        job: job_name,
        statuses,
        from,
        to,
        instance: instance_id.map(|id| id.0),
        parameters,
        text,
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
    if stored.version != VERSION {
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

    /// The last executions of instances, in their order.
    fn last_executions(&self, ids: Vec<InstanceId>) -> RepositoryFuture<'_, Vec<Option<ExecutionId>>>;
}
