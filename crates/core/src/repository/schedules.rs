//! The contract of the store for schedules and their fires, and the shapes that it speaks of them with.

use std::fmt;

use jiff::Timestamp;

use super::{LaunchRequest, Launched, PageRequest, RepositoryFuture};
use crate::execution::{ExecutionId, Status};
use crate::schedule::rules::{LastRun, Policies};
use crate::schedule::{Schedule, ScheduleError};

/// The id of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScheduleId(pub i64);

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FireId(pub i64);

impl fmt::Display for FireId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text of the store that names none of the known words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {what}")]
pub struct UnknownWord {
    what: &'static str,
    text: String,
}

impl UnknownWord {
    pub(crate) fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.to_owned() }
    }
}

/// Words that are stored and shown: one table for both directions.
macro_rules! stored_words {
    ($(#[$docs:meta])* $name:ident, $what:literal { $($(#[$of:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of])* $word,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::repository::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
                    .ok_or_else(|| $crate::repository::UnknownWord::new($what, text))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(super) use stored_words;

stored_words! {
    /// The author of a schedule.
    ScheduleOrigin, "origin of a schedule" {
        /// The definition of its job.
        Code = "CODE",
        /// A person or a program, at run time.
        Added = "ADDED",
    }
}

stored_words! {
    /// The outcome of a fire.
    FireOutcome, "outcome of a fire" {
        /// It waits: for the fire before it, or for a place in the queue.
        Waiting = "WAITING",
        /// A backfill will launch it.
        Planned = "PLANNED",
        /// It has launched an execution.
        Launched = "LAUNCHED",
        /// Its instance was complete.
        AlreadyComplete = "ALREADY_COMPLETE",
        /// Its instance was running.
        AlreadyRunning = "ALREADY_RUNNING",
        /// The last execution of its instance had failed, was stopped or abandoned.
        AlreadyFailed = "ALREADY_FAILED",
        /// It was left out for the one before it.
        Skipped = "SKIPPED",
        /// No node was there at its instant, and it was not made up for.
        Missed = "MISSED",
        /// Its launch was refused: its parameters do not fit, or no node knows its job.
        Refused = "REFUSED",
        /// Its backfill was cancelled before it was launched.
        Cancelled = "CANCELLED",
    }
}

stored_words! {
    /// A deadline of a fire.
    DeadlineKind, "deadline" {
        /// Its execution has to have begun.
        Started = "STARTED",
        /// Its execution has to be complete.
        Finished = "FINISHED",
    }
}

stored_words! {
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
    pub settled: Timestamp,
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
    /// Its past is settled up to here: the present, where its calendar is another one.
    pub settled: Timestamp,
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
    /// Those that have a fire at this moment or before and are not paused, the earliest first, at most so many.
    Due(Timestamp, u32),
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

/// A fire that is recorded and launches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedFire {
    /// Its instant.
    pub instant: Timestamp,
    /// The outcome of it.
    pub outcome: FireOutcome,
    /// The reason.
    pub message: String,
}

/// A fire that may launch an execution.
#[derive(Debug, Clone)]
pub struct NewFire {
    /// Its instant.
    pub instant: Timestamp,
    /// Path and size of its file; empty for a calendar. With the instant, the time of the file, it is the fire's
    /// identity.
    pub file: String,
    /// The launch, or the sentence for which there is none.
    pub launch: Result<FireLaunch, String>,
    /// Its deadlines.
    pub deadlines: Vec<(DeadlineKind, Timestamp)>,
}

/// The launch of a fire, and the settings that it is judged by.
#[derive(Debug, Clone)]
pub struct FireLaunch {
    /// The launch.
    pub request: LaunchRequest,
    /// The settings.
    pub policies: Policies,
}

/// Records fires of a schedule, moves it on, and launches at most one of them: one transaction.
#[derive(Debug, Clone)]
pub struct FireRequest {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// The move of a calendar; a fire by hand or of a file moves nothing.
    pub advance: Option<Advance>,
    /// Fires that launch nothing.
    pub recorded: Vec<RecordedFire>,
    /// The fire behind them.
    pub fire: Option<NewFire>,
    /// The current time.
    pub time: Timestamp,
}

/// The move of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// The revision of the row that was read.
    pub revision: i64,
    /// The past is settled up to here.
    pub settled: Timestamp,
    /// The first fire after that.
    pub next_fire: Option<Timestamp>,
}

/// The answer to fires.
#[derive(Debug, Clone, PartialEq)]
pub enum Fired {
    /// They are recorded.
    Recorded {
        /// The fire that could launch; `None` where there was none.
        fire: Option<Fire>,
        /// The execution that it has launched.
        launched: Option<Box<Launched>>,
    },
    /// Another node was faster: nothing was written.
    Stale,
}

/// A fire as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Fire {
    /// Its id.
    pub id: FireId,
    /// Its schedule.
    pub schedule_id: ScheduleId,
    /// The name of its schedule.
    pub schedule_name: String,
    /// The job.
    pub job_name: String,
    /// Its instant.
    pub instant: Timestamp,
    /// Path and size of its file; empty for a calendar.
    pub file: String,
    /// The outcome of it.
    pub outcome: FireOutcome,
    /// The reason, where it launched nothing.
    pub message: Option<String>,
    /// The execution that it has launched, or that is the reason.
    pub execution_id: Option<ExecutionId>,
    /// The status of the last execution of the instance that it has launched.
    pub status: Option<Status>,
    /// The backfill that it belongs to.
    pub backfill_id: Option<i64>,
    /// When it was recorded.
    pub record_time: Timestamp,
}

/// The filter of a list of fires.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FireFilter {
    /// Of this schedule.
    pub schedule_id: Option<ScheduleId>,
    /// With this outcome.
    pub outcome: Option<FireOutcome>,
    /// Of this backfill.
    pub backfill_id: Option<i64>,
}

/// A page of fires, those that were recorded last first.
#[derive(Debug, Clone, PartialEq)]
pub struct FirePage {
    /// The fires.
    pub fires: Vec<Fire>,
    /// The cursor of the next page.
    pub next: Option<i64>,
}

impl FirePage {
    /// A page of so many rows as [`PageRequest::rows_to_read`] says.
    pub fn of(mut fires: Vec<Fire>, limit: u32) -> Self {
        let next = super::query::cut(&mut fires, limit).map(|last| last.id.0);
        Self { fires, next }
    }
}

/// A fire that waits, and its schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitingFire {
    /// The fire.
    pub fire: Fire,
    /// Its schedule.
    pub schedule: StoredSchedule,
}

/// Launches a fire that waits, is planned or was left out.
#[derive(Debug, Clone)]
pub struct ReleaseRequest {
    /// The fire.
    pub fire_id: FireId,
    /// The outcomes that it may have before: with any other, somebody was faster.
    pub from: &'static [FireOutcome],
    /// The launch, or the sentence for which there is none.
    pub launch: Result<FireLaunch, String>,
    /// The current time.
    pub time: Timestamp,
}

/// A fire that is late at a deadline.
#[derive(Debug, Clone, PartialEq)]
pub struct LateFire {
    /// The fire.
    pub fire: Fire,
    /// The deadline.
    pub kind: DeadlineKind,
    /// Its moment.
    pub at: Timestamp,
    /// The sentence about it.
    pub message: String,
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

    /// The first waiting fire of each schedule that is not paused, at most so many.
    fn waiting_fires(&self, limit: u32) -> RepositoryFuture<'_, Vec<WaitingFire>>;

    /// Fires, one page.
    fn fires(&self, filter: FireFilter, page: PageRequest) -> RepositoryFuture<'_, FirePage>;

    /// `true` if a fire of this identity is recorded.
    fn has_fire<'a>(&'a self, id: ScheduleId, instant: Timestamp, file: &'a str) -> RepositoryFuture<'a, bool>;

    /// The fire `id`.
    fn fire_of(&self, id: FireId) -> RepositoryFuture<'_, Option<Fire>>;

    /// Judges deadlines that have passed, each once, at most so many; tells those of late fires, and how many there
    /// were. Durable.
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
