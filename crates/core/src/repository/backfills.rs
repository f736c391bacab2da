//! The contract of the store for backfills.

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Fire, RepositoryFuture, ScheduleId, StoredSchedule};
use crate::schedule::Which;
use crate::schedule::rules::LastRun;
use crate::words::{id, words};

id! {
    /// The id of a backfill.
    BackfillId
}

words! {
    /// The state of a backfill.
    BackfillState, "state of a backfill" {
        /// It launches, or waits for what it has launched.
        Running = "RUNNING",
        /// All of its fires are launched and have ended.
        Ended = "ENDED",
        /// It was cancelled: what it had launched by then went on.
        Cancelled = "CANCELLED",
    }
}

/// A backfill that is to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackfill {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// First calendar day.
    pub first_day: Date,
    /// Last calendar day.
    pub last_day: Date,
    /// The fires that were wanted.
    pub which: Which,
    /// Executions of it that run at once.
    pub max_running: u32,
    /// `true` if the newest fire goes first.
    pub newest_first: bool,
    /// The fires.
    pub fires: Vec<Timestamp>,
    /// The current time.
    pub time: Timestamp,
}

/// A backfill as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Its id.
    pub id: BackfillId,
    /// Its schedule.
    pub schedule_id: ScheduleId,
    /// Name of its schedule.
    pub schedule_name: String,
    /// The job.
    pub job_name: String,
    /// First calendar day.
    pub first_day: Date,
    /// Last calendar day.
    pub last_day: Date,
    /// The fires that were wanted.
    pub which: Which,
    /// Executions of it that run at once.
    pub max_running: u32,
    /// `true` if the newest fire goes first.
    pub newest_first: bool,
    /// Its state.
    pub state: BackfillState,
    /// When it began.
    pub create_time: Timestamp,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// Its fires.
    pub fires: i64,
    /// Fires that are to be launched yet.
    pub planned: i64,
    /// Executions that wait or run.
    pub running: i64,
    /// Executions that are complete.
    pub complete: i64,
    /// The others: failed, refused, recorded alone.
    pub failed: i64,
}

/// A backfill that has room for further fires.
#[derive(Debug, Clone, PartialEq)]
pub struct BackfillWork {
    /// The backfill.
    pub backfill: Backfill,
    /// Its schedule.
    pub schedule: StoredSchedule,
    /// The next fires, no more than there is room for.
    pub next: Vec<Fire>,
}

/// The durable store of backfills.
///
/// # Contract
/// That of [`JobRepository`](super::JobRepository). The fires of a backfill are those of its schedule: an instant is
/// there once, whoever launches it. The schedule itself is not moved.
pub trait Backfills: Send + Sync + 'static {
    /// The last executions of the instances with these keys, in their order.
    fn last_runs<'a>(&'a self, job_name: &'a str, keys: Vec<String>) -> RepositoryFuture<'a, Vec<Option<LastRun>>>;

    /// Begins a backfill; a fire of another one, or that waits, is left to whom it belongs. Durable.
    fn create_backfill(&self, backfill: NewBackfill) -> RepositoryFuture<'_, BackfillId>;

    /// The backfill `id`, or all, newest first, at most 500.
    fn backfills(&self, id: Option<BackfillId>) -> RepositoryFuture<'_, Vec<Backfill>>;

    /// Cancels what is planned; `false` where it does not run. Durable.
    fn cancel_backfill(&self, id: BackfillId, time: Timestamp) -> RepositoryFuture<'_, bool>;

    /// The backfills that run and are not paused, with their next fires. Those that have come to their end are ended.
    fn backfill_work(&self, time: Timestamp) -> RepositoryFuture<'_, Vec<BackfillWork>>;
}
