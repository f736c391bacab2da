//! Schedules: the instants at which a job is launched by itself, and what becomes of each of them.
//!
//! A fire is an identity, the schedule and its instant: however many nodes see it, one of them records it. The rules
//! here are pure functions; the store reads, asks and writes.

mod backfill;
mod calendar;
mod changes;
mod cron;
mod definition;
mod file_name;
mod parameters;
pub mod rules;

pub use backfill::{MAX_BACKFILL, Standing, UnknownWhich, Which, fires_on};
pub use calendar::Calendar;
pub use changes::{ClockChange, Effect};
pub use cron::{Cron, CronError};
pub use definition::{
    AfterFailure, DEFAULT_WINDOW, FILE_PARAMETER, MAX_FILE_SETTLE, Missed, OnExisting, Overlap, Schedule,
    ScheduleError, Trigger,
};
pub(crate) use file_name::matches_name;
pub use parameters::FireParameter;
