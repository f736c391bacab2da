//! Forecasts of the time that is left: from the share of the input that is done, or from earlier runs.

use std::time::Duration;

/// Share of the work, and time, before a forecast means anything.
const FORECAST_AFTER: (f64, Duration) = (0.01, Duration::from_secs(2));
/// The fewest runs of which percentiles are shown.
const MIN_RUNS: usize = 3;

/// The time that is left of a step whose share of the work was `first` when it was first seen, `elapsed` ago.
pub fn time_left(first: f64, now: f64, elapsed: Duration) -> Option<Duration> {
    let done = now - first;
    let (share, time) = FORECAST_AFTER;
    if done < share || elapsed < time || !(0.0..1.0).contains(&now) {
        return None;
    }
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 - now) / done).ok()
}

/// The time that earlier runs took: from the tenth to the ninetieth percentile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentRuns {
    /// Nine of ten took at least as long.
    pub p10: Duration,
    /// Nine of ten took no longer.
    pub p90: Duration,
    /// The number of runs.
    pub runs: usize,
}

impl RecentRuns {
    /// The percentiles of durations; `None` of fewer than three.
    pub fn of(mut durations: Vec<Duration>) -> Option<Self> {
        durations.sort_unstable();
        let runs = durations.len();
        if runs < MIN_RUNS {
            return None;
        }
        // The nearest rank.
        let at = |tenths: usize| durations[(runs * tenths).div_ceil(10).clamp(1, runs) - 1];
        Some(Self { p10: at(1), p90: at(9), runs })
    }

    /// The time that is left of a run that has gone on for `elapsed`, from and to.
    pub fn left(&self, elapsed: Duration) -> (Duration, Duration) {
        (self.p10.saturating_sub(elapsed), self.p90.saturating_sub(elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_time_left_counts_from_where_the_step_resumed() {
        assert_eq!(time_left(0.0, 0.25, seconds(10)), Some(seconds(30)));
        assert_eq!(time_left(0.5, 0.75, seconds(10)), Some(seconds(10)));
        assert_eq!(time_left(0.0, 0.001, seconds(10)), None);
        assert_eq!(time_left(0.0, 0.5, seconds(1)), None);
        assert_eq!(time_left(0.0, 1.0, seconds(10)), None);
        assert_eq!(time_left(0.5, 0.5, seconds(10)), None);
    }

    #[test]
    fn earlier_runs_give_a_span_once_there_are_enough_of_them() {
        assert_eq!(RecentRuns::of(vec![seconds(1), seconds(2)]), None);
        let runs = RecentRuns::of((1..=20).rev().map(seconds).collect()).unwrap();
        assert_eq!((runs.p10, runs.p90, runs.runs), (seconds(2), seconds(18), 20));
        assert_eq!(runs.left(seconds(5)), (seconds(0), seconds(13)));
        let few = RecentRuns::of(vec![seconds(9), seconds(1), seconds(5)]).unwrap();
        assert_eq!((few.p10, few.p90), (seconds(1), seconds(9)));
    }
}
