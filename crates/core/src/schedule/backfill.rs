//! Backfills: the fires of a range of calendar days, launched once more or at last.

use jiff::Timestamp;
use jiff::civil::Date;

use super::Calendar;
use super::rules::LastRun;
use crate::execution::Status;
use crate::words::words;

/// Most fires of one backfill.
pub const MAX_BACKFILL: usize = 100_000;

words! {
    /// The fires of a range that a backfill launches.
    #[derive(Default)]
    Which, "range of a backfill" {
        /// Those without an execution.
        #[default]
        Missing = "missing",
        /// Those whose last execution failed, was stopped or abandoned.
        Failed = "failed",
        /// All of them, those that are complete from the start.
        All = "all",
    }
}

/// The standing of a fire of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is no execution.
    Missing,
    /// The last execution failed, was stopped or abandoned.
    Failed,
    /// It runs, or waits to.
    Running,
    /// It is complete.
    Complete,
}

impl Standing {
    /// By the last execution of the instance.
    pub fn of(last: Option<LastRun>) -> Self {
        match last {
            None => Self::Missing,
            Some(last) if last.status.is_running() || last.resumes => Self::Running,
            Some(last) if last.status == Status::Completed => Self::Complete,
            Some(_) => Self::Failed,
        }
    }

    /// Its word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Failed => "failed",
            Self::Running => "running",
            Self::Complete => "complete",
        }
    }

    /// `true` if a backfill launches it. What runs is left alone.
    pub fn is_wanted(self, which: Which) -> bool {
        match which {
            Which::Missing => self == Self::Missing,
            Which::Failed => self == Self::Failed,
            Which::All => self != Self::Running,
        }
    }
}

/// The fires on the calendar days of a range, first and last included, in the zone of the calendar, up to the present;
/// `None` for more than [`MAX_BACKFILL`].
pub fn fires_on(calendar: &Calendar, first: Date, last: Date, now: Timestamp) -> Option<Vec<Timestamp>> {
    let zone = calendar.zone();
    // A fire that was moved behind a gap may lie on the next day: it belongs to the day on which it runs.
    let begin = first.to_zoned(zone.clone()).ok()?.timestamp();
    let before = Timestamp::from_microsecond(begin.as_microsecond() - 1).ok()?;
    let is_within = |instant: &Timestamp| zone.to_datetime(*instant).date() <= last && *instant <= now;
    let fires: Vec<Timestamp> = calendar.after(before).take_while(is_within).take(MAX_BACKFILL + 1).collect();
    (fires.len() <= MAX_BACKFILL).then_some(fires)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::ExecutionId;

    #[test]
    fn the_days_are_those_of_the_zone_and_end_at_the_present() {
        let calendar = Calendar::new("30 0,23 * * *", "Europe/Berlin").unwrap();
        let days = |first: &str, last: &str, now: &str| {
            let found =
                fires_on(&calendar, first.parse().unwrap(), last.parse().unwrap(), now.parse().unwrap()).unwrap();
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            days("2027-03-28", "2027-03-28", "2028-01-01T00:00:00Z"),
            ["2027-03-27T23:30:00Z", "2027-03-28T21:30:00Z"],
            "the day on which the clocks are changed has 23 hours"
        );
        assert_eq!(days("2027-06-01", "2027-06-02", "2027-06-02T12:00:00Z").len(), 3);
        assert!(days("2027-06-02", "2027-06-01", "2028-01-01T00:00:00Z").is_empty());
        let each_second = Calendar::new("* * * * * *", "UTC").unwrap();
        let wide = fires_on(&each_second, "2026-01-01".parse().unwrap(), "2026-02-01".parse().unwrap(), Timestamp::MAX);
        assert_eq!(wide, None);
    }

    #[test]
    fn what_runs_is_left_alone_and_the_rest_is_as_was_asked_for() {
        let last = |status| Some(LastRun { id: ExecutionId(1), status, resumes: false });
        for (last, standing, wanted) in [
            (None, "missing", [true, false, true]),
            (last(Status::Failed), "failed", [false, true, true]),
            (last(Status::Stopped), "failed", [false, true, true]),
            (last(Status::Abandoned), "failed", [false, true, true]),
            (last(Status::Started), "running", [false, false, false]),
            (last(Status::Completed), "complete", [false, false, true]),
        ] {
            let found = Standing::of(last);
            assert_eq!(
                (found.as_str(), [Which::Missing, Which::Failed, Which::All].map(|it| found.is_wanted(it))),
                (standing, wanted)
            );
        }
    }
}
