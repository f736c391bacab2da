//! The counters of a running step as atomics: set once per chunk, sampled by whoever shows progress.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::execution::Counters;

/// The counts that a running step has committed so far. Progress bars and pages sample them; nothing is pushed per
/// item.
#[derive(Debug)]
pub struct LiveCounters {
    fields: [AtomicI64; 9],
    /// Bits of an f64; NaN where nothing is known.
    progress: AtomicU64,
}

impl Default for LiveCounters {
    fn default() -> Self {
        Self { fields: Default::default(), progress: AtomicU64::new(f64::NAN.to_bits()) }
    }
}

impl LiveCounters {
    /// The counters as of the last commit. Fields set by two commits may mix; after the end they are exact.
    pub fn counters(&self) -> Counters {
        let [read, write, filter, commit, rollback, read_skip, process_skip, write_skip, retry] =
            std::array::from_fn(|index| self.fields[index].load(Ordering::Acquire));
        Counters { read, write, filter, commit, rollback, read_skip, process_skip, write_skip, retry }
    }

    /// Share of the input that is done, 0 to 1, where the reader can tell.
    pub fn progress(&self) -> Option<f64> {
        let share = f64::from_bits(self.progress.load(Ordering::Acquire));
        (!share.is_nan()).then_some(share)
    }

    pub(crate) fn store(&self, counters: &Counters, progress: Option<f64>) {
        let Counters { read, write, filter, commit, rollback, read_skip, process_skip, write_skip, retry } = *counters;
        let values = [read, write, filter, commit, rollback, read_skip, process_skip, write_skip, retry];
        for (field, value) in self.fields.iter().zip(values) {
            field.store(value, Ordering::Release);
        }
        self.progress.store(progress.unwrap_or(f64::NAN).to_bits(), Ordering::Release);
    }
}
