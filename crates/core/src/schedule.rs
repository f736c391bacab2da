//! Schedules: the instants at which a job is launched by itself, and what becomes of each of them.
//!
//! A fire is an identity, the schedule and its instant: however many nodes see it, one of them records it. The rules
//! here are pure functions; the store reads, asks and writes.

mod backfill;
mod builder;
mod calendar;
mod changes;
mod check;
mod cron;
mod definition;
mod file_name;
mod parameters;
mod policy;
pub mod rules;

pub use backfill::{MAX_BACKFILL, Standing, Which, fires_on};
pub use calendar::Calendar;
pub use changes::{ClockChange, Effect};
pub use cron::{Cron, CronError};
pub use definition::{DEFAULT_WINDOW, FILE_PARAMETER, MAX_UNCHANGED_FOR, Schedule, ScheduleError, Trigger};
pub(crate) use file_name::matches_name;
pub use parameters::FireParameter;
pub use policy::{AfterFailure, Missed, OnExisting, Overlap};
