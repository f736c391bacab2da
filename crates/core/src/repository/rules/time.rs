//! Running time: how long an execution, or a step, has run by the clock of the store.

use std::time::Duration;

use jiff::Timestamp;

/// A running time, as it is stored.
///
/// That of an execution goes on in the one that resumes it by itself, and that of a step in the attempt there; a launch
/// by a person begins anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunningTime {
    /// The time of those before that it goes on with.
    pub earlier: Duration,
    /// The moment at which it was claimed, or began; `None` before.
    pub since: Option<Timestamp>,
    /// The moment of its end, or another one up to which it counts. A dead owner ran until its lease had run out at the
    /// latest.
    pub until: Option<Timestamp>,
}

impl RunningTime {
    /// The whole time. A clock that was set back takes nothing away.
    pub fn total(&self) -> Duration {
        let (Some(since), Some(until)) = (self.since, self.until) else { return self.earlier };
        self.earlier.saturating_add(until.duration_since(since).try_into().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_time_is_what_was_before_and_what_has_passed_since() {
        let second = |second| Some(Timestamp::from_second(second).unwrap());
        let total = |since, until| RunningTime { earlier: Duration::from_secs(5), since, until }.total().as_secs();
        assert_eq!(total(None, None), 5, "it was never claimed");
        assert_eq!(total(second(10), None), 5, "an older version has ended it");
        assert_eq!(total(second(10), second(17)), 12);
        assert_eq!(total(second(17), second(10)), 5, "the clock was set back");
    }
}
