//! The words of the progress lines: counts, rates, the time that has passed and the time that is left.

use std::time::Duration;

use oxbatch_core::execution::Counters;
use oxbatch_core::{JobExecution, Status, StepExecution};

use crate::duration::show_whole_seconds;
use crate::output;

/// Share of the work, and time, before a forecast means anything.
const FORECAST_AFTER: (f64, Duration) = (0.01, Duration::from_secs(2));

/// The time that is left of a step whose share of the work was `first` when it was first seen, `elapsed` ago.
pub(super) fn time_left(first: f64, now: f64, elapsed: Duration) -> Option<Duration> {
    let done = now - first;
    let (share, time) = FORECAST_AFTER;
    if done < share || elapsed < time || !(0.0..1.0).contains(&now) {
        return None;
    }
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 - now) / done).ok()
}

/// The line of a step: its counts, or `word` before there are any.
pub(super) fn of_counts(word: &str, counters: &Counters, elapsed: Duration, left: Option<Duration>) -> String {
    let mut parts = Vec::new();
    if counters.read == 0 && counters.skip() == 0 {
        parts.push(word.to_owned());
    } else {
        parts.push(format!("read {}  written {}", counters.read, counters.write));
        let rare = [("filtered", counters.filter), ("skipped", counters.skip()), ("retries", counters.retry)];
        parts.extend(rare.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")));
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = counters.read as f64 / elapsed.as_secs_f64().max(0.001);
        parts.push(format!("{rate:.0} items/s"));
    }
    parts.push(show_whole_seconds(elapsed));
    parts.extend(left.map(|left| format!("about {} left", show_whole_seconds(left))));
    parts.join("  ")
}

/// The line of an execution that runs elsewhere, by its newest step.
pub(super) fn of_execution(execution: &JobExecution, newest: Option<&StepExecution>, waited: Duration) -> String {
    let word = match (execution.status, newest) {
        (Status::Starting, _) => "waiting for a slot in the queue".to_owned(),
        (Status::Stopping, _) => "stopping at its next safe point".to_owned(),
        (_, None) => "starting".to_owned(),
        (_, Some(step)) => {
            let Counters { read, write, .. } = step.counters;
            let share = step.progress.map(|share| format!("{:.0} %  ", share * 100.0)).unwrap_or_default();
            format!("{}  {share}read {read}  written {write}", output::one_line(&step.step_name))
        }
    };
    format!("execution {}  {word}  {}", execution.id, show_whole_seconds(waited))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_counts_from_where_the_step_resumed() {
        let seconds = Duration::from_secs;
        assert_eq!(time_left(0.0, 0.25, seconds(10)), Some(seconds(30)));
        assert_eq!(time_left(0.5, 0.75, seconds(10)), Some(seconds(10)));
        assert_eq!(time_left(0.0, 0.001, seconds(10)), None);
        assert_eq!(time_left(0.0, 0.5, seconds(1)), None);
        assert_eq!(time_left(0.0, 1.0, seconds(10)), None);
        assert_eq!(time_left(0.5, 0.5, seconds(10)), None);
    }

    #[test]
    fn a_line_has_a_word_before_the_first_item_and_counts_after_it() {
        let mut counters = Counters::default();
        let seconds = Duration::from_secs;
        assert_eq!(of_counts("opening the input", &counters, seconds(3), None), "opening the input  3 s");
        (counters.read, counters.write, counters.filter) = (1_000, 900, 100);
        assert_eq!(
            of_counts("opening the input", &counters, seconds(10), Some(seconds(65))),
            "read 1000  written 900  filtered 100  100 items/s  10 s  about 1 min 05 s left"
        );
    }
}
