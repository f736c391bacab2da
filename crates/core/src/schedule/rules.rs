//! The decisions of schedules as pure functions: which fires are due, what becomes of each, and what is late.

use jiff::{SignedDuration, Timestamp};

use super::{AfterFailure, Calendar, Missed, OnExisting, Overlap, Schedule, Trigger};
use crate::execution::{ExecutionId, Status};
use crate::repository::{DeadlineKind, FireOutcome, LaunchError};

/// A fire that comes later than this was missed: no node was there at its instant.
pub const ON_TIME: SignedDuration = SignedDuration::from_secs(60);
/// Fires that one transaction records as missed; further ones are left to the next.
pub const MISSED_AT_ONCE: usize = 500;
/// Fires of a schedule that may wait for the one before them.
pub const MOST_WAITING: i64 = 1_000;

/// The next piece of a schedule's past that is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Fires that were missed and are not made up for, with the reason, in their order.
    pub missed: Vec<(Timestamp, String)>,
    /// The fire behind them that is to run now.
    pub fire: Option<Timestamp>,
    /// The past is recorded up to here.
    pub recorded_until: Timestamp,
    /// The first fire after that; it is due as well when it is not later than the present.
    pub next: Option<Timestamp>,
}

/// The fires between what is recorded and the present: those that were missed, up to the first that is to run.
pub fn due(schedule: &Schedule, calendar: &Calendar, recorded_until: Timestamp, now: Timestamp) -> Due {
    let mut due = Due { missed: Vec::new(), fire: None, recorded_until, next: calendar.next_after(recorded_until) };
    while let Some(instant) = due.next.filter(|instant| *instant <= now) {
        if due.missed.len() >= MISSED_AT_ONCE {
            return due;
        }
        due.recorded_until = instant;
        due.next = calendar.next_after(instant);
        let is_last = due.next.is_none_or(|next| next > now);
        match left_out(schedule, now.duration_since(instant), is_last) {
            Some(reason) => due.missed.push((instant, reason)),
            None => {
                due.fire = Some(instant);
                return due;
            }
        }
    }
    due
}

/// The reason for which a fire is not made up for; `None` where it runs.
fn left_out(schedule: &Schedule, late: SignedDuration, is_last: bool) -> Option<String> {
    if late <= ON_TIME {
        return None;
    }
    let window = schedule.window_or_default();
    if late > SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX) {
        return Some(format!("no node was there, and {late:#} are more than the window of {}", seconds(window)));
    }
    match schedule.missed_or_default() {
        Missed::All => None,
        Missed::Latest if is_last => None,
        Missed::Latest => Some("no node was there, and a later fire stands for it".to_owned()),
        Missed::None => Some("no node was there, and the schedule makes up for nothing".to_owned()),
    }
}

fn seconds(time: std::time::Duration) -> String {
    SignedDuration::try_from(time).map_or_else(|_| format!("{time:?}"), |time| format!("{time:#}"))
}

/// The last execution of a job instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRun {
    /// Its id.
    pub id: ExecutionId,
    /// Its status.
    pub status: Status,
    /// `true` if a shutdown has stopped it, and it goes on by itself.
    pub resumes: bool,
}

impl LastRun {
    fn is_busy(self) -> bool {
        self.status.is_running() || self.resumes
    }
}

/// The settings that a fire is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies {
    /// While the one before it runs.
    pub overlap: Overlap,
    /// After the one before it has failed.
    pub after_failure: AfterFailure,
    /// Where its instance exists.
    pub on_existing: OnExisting,
    /// `true` if it waits for an execution of its instance that runs, instead of being recorded alone.
    pub waits_for_instance: bool,
}

impl Policies {
    /// Those of a schedule.
    pub fn of(schedule: &Schedule) -> Self {
        Self {
            overlap: schedule.overlap_or_default(),
            after_failure: schedule.after_failure_or_default(),
            on_existing: schedule.on_existing_or_default(),
            // The next version of a file that is being worked on.
            waits_for_instance: matches!(schedule.trigger(), Trigger::File { .. }),
        }
    }

    /// Those of a fire that a person or a backfill asks for: it depends on no other.
    pub fn asked_for() -> Self {
        Self {
            overlap: Overlap::Allow,
            after_failure: AfterFailure::GoOn,
            on_existing: OnExisting::Restart,
            waits_for_instance: false,
        }
    }
}

/// The facts about a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FireFacts {
    /// The last execution of the instance of its parameters.
    pub existing: Option<LastRun>,
    /// `true` if it runs every step from the start, whatever was completed.
    pub force: bool,
    /// The last execution of the instance that the fire before it has launched.
    pub before: Option<LastRun>,
    /// Fires of the schedule that wait and are earlier.
    pub waiting: i64,
}

/// The outcome of a fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is launched.
    Launch,
    /// It is recorded, and nothing is launched: now, or not yet where it waits.
    Record {
        /// The outcome.
        outcome: FireOutcome,
        /// The execution that is the reason.
        execution: Option<ExecutionId>,
        /// The reason.
        message: String,
    },
}

/// The verdict on a fire whose moment has come.
pub fn verdict(policies: Policies, facts: FireFacts) -> Verdict {
    let record =
        |outcome, execution: Option<ExecutionId>, message: String| Verdict::Record { outcome, execution, message };
    if let Some(last) = facts.existing {
        let on = Some(last.id);
        let restart = policies.on_existing == OnExisting::Restart;
        match last.status {
            _ if last.is_busy() => {
                let waits = policies.waits_for_instance;
                let outcome = if waits { FireOutcome::Waiting } else { FireOutcome::AlreadyRunning };
                return record(outcome, on, format!("execution {} of its instance runs", last.id));
            }
            Status::Completed if !facts.force => {
                return record(FireOutcome::AlreadyComplete, on, format!("execution {} has done its work", last.id));
            }
            Status::Failed | Status::Stopped if !facts.force && !restart => {
                let status = last.status;
                return record(
                    FireOutcome::AlreadyFailed,
                    on,
                    format!("execution {} of its instance is {status}", last.id),
                );
            }
            Status::Abandoned if !facts.force => {
                let message = format!("execution {} of its instance was abandoned", last.id);
                return record(FireOutcome::AlreadyFailed, on, message);
            }
            _ => {}
        }
    }
    let (blocker, message) = match facts.before {
        Some(before) if before.is_busy() && policies.overlap != Overlap::Allow => {
            (Some(before.id), format!("execution {} of the fire before it runs", before.id))
        }
        Some(before) if is_held(policies.after_failure, before) => {
            (Some(before.id), format!("execution {} of the fire before it is {}", before.id, before.status))
        }
        _ if policies.overlap == Overlap::Wait && facts.waiting > 0 => (None, "earlier fires wait".to_owned()),
        _ => return Verdict::Launch,
    };
    if policies.overlap == Overlap::Skip {
        return record(FireOutcome::Skipped, blocker, message);
    }
    if facts.waiting >= MOST_WAITING {
        return record(FireOutcome::Skipped, blocker, format!("{MOST_WAITING} fires wait already"));
    }
    record(FireOutcome::Waiting, blocker, message)
}

fn is_held(after_failure: AfterFailure, before: LastRun) -> bool {
    after_failure == AfterFailure::Hold && matches!(before.status, Status::Failed | Status::Stopped)
}

/// `true` if a waiting fire of a schedule may go on, as far as the fire before it is concerned.
pub fn may_go_on(policies: Policies, before: Option<LastRun>) -> bool {
    before.is_none_or(|before| {
        let waits = before.is_busy() && policies.overlap != Overlap::Allow;
        !waits && !is_held(policies.after_failure, before)
    })
}

/// The outcome of a fire whose launch was refused; `None` where the store has failed, and nothing is recorded.
pub fn refused(error: &LaunchError) -> Option<(FireOutcome, Option<ExecutionId>)> {
    match error {
        LaunchError::QueueFull { .. } | LaunchError::LimitReached { .. } => Some((FireOutcome::Waiting, None)),
        LaunchError::AlreadyRunning { execution_id } => Some((FireOutcome::AlreadyRunning, Some(*execution_id))),
        LaunchError::Abandoned { execution_id }
        | LaunchError::NotRestartable { execution_id, .. }
        | LaunchError::DefinitionChanged { execution_id, .. } => {
            Some((FireOutcome::AlreadyFailed, Some(*execution_id)))
        }
        LaunchError::Repository(_) => None,
        LaunchError::NotLast { .. }
        | LaunchError::NoRunNumber { .. }
        | LaunchError::NothingToRerun { .. }
        | LaunchError::KeyReused { .. } => Some((FireOutcome::Refused, None)),
    }
}

/// The deadlines of a fire.
pub fn deadlines(schedule: &Schedule, instant: Timestamp) -> Vec<(DeadlineKind, Timestamp)> {
    let times = [
        (DeadlineKind::Started, schedule.started_by_or_none()),
        (DeadlineKind::Finished, schedule.finished_by_or_none()),
    ];
    let at = |time: std::time::Duration| instant.checked_add(SignedDuration::try_from(time).ok()?).ok();
    times.into_iter().filter_map(|(kind, time)| Some((kind, at(time?)?))).collect()
}

/// The sentence about a fire that is late at its deadline; `None` where it is not.
pub fn late(kind: DeadlineKind, outcome: FireOutcome, has_started: bool, status: Option<Status>) -> Option<String> {
    match (kind, status) {
        // It was decided that it does nothing, and recorded.
        _ if matches!(outcome, FireOutcome::Skipped | FireOutcome::AlreadyComplete | FireOutcome::Cancelled) => None,
        (DeadlineKind::Started, Some(_)) if has_started => None,
        (DeadlineKind::Finished, Some(Status::Completed)) => None,
        (DeadlineKind::Started, Some(status)) => Some(format!("its execution has not begun: it is {status}")),
        (DeadlineKind::Finished, Some(status)) => Some(format!("its execution is not complete: it is {status}")),
        (_, None) => Some(format!("it has no execution: it is {outcome}")),
    }
}

#[cfg(test)]
mod tests;
