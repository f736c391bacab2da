//! Time limits: the running time of an execution, and the bounds of its parts, its steps and its decisions.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::event::{Event, EventSink, Limited};
use crate::execution::ExecutionId;

/// The running time of an execution: as the store has said it last, by its own clock, and what has passed since.
pub(super) struct RunningClock {
    stored: watch::Sender<(Duration, Instant)>,
}

impl RunningClock {
    pub(super) fn new(running: Duration) -> Self {
        Self { stored: watch::Sender::new((running, Instant::now())) }
    }

    /// Takes what the store says.
    pub(super) fn set_stored(&self, running: Duration) {
        self.stored.send_replace((running, Instant::now()));
    }

    pub(super) fn now(&self) -> Duration {
        let (stored, at) = *self.stored.borrow();
        stored.saturating_add(at.elapsed())
    }

    /// Waits until it has run for this long.
    async fn reaches(&self, time: Duration) {
        let mut changes = self.stored.subscribe();
        loop {
            let left = time.saturating_sub(self.now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                // The sender lives as long as this.
                _ = changes.changed() => {}
            }
        }
    }
}

/// A time limit that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) limited: Limited,
    limit: Duration,
    /// The running time of the execution at which it is exceeded.
    at: Duration,
}

impl Bound {
    /// The bound of what has run for `used` when its execution has run for `now`.
    pub(super) fn new(limited: Limited, limit: Duration, used: Duration, now: Duration) -> Self {
        Self { limited, limit, at: now.saturating_add(limit.saturating_sub(used)) }
    }

    pub(super) fn is_exceeded(&self, clock: &RunningClock) -> bool {
        clock.now() >= self.at
    }

    /// The sentence for what it has ended.
    pub(super) fn message(&self) -> String {
        let limit = SignedDuration::try_from(self.limit).unwrap_or(SignedDuration::MAX);
        match self.limited {
            Limited::Step | Limited::Decider => format!("exceeded its time limit of {limit:#}"),
            Limited::Job => format!("the job exceeded its time limit of {limit:#}"),
            Limited::Finally => format!("the steps at the end exceeded their time limit of {limit:#}"),
        }
    }

    pub(super) fn report(&self, events: &EventSink, execution_id: ExecutionId, element: &str) {
        let (limited, limit) = (self.limited, self.limit);
        events.emit(&Event::TimeLimitExceeded { execution_id, element, limited, limit });
    }
}

/// The bound that is reached first.
pub(super) fn first(bounds: impl IntoIterator<Item = Bound>) -> Option<Bound> {
    bounds.into_iter().min_by_key(|bound| bound.at)
}

/// Waits until a bound is exceeded; for ever without one.
pub(super) async fn exceeded(bound: Option<Bound>, clock: &RunningClock) -> Bound {
    match bound {
        Some(bound) => {
            clock.reaches(bound.at).await;
            bound
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn a_bound_is_reached_by_the_clock_of_the_store() {
        let clock = RunningClock::new(10 * SECOND);
        let bound = Bound::new(Limited::Step, HOUR, 5 * SECOND, clock.now());
        assert!(!bound.is_exceeded(&clock));
        // By that of the process no hour passes meanwhile.
        let (reached, ()) = tokio::join!(exceeded(Some(bound), &clock), async {
            clock.set_stored(HOUR);
            tokio::task::yield_now().await;
            assert!(!bound.is_exceeded(&clock));
            clock.set_stored(HOUR + 5 * SECOND);
        });
        assert!(reached == bound && bound.is_exceeded(&clock));
    }

    #[tokio::test]
    async fn a_bound_is_reached_by_what_has_passed_since_the_store_told_the_time() {
        let clock = RunningClock::new(HOUR);
        let bound = Bound::new(Limited::Job, Duration::from_millis(20), Duration::ZERO, HOUR);
        exceeded(Some(bound), &clock).await;
        assert!(clock.now() >= HOUR + Duration::from_millis(20));
    }

    #[test]
    fn what_has_used_up_its_limit_is_over_at_once_and_the_earliest_bound_decides() {
        let of = |limited, limit, used| Bound::new(limited, limit * SECOND, used * SECOND, 100 * SECOND);
        let (job, step) = (of(Limited::Job, 90, 100), of(Limited::Step, 30, 10));
        assert_eq!((job.at, step.at), (100 * SECOND, 120 * SECOND));
        assert_eq!(first([step, job]), Some(job));
        assert_eq!(first([]), None);
        assert_eq!(step.message(), "exceeded its time limit of 30s");
        assert_eq!(job.message(), "the job exceeded its time limit of 1m 30s");
        let longest = Bound::new(Limited::Step, Duration::MAX, Duration::ZERO, SECOND);
        assert!(longest.message().starts_with("exceeded its time limit of "));
    }
}
