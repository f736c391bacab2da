//! The contract of the store for schedules, and the shapes of schedules and pauses.

use jiff::Timestamp;

use super::fires::{Fire, FireFilter, FireId, FirePage, FireRequest, Fired, LateFire, ReleaseRequest};
use super::{PageRequest, RepositoryFuture};
use crate::schedule::rules::LastRun;
use crate::schedule::{Schedule, ScheduleError};
use crate::words::{id, words};

id! {
    /// The id of a schedule.
    ScheduleId
}

words! {
    /// The author of a schedule.
    ScheduleOrigin, "origin of a schedule" {
        /// The definition of its job.
        Code = "CODE",
        /// A person or a program, at run time.
        Added = "ADDED",
    }
}

words! {
    /// The range of a pause.
    PauseScope, "range of a pause" {
        /// One schedule.
        Schedule = "SCHEDULE",
        /// All schedules of a job.
        Job = "JOB",
        /// All schedules.
        All = "ALL",
    }
}

/// A pause: schedules do not fire while it lasts, and what they leave out is no outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Its range.
    pub scope: PauseScope,
    /// Name of the schedule or of the job; empty for all.
    pub name: String,
    /// The reason, for people.
    pub reason: String,
    /// When it began.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// A schedule as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSchedule {
    /// Its id.
    pub id: ScheduleId,
    /// Its name, unique.
    pub name: String,
    /// Name of its job.
    pub job_name: String,
    /// The definition as JSON.
    pub definition: String,
    /// Its author.
    pub origin: ScheduleOrigin,
    /// When it was first applied.
    pub create_time: Timestamp,
    /// Its past is recorded up to here.
    pub recorded_until: Timestamp,
    /// Its first fire after that; `None` for one of files.
    pub next_fire: Option<Timestamp>,
    /// Grows with each change of the row: a writer that has read an older one writes nothing.
    pub revision: i64,
    /// The last execution of the instance that it has launched last.
    pub last: Option<LastRun>,
    /// The number of its fires that wait.
    pub waiting: i64,
}

impl StoredSchedule {
    /// The definition.
    ///
    /// # Errors
    /// When a newer version has written it.
    pub fn schedule(&self) -> Result<Schedule, ScheduleError> {
        Schedule::from_json(&self.definition).map_err(|error| ScheduleError::Setting {
            problem: format!("the stored schedule '{}' cannot be read by this version: {error}", self.name),
        })
    }
}

/// Writes a schedule: a new one, or another definition of one that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct PutSchedule {
    /// Its name.
    pub name: String,
    /// Name of its job.
    pub job_name: String,
    /// The definition as JSON.
    pub definition: String,
    /// Its author.
    pub origin: ScheduleOrigin,
    /// Its past is recorded up to here: the present, where its calendar is another one.
    pub recorded_until: Timestamp,
    /// Its first fire after that.
    pub next_fire: Option<Timestamp>,
    /// The revision of the row that was read; `None` where there was none, or it was removed.
    pub revision: Option<i64>,
    /// The current time.
    pub time: Timestamp,
    /// The reason for which a new one is paused.
    pub paused: Option<String>,
}

/// The questions that a list of schedules answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleFilter {
    /// All of them, by name.
    All,
    /// The one of this name.
    Named(String),
    /// Those that have a fire and are not paused, the earliest first.
    Due {
        /// The fire is at this moment or before.
        until: Timestamp,
        /// Only those behind the one of this next fire and id.
        after: Option<(Timestamp, ScheduleId)>,
        /// Most rows.
        limit: u32,
    },
    /// Those of files that are not paused.
    Files,
}

/// The times at which the store has something to do for schedules: one question of a node that wakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agenda {
    /// The clock of the store.
    pub now: Timestamp,
    /// The first fire of a calendar, paused ones included.
    pub next_fire: Option<Timestamp>,
    /// The first deadline.
    pub next_deadline: Option<Timestamp>,
    /// The first end of a pause.
    pub next_resume: Option<Timestamp>,
    /// `true` if fires wait.
    pub has_waiting: bool,
    /// `true` if a schedule watches files.
    pub has_files: bool,
    /// `true` if a backfill runs.
    pub has_backfills: bool,
    /// The first attempt to deliver a notice.
    pub next_notice: Option<Timestamp>,
}

/// A fire that waits, and its schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitingFire {
    /// The fire.
    pub fire: Fire,
    /// Its schedule.
    pub schedule: StoredSchedule,
}

/// The durable store of schedules and of their fires.
///
/// # Contract
/// That of [`JobRepository`](super::JobRepository), and:
/// - A fire is a row that is unique on schedule, instant and file, and is written in the transaction of its launch: of
///   many nodes one fires.
/// - The clock of the store decides what is due.
pub trait Schedules: Send + Sync + 'static {
    /// The clock of the store, and when there is something to do. It reads alone, and its cost does not depend on the
    /// number of schedules.
    fn agenda(&self) -> RepositoryFuture<'_, Agenda>;

    /// Schedules that were not removed.
    fn schedules(&self, filter: ScheduleFilter) -> RepositoryFuture<'_, Vec<StoredSchedule>>;

    /// Writes a schedule; `false` where somebody has written it in the meantime. Durable.
    fn put_schedule(&self, schedule: PutSchedule) -> RepositoryFuture<'_, bool>;

    /// Removes a schedule, and keeps its fires; those that wait are cancelled. `false` where there is none. Durable.
    fn remove_schedule<'a>(&'a self, name: &'a str, time: Timestamp) -> RepositoryFuture<'a, bool>;

    /// Records fires and launches at most one. Durable.
    fn fire(&self, request: FireRequest) -> RepositoryFuture<'_, Fired>;

    /// Launches a fire that is recorded. Durable.
    fn release(&self, request: ReleaseRequest) -> RepositoryFuture<'_, Fired>;

    /// The first waiting fire of each schedule that is not paused, by instant and id, at most so many; only those
    /// behind `after`.
    fn waiting_fires(&self, after: Option<(Timestamp, FireId)>, limit: u32) -> RepositoryFuture<'_, Vec<WaitingFire>>;

    /// Fires, one page.
    fn fires(&self, filter: FireFilter, page: PageRequest) -> RepositoryFuture<'_, FirePage>;

    /// `true` if a fire of this identity is recorded.
    fn has_fire<'a>(&'a self, id: ScheduleId, instant: Timestamp, file: &'a str) -> RepositoryFuture<'a, bool>;

    /// The fire `id`.
    fn fire_of(&self, id: FireId) -> RepositoryFuture<'_, Option<Fire>>;

    /// Judges deadlines that have passed, each once, at most so many. The result holds those of late fires, and
    /// how many were judged. Durable.
    fn check_deadlines(&self, time: Timestamp, limit: u32) -> RepositoryFuture<'_, (Vec<LateFire>, u32)>;

    /// Begins a pause, or changes one. Durable.
    fn pause(&self, pause: Pause) -> RepositoryFuture<'_, ()>;

    /// Ends a pause, so that its schedules go on from this moment; `false` where there is none. Durable.
    fn resume<'a>(&'a self, scope: PauseScope, name: &'a str, time: Timestamp) -> RepositoryFuture<'a, bool>;

    /// Removes fires and notices that were recorded before a moment and wait for nothing, at most so many of each; how
    /// many it were.
    fn prune_fires(&self, before: Timestamp, limit: u32) -> RepositoryFuture<'_, u64>;

    /// All pauses.
    fn pauses(&self) -> RepositoryFuture<'_, Vec<Pause>>;
}
