//! The words of the progress lines: counts, rates, the time that has passed and the time that is left.

use std::time::Duration;

use oxbatch_core::execution::{Counters, PhaseShares};
use oxbatch_core::{JobExecution, Status, StepExecution};

use crate::duration::show_whole_seconds;
use crate::output;

/// Time before the shares of the phases mean anything.
pub(crate) const SHARES_AFTER: Duration = Duration::from_secs(2);

/// The line of a step: its counts, or `word` before there are any.
pub(super) fn of_counts(
    word: &str,
    counters: &Counters,
    elapsed: Duration,
    (left, shares): (Option<Duration>, Option<PhaseShares>),
) -> String {
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
    parts.extend(shares.map(|shares| shares.sentence()));
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
    fn a_line_has_a_word_before_the_first_item_and_counts_after_it() {
        let mut counters = Counters::default();
        let seconds = Duration::from_secs;
        assert_eq!(of_counts("opening the input", &counters, seconds(3), (None, None)), "opening the input  3 s");
        (counters.read, counters.write, counters.filter) = (1_000, 900, 100);
        assert_eq!(
            of_counts("opening the input", &counters, seconds(10), (Some(seconds(65)), None)),
            "read 1000  written 900  filtered 100  100 items/s  10 s  about 1 min 05 s left"
        );
        let shares = PhaseShares::of([1, 2, 7, 0].map(Duration::from_secs));
        let line = of_counts("opening the input", &counters, seconds(10), (None, shares));
        assert!(line.ends_with("100 items/s  10 s  writing takes 70 % of the time"), "{line}");
    }
}
