//! The next changes of the clock, and what each does to a calendar: for people.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

use super::Calendar;

/// A change of the clock in the zone of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockChange {
    /// The instant.
    pub instant: Timestamp,
    /// The time that the clock would show without it.
    pub from: DateTime,
    /// The time that it shows.
    pub to: DateTime,
    /// Its effect on the schedule.
    pub effect: Effect,
}

/// The effect of a change of the clock on a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// No fire is near it.
    None,
    /// A time of the day that does not exist.
    Moved {
        /// The time.
        time: DateTime,
        /// The time at which it runs instead.
        to: DateTime,
    },
    /// A time of the day that comes twice, and runs at the first.
    Once {
        /// The time.
        time: DateTime,
    },
    /// Times that go by the clock and are left out.
    LeftOut,
    /// Times that go by the clock and come twice.
    Twice,
}

/// `2027-03-28: 02:30 does not exist: runs at 03:00`
impl fmt::Display for ClockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.from.date();
        let (from, to) = (self.from.strftime("%H:%M"), self.to.strftime("%H:%M"));
        match &self.effect {
            Effect::None => write!(f, "{day}: the clock goes from {from} to {to}, and no fire is near"),
            Effect::Moved { time, to } => {
                let to = to.strftime("%H:%M");
                write!(f, "{day}: {} does not exist: runs at {to}", time.strftime("%H:%M"))
            }
            Effect::Once { time } => {
                write!(f, "{day}: {} comes twice: runs once, at the first", time.strftime("%H:%M"))
            }
            Effect::LeftOut => write!(f, "{day}: the clock goes from {from} to {to}: what lies between does not run"),
            Effect::Twice => write!(f, "{day}: the clock goes from {from} back to {to}: what lies between runs twice"),
        }
    }
}

impl Calendar {
    /// The next changes of the clock after an instant, and what each does to the fires.
    pub fn clock_changes(&self, after: Timestamp) -> impl Iterator<Item = ClockChange> + '_ {
        self.zone().following(after).filter_map(|change| self.change_at(change.timestamp(), change.offset()))
    }

    fn change_at(&self, instant: Timestamp, offset: Offset) -> Option<ClockChange> {
        let before = self.zone().to_offset(instant.checked_sub(1.nanosecond()).ok()?);
        if before == offset {
            return None;
        }
        let (from, to) = (before.to_datetime(instant), offset.to_datetime(instant));
        // Left out is from..to, shown twice to..from.
        let (first, end) = (from.min(to), from.max(to));
        let within = self.cron().next(first, true).filter(|time| *time < end);
        let effect = match within {
            None => Effect::None,
            Some(_) if self.cron().is_by_the_clock() => {
                if from < to {
                    Effect::LeftOut
                } else {
                    Effect::Twice
                }
            }
            Some(time) if from < to => Effect::Moved { time, to },
            Some(time) => Effect::Once { time },
        };
        Some(ClockChange { instant, from, to, effect })
    }
}
