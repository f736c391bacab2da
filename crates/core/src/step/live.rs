//! The counters of a running step as atomics: set once per chunk, sampled by whoever shows progress.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::execution::{Counters, PhaseShares, StepPhase, time_left};

/// The counts that a running step has committed so far. Progress bars and pages sample them; nothing is pushed per
/// item.
#[derive(Debug)]
pub struct LiveCounters {
    fields: [AtomicI64; 9],
    /// Bits of an f64; NaN where nothing is known.
    progress: AtomicU64,
    /// The first share that was known, and its moment.
    first: OnceLock<(f64, Instant)>,
    /// Nanoseconds of the phases, in the order of [`StepPhase::ALL`].
    times: [AtomicU64; 4],
}

impl Default for LiveCounters {
    fn default() -> Self {
        Self {
            fields: Default::default(),
            progress: AtomicU64::new(f64::NAN.to_bits()),
            first: OnceLock::new(),
            times: Default::default(),
        }
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

    /// The time that is left, forecast from the share of the input that was done since the step began, where the reader
    /// can tell.
    pub fn time_left(&self) -> Option<Duration> {
        let (first, since) = *self.first.get()?;
        time_left(first, self.progress()?, since.elapsed())
    }

    /// The shares of the time that the phases of a chunk step take, as far as they were measured; `None` for a task.
    pub fn shares(&self) -> Option<PhaseShares> {
        PhaseShares::of(std::array::from_fn(|phase| Duration::from_nanos(self.times[phase].load(Ordering::Relaxed))))
    }

    pub(crate) fn set_time(&self, phase: StepPhase, time: Duration) {
        self.times[phase as usize].store(nanoseconds(time), Ordering::Relaxed);
    }

    pub(crate) fn add_time(&self, phase: StepPhase, time: Duration) {
        self.times[phase as usize].fetch_add(nanoseconds(time), Ordering::Relaxed);
    }

    pub(crate) fn store(&self, counters: &Counters, progress: Option<f64>) {
        let Counters { read, write, filter, commit, rollback, read_skip, process_skip, write_skip, retry } = *counters;
        let values = [read, write, filter, commit, rollback, read_skip, process_skip, write_skip, retry];
        for (field, value) in self.fields.iter().zip(values) {
            field.store(value, Ordering::Release);
        }
        self.progress.store(progress.unwrap_or(f64::NAN).to_bits(), Ordering::Release);
        if let Some(share) = progress
            && self.first.get().is_none()
        {
            // One thread stores.
            let _ = self.first.set((share, Instant::now()));
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
