//! Retry: how often, after how long, and for which faults.

use std::time::Duration;

use crate::item::ErrorKind;

/// How long to wait before an additional attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Backoff {
    /// Always the same time.
    Fixed(Duration),
    /// `initial`, doubled with each attempt up to `maximum`; each wait is a random share, at least half, of it, so that
    /// many that failed together do not come back together.
    Exponential {
        /// Before the first additional attempt.
        initial: Duration,
        /// Never longer.
        maximum: Duration,
    },
}

/// How a step repeats work that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    max_retries: u32,
    backoff: Backoff,
    retry_on: Option<Vec<ErrorKind>>,
}

impl RetryPolicy {
    /// At most `max_retries` additional attempts, without a wait, for every fault that another attempt may mend: all
    /// kinds but parse and validation.
    pub fn new(max_retries: u32) -> Self {
        Self { max_retries, backoff: Backoff::Fixed(Duration::ZERO), retry_on: None }
    }

    /// Waits before each additional attempt.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Repeats for these kinds of faults alone.
    #[must_use]
    pub fn retry_on(mut self, kinds: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.retry_on = Some(kinds.into_iter().collect());
        self
    }

    /// Most additional attempts.
    pub fn max_retries(&self) -> u32 {
        self.max_retries
    }

    /// Whether a fault of this kind is worth another attempt, `retries` of which were made.
    pub(crate) fn allows(&self, kind: ErrorKind, retries: u32) -> bool {
        let fits = match &self.retry_on {
            Some(kinds) => kinds.contains(&kind),
            None => !matches!(kind, ErrorKind::Parse | ErrorKind::Validation),
        };
        fits && retries < self.max_retries
    }

    /// The wait before additional attempt `attempt` (from 1); `random` is in 0..1.
    pub(crate) fn delay(&self, attempt: u32, random: f64) -> Duration {
        match self.backoff {
            Backoff::Fixed(delay) => delay,
            Backoff::Exponential { initial, maximum } => {
                let doubled = initial.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
                doubled.min(maximum).mul_f64(0.5 + random / 2.0)
            }
        }
    }
}

impl Default for RetryPolicy {
    /// No additional attempt.
    fn default() -> Self {
        Self::new(0)
    }
}

/// Which faults of items a step goes on without, and how many of them it may.
///
/// Skips of reading, processing and writing count together. Every skipped item is kept, in the transaction of its chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkipPolicy {
    limit: u64,
    skip_on: Vec<ErrorKind>,
}

impl SkipPolicy {
    /// Allows at most `limit` skips in a step execution, of items whose faults lie in the data: of the kinds parse,
    /// validation and constraint.
    pub fn new(limit: u64) -> Self {
        Self { limit, skip_on: vec![ErrorKind::Parse, ErrorKind::Validation, ErrorKind::Constraint] }
    }

    /// Skips items for these kinds of faults alone.
    #[must_use]
    pub fn skip_on(mut self, kinds: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.skip_on = kinds.into_iter().collect();
        self
    }

    /// Most skips.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn allows(&self, kind: ErrorKind) -> bool {
        self.skip_on.contains(&kind)
    }

    /// The fault of the first skip too many.
    pub(crate) fn exceeded(&self, last: &str) -> String {
        format!("skip limit exceeded: at most {} items may be skipped, and one more failed: {last}", self.limit)
    }
}

/// A number in 0..1 for jitter; std's hash keys are random for each state.
pub(crate) fn random_share() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let bits = std::collections::hash_map::RandomState::new().build_hasher().finish();
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let share = (bits >> 11) as f64 / (1_u64 << 53) as f64;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponential_backoff_doubles_up_to_its_maximum() {
        let (initial, maximum) = (Duration::from_millis(100), Duration::from_secs(1));
        let policy = RetryPolicy::new(9).backoff(Backoff::Exponential { initial, maximum });
        let waits: Vec<_> = [1, 2, 3, 4, 5, 40, 200].iter().map(|&n| policy.delay(n, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(policy.delay(1, 0.0), Duration::from_millis(50));
    }

    #[test]
    fn what_cannot_be_mended_is_not_repeated_unless_asked() {
        let policy = RetryPolicy::new(2);
        assert!(policy.allows(ErrorKind::Transient, 1));
        assert!(!policy.allows(ErrorKind::Transient, 2));
        assert!(!policy.allows(ErrorKind::Parse, 0));
        assert!(RetryPolicy::new(1).retry_on([ErrorKind::Parse]).allows(ErrorKind::Parse, 0));
    }

    #[test]
    fn random_shares_stay_in_their_range() {
        assert!((0..1000).map(|_| random_share()).all(|share| (0.0..1.0).contains(&share)));
    }
}
