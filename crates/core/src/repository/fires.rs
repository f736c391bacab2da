//! The shapes by which the store takes fires and shows them.

use jiff::Timestamp;

use super::{LaunchRequest, Launched, ScheduleId};
use crate::execution::{ExecutionId, Status};
use crate::schedule::rules::Policies;
use crate::words::{id, words};

id! {
    /// The id of a fire.
    FireId
}

words! {
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

words! {
    /// A deadline of a fire.
    DeadlineKind, "deadline" {
        /// Its execution has to have begun.
        Started = "STARTED",
        /// Its execution has to be complete.
        Finished = "FINISHED",
    }
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
    /// The past is recorded up to here.
    pub recorded_until: Timestamp,
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
    /// A page of so many rows as [`PageRequest::rows_to_read`](super::PageRequest::rows_to_read) says.
    pub fn of(mut fires: Vec<Fire>, limit: u32) -> Self {
        let next = super::query::cut(&mut fires, limit).map(|last| last.id.0);
        Self { fires, next }
    }
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
