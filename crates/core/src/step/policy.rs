//! The policies of a step: the errors that are retried, how often and after which back-off, and those that are skipped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::execution::SkipPhase;
use crate::item::{ErrorKind, ItemError};

/// The author's function that knows the kind of an error.
pub(super) type Classify = Arc<dyn Fn(&(dyn std::error::Error + 'static)) -> Option<ErrorKind> + Send + Sync>;

/// The wait before an additional attempt.
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

/// The rule by which a step repeats work that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    max_retries: u32,
    backoff: Backoff,
    retry_on: Option<Vec<ErrorKind>>,
}

impl RetryPolicy {
    /// At most `max_retries` additional attempts, without a wait, for every error that another attempt may mend: all
    /// kinds but those that lie in the data, parse, validation and constraint.
    pub fn new(max_retries: u32) -> Self {
        Self { max_retries, backoff: Backoff::Fixed(Duration::ZERO), retry_on: None }
    }

    /// Waits before each additional attempt.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Repeats for these kinds of errors alone.
    #[must_use]
    pub fn retry_on(mut self, kinds: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.retry_on = Some(kinds.into_iter().collect());
        self
    }

    /// Most additional attempts.
    pub fn max_retries(&self) -> u32 {
        self.max_retries
    }

    /// True if an error of this kind is worth another attempt, `retries` of which were made.
    pub(crate) fn allows(&self, kind: ErrorKind, retries: u32) -> bool {
        let fits = match &self.retry_on {
            Some(kinds) => kinds.contains(&kind),
            None => !matches!(kind, ErrorKind::Parse | ErrorKind::Validation | ErrorKind::Constraint),
        };
        fits && retries < self.max_retries
    }

    /// True if this error is worth another attempt, `retries` of which were made.
    pub(crate) fn repeats(&self, error: &ItemError, retries: u32) -> bool {
        !error.is_fatal() && self.allows(error.kind(), retries)
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

/// The errors of items that a step goes on after without the item, and the most of them that it may.
///
/// Skips of reading, processing and writing count together. Every skipped item is kept, in the transaction of its
/// chunk.
///
/// ```
/// use oxbatch::SkipPolicy;
/// use oxbatch::item::ErrorKind;
///
/// let few = SkipPolicy::new(10);
/// let all_that_cannot_be_read = SkipPolicy::unlimited().skip_on([ErrorKind::Parse]);
/// let one_at_most = SkipPolicy::unlimited().when(|error| error.kind == ErrorKind::Parse && error.skipped < 1);
/// ```
///
/// Two errors are never skipped, whatever the policy: a [transient](ErrorKind::Transient) one, since the item is read
/// or written by the next attempt, and a [fatal](crate::ItemError::fatal) one, since no item comes behind it. When they
/// are not repeated any more the step fails.
#[derive(Clone)]
pub struct SkipPolicy {
    limit: u64,
    rule: SkipRule,
}

#[derive(Clone)]
enum SkipRule {
    Kinds(Vec<ErrorKind>),
    Any,
    Function(Arc<dyn Fn(&SkippableError<'_>) -> bool + Send + Sync>),
}

/// An error that [`SkipPolicy::when`] is asked about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SkippableError<'a> {
    /// The phase in which the item failed.
    pub phase: SkipPhase,
    /// The kind of the error.
    pub kind: ErrorKind,
    /// The position of the item in its source.
    pub position: Option<&'a str>,
    /// The error with its causes.
    pub error: &'a str,
    /// The number of items that the step execution has skipped before this one.
    pub skipped: u64,
}

/// The reason for which an error is not skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SkipRefusal {
    /// It is none of those that are skipped.
    Other,
    /// One more than this limit.
    Limit(u64),
}

impl SkipRefusal {
    /// The error of the step by an item that failed like this.
    pub(crate) fn message(self, error: &str) -> String {
        match self {
            Self::Other => format!("the skip policy does not allow this skippable: {error}"),
            Self::Limit(limit) => {
                format!("skip limit exceeded: at most {limit} items may be skipped, and one more failed: {error}")
            }
        }
    }
}

impl SkipPolicy {
    /// Allows at most `limit` skips in a step execution, of items whose errors lie in the data: of the kinds parse,
    /// validation and constraint.
    pub fn new(limit: u64) -> Self {
        let data = vec![ErrorKind::Parse, ErrorKind::Validation, ErrorKind::Constraint];
        Self { limit, rule: SkipRule::Kinds(data) }
    }

    /// Allows any number of skips, of the same kinds as [`new`](Self::new). Memory stays bounded: skipped items count
    /// for the size of their chunk, and are kept with it.
    pub fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// Skips items for these kinds of errors alone. [`Transient`](ErrorKind::Transient) among them changes nothing.
    #[must_use]
    pub fn skip_on(mut self, kinds: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.rule = SkipRule::Kinds(kinds.into_iter().collect());
        self
    }

    /// Skips items whatever the kind of their error, those of the author's own and [`Other`](ErrorKind::Other)
    /// included.
    #[must_use]
    pub fn any_kind(mut self) -> Self {
        self.rule = SkipRule::Any;
        self
    }

    /// Skips items by a function of the error and of how many were skipped before. It is asked when the item fails,
    /// with as many as are known by then, and again before the chunk is committed, with all of them.
    #[must_use]
    pub fn when(mut self, function: impl Fn(&SkippableError<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.rule = SkipRule::Function(Arc::new(function));
        self
    }

    /// Most skips.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// True if an item is skipped. Kinds are asked before the limit: what is not skipped has an error of its own to
    /// tell.
    pub(crate) fn verdict(&self, error: &SkippableError<'_>) -> Result<(), SkipRefusal> {
        let fits = error.kind != ErrorKind::Transient
            && match &self.rule {
                SkipRule::Kinds(kinds) => kinds.contains(&error.kind),
                SkipRule::Any => true,
                SkipRule::Function(function) => function(error),
            };
        match fits {
            false => Err(SkipRefusal::Other),
            true if error.skipped >= self.limit => Err(SkipRefusal::Limit(self.limit)),
            true => Ok(()),
        }
    }

    /// True if an item with this error is skipped, where it is known that `skipped` were before it.
    pub(crate) fn asks(&self, phase: SkipPhase, error: &ItemError, skipped: u64) -> Result<(), SkipRefusal> {
        if error.is_fatal() {
            return Err(SkipRefusal::Other);
        }
        let (position, text) = (error.location(), error.cause_text());
        let skippable =
            SkippableError { phase, kind: error.kind(), position: position.as_deref(), error: &text, skipped };
        self.verdict(&skippable)
    }
}

impl fmt::Debug for SkipPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SkipPolicy");
        debug.field("limit", &self.limit);
        match &self.rule {
            SkipRule::Kinds(kinds) => debug.field("skip_on", kinds).finish(),
            SkipRule::Any => debug.field("skip_on", &"any kind").finish(),
            SkipRule::Function(_) => debug.field("skip_on", &"a function").finish(),
        }
    }
}

/// Adds to a cause how often the work was repeated.
pub(super) fn after_retries(cause: String, retries: u32) -> String {
    match retries {
        0 => cause,
        1 => format!("failed after 1 retry: {cause}"),
        _ => format!("failed after {retries} retries: {cause}"),
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
        assert!(!policy.allows(ErrorKind::Constraint, 0));
        assert!(RetryPolicy::new(1).retry_on([ErrorKind::Parse]).allows(ErrorKind::Parse, 0));
    }

    #[test]
    fn what_is_skipped_depends_on_kind_limit_and_function_but_never_on_those_for_what_passes_or_stays() {
        let asks = |policy: &SkipPolicy, error: &ItemError, skipped| policy.asks(SkipPhase::Read, error, skipped);
        let (parse, other) = (ItemError::parse("p"), ItemError::other("o"));
        let passes = ItemError::transient("t");
        let few = SkipPolicy::new(2);
        assert_eq!([1, 2].map(|skipped| asks(&few, &parse, skipped)), [Ok(()), Err(SkipRefusal::Limit(2))]);
        assert_eq!(asks(&few, &other, 0), Err(SkipRefusal::Other));
        let any = SkipPolicy::unlimited().any_kind();
        assert_eq!(asks(&any, &other, 1 << 40), Ok(()));
        let first = SkipPolicy::unlimited().when(|skippable| skippable.error == "p" && skippable.skipped == 0);
        assert_eq!([0, 1].map(|skipped| asks(&first, &parse, skipped)), [Ok(()), Err(SkipRefusal::Other)]);
        let all = SkipPolicy::unlimited().when(|_| true);
        for policy in [any, all, SkipPolicy::new(9).skip_on([ErrorKind::Transient, ErrorKind::Parse])] {
            assert_eq!(asks(&policy, &passes, 0), Err(SkipRefusal::Other));
            assert_eq!(asks(&policy, &ItemError::parse("no end").fatal(), 0), Err(SkipRefusal::Other));
        }
    }

    #[test]
    fn random_shares_stay_in_their_range() {
        assert!((0..1000).map(|_| random_share()).all(|share| (0.0..1.0).contains(&share)));
    }
}
