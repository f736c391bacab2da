//! The back-off of deliveries.

use jiff::{SignedDuration, Timestamp};

/// The time after which a notice that nobody has taken is given up.
pub const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Wait before the second attempt; doubled by each further one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// Longest wait: a receiver that is back gets what has waited within it.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// The moment of the next attempt, after so many have failed; `None` where it is given up.
pub fn next_attempt(created: Timestamp, attempts: i64, now: Timestamp) -> Option<Timestamp> {
    let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 10)).unwrap_or(0);
    let pause = (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE);
    let next = now.checked_add(pause).ok()?;
    (next.duration_since(created) <= GIVE_UP_AFTER).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_less_often_and_end_after_a_day() {
        let created: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let pause = |attempts| next_attempt(created, attempts, created).unwrap().duration_since(created).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 8, 1_000].map(pause), [5, 10, 20, 160, 300, 300, 300]);
        let (mut now, mut attempts) = (created, 1);
        while let Some(next) = next_attempt(created, attempts, now) {
            (now, attempts) = (next, attempts + 1);
        }
        let lasted = now.duration_since(created);
        assert!(lasted > SignedDuration::from_mins(24 * 60 - 6) && lasted <= GIVE_UP_AFTER, "{lasted}");
        assert!((280..300).contains(&attempts), "{attempts}");
    }
}
