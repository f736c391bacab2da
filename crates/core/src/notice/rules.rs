//! The rules of notices: which cause makes which notice, its sentence, its receivers, and the back-off of deliveries.

use jiff::{SignedDuration, Timestamp};

use super::{NoticeChannel, NoticeKind};
use crate::execution::{EXIT_DEFINITION_CHANGED, ExecutionId, JobExecution, Status};
use crate::repository::LateFire;

/// The time after which a notice that nobody has taken is given up.
pub const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Wait before the second attempt; doubled by each further one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// Longest wait: a receiver that is back gets what has waited within it.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// Most bytes of the message of an execution that a notice repeats.
const MAX_REASON_BYTES: usize = 2_000;

/// The moment of the next attempt, after so many have failed; `None` where it is given up.
pub fn next_attempt(created: Timestamp, attempts: i64, now: Timestamp) -> Option<Timestamp> {
    let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 10)).unwrap_or(0);
    let pause = (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE);
    let next = now.checked_add(pause).ok()?;
    (next.duration_since(created) <= GIVE_UP_AFTER).then_some(next)
}

/// A notice that is to be written to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    /// The name of the channel.
    pub channel: String,
    /// Its subject.
    pub kind: NoticeKind,
    /// The job.
    pub job_name: String,
    /// The execution.
    pub execution_id: Option<ExecutionId>,
    /// The schedule.
    pub schedule: Option<String>,
    /// The instant of the fire.
    pub instant: Option<Timestamp>,
    /// A sentence.
    pub message: String,
}

/// The facts about the end of an execution.
#[derive(Debug, Clone, Copy)]
pub struct EndFacts<'a> {
    /// The execution.
    pub execution: &'a JobExecution,
    /// `true` if it has a successor that goes on by itself.
    pub goes_on: bool,
    /// The status of the execution of the same job before it.
    pub previous: Option<Status>,
    /// Items that its steps have skipped.
    pub skipped: i64,
}

/// The notices of the end of an execution. One that goes on by itself makes none, nor does one that was stopped,
/// unless it would have gone on by itself and waits for a person, as its definition has changed.
pub fn of_end(facts: EndFacts<'_>, channels: &[NoticeChannel]) -> Vec<NewNotice> {
    let EndFacts { execution, goes_on, previous, skipped } = facts;
    let (job, id) = (&execution.job_name, execution.id);
    let of = |channel: &NoticeChannel, kind, message: String| NewNotice {
        channel: channel.name.clone(),
        kind,
        job_name: job.clone(),
        execution_id: Some(id),
        schedule: None,
        instant: None,
        message,
    };
    let end = match execution.status {
        _ if goes_on => return Vec::new(),
        Status::Failed => {
            let reason = execution.exit_message.as_deref().unwrap_or("it gives no reason");
            Some((NoticeKind::Failed, format!("execution {id} of job '{job}' has failed: {}", shortened(reason))))
        }
        // Nobody has asked for this stop.
        Status::Stopped if execution.exit_code.as_deref() == Some(EXIT_DEFINITION_CHANGED) => {
            let reason = execution.exit_message.as_deref().unwrap_or("waits: definition changed");
            Some((NoticeKind::Failed, format!("execution {id} of job '{job}' {}", shortened(reason))))
        }
        Status::Completed if previous == Some(Status::Failed) => {
            let message = format!("execution {id} of job '{job}' is complete; the one before it had failed");
            Some((NoticeKind::Recovered, message))
        }
        Status::Completed => None,
        _ => return Vec::new(),
    };
    let mut notices = Vec::new();
    for channel in channels {
        if let Some((kind, message)) = end.as_ref().filter(|(kind, _)| channel.kinds.contains(kind)) {
            notices.push(of(channel, *kind, message.clone()));
        }
        if let Some(limit) = channel.skips_over.filter(|limit| skipped > i64::from(*limit)) {
            let message =
                format!("execution {id} of job '{job}' has skipped {skipped} items, more than the limit of {limit}");
            notices.push(of(channel, NoticeKind::Skips, message));
        }
    }
    notices
}

/// The notices of a late fire.
pub fn of_late(late: &LateFire, channels: &[NoticeChannel]) -> Vec<NewNotice> {
    let fire = &late.fire;
    let (name, instant) = (&fire.schedule_name, fire.instant);
    let message =
        format!("the fire of schedule '{name}' at {instant} is late at its deadline {}: {}", late.at, late.message);
    let of = |channel: &NoticeChannel| NewNotice {
        channel: channel.name.clone(),
        kind: NoticeKind::Late,
        job_name: fire.job_name.clone(),
        execution_id: fire.execution_id,
        schedule: Some(name.clone()),
        instant: Some(instant),
        message: message.clone(),
    };
    channels.iter().filter(|channel| channel.kinds.contains(&NoticeKind::Late)).map(of).collect()
}

/// Fires of a schedule that were missed together.
#[derive(Debug, Clone, Copy)]
pub struct MissedFires<'a> {
    /// The name of the schedule.
    pub schedule: &'a str,
    /// Its job.
    pub job_name: &'a str,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// Their number.
    pub count: usize,
}

/// The notices of fires that were missed together: one for each channel.
pub fn of_missed(missed: MissedFires<'_>, channels: &[NoticeChannel]) -> Vec<NewNotice> {
    let MissedFires { schedule, job_name, first, last, count } = missed;
    let message = match count {
        1 => format!("schedule '{schedule}' has missed its fire at {first}"),
        _ => format!("schedule '{schedule}' has missed {count} fires from {first} to {last}"),
    };
    let of = |channel: &NoticeChannel| NewNotice {
        channel: channel.name.clone(),
        kind: NoticeKind::Missed,
        job_name: job_name.to_owned(),
        execution_id: None,
        schedule: Some(schedule.to_owned()),
        instant: Some(last),
        message: message.clone(),
    };
    channels.iter().filter(|channel| channel.kinds.contains(&NoticeKind::Missed)).map(of).collect()
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(MAX_REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
