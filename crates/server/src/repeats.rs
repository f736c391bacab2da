//! Log lines that would come again and again: each once, and then once a minute with the number of its repetitions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two equal lines.
const EVERY: Duration = Duration::from_secs(60);
/// Different lines that are remembered; with more, all are forgotten and logged anew.
const MOST: usize = 64;

/// The lines that were logged of late.
#[derive(Debug, Default)]
pub struct Repeats {
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Debug)]
struct Seen {
    logged: Instant,
    left_out: u64,
}

impl Repeats {
    /// Admits a line to the log, or not. `Some` when it is to be logged now, with the number of times that it was left
    /// out.
    pub fn admit(&self, line: &str) -> Option<u64> {
        self.admit_at(line, Instant::now())
    }

    fn admit_at(&self, line: &str, now: Instant) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get_mut(line) {
            if now.saturating_duration_since(known.logged) < EVERY {
                known.left_out += 1;
                return None;
            }
            known.logged = now;
            return Some(std::mem::take(&mut known.left_out));
        }
        if seen.len() >= MOST {
            seen.clear();
        }
        seen.insert(line.to_owned(), Seen { logged: now, left_out: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_line_is_logged_once_a_minute_with_what_was_left_out() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(repeats.admit_at("no descriptors", start), Some(0));
        for second in 1..60 {
            assert_eq!(repeats.admit_at("no descriptors", after(second)), None);
        }
        assert_eq!(repeats.admit_at("another", after(30)), Some(0));
        assert_eq!(repeats.admit_at("no descriptors", after(60)), Some(59));
        assert_eq!(repeats.admit_at("no descriptors", after(61)), None);
    }
}
