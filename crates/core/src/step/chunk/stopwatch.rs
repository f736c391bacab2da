//! The clocks of a chunk step: how long its phases take, by a sample whose cost is bounded.
//!
//! Each chunk is timed as a whole; of quick ones, one of eight. Reading and processing take turns for each item, so
//! they are told apart in some chunks only, whose items are timed one by one: so rarely that it takes less than a
//! hundredth of the time. No other item is timed.

use std::time::{Duration, Instant};

use crate::execution::StepPhase;
use crate::step::live::LiveCounters;

/// A chunk that takes less is quick, and one of so many of them is timed.
const QUICK: Duration = Duration::from_micros(50);
const OF_QUICK_ONES: u32 = 8;
/// The time that it costs to time an item, generously.
const COST_OF_AN_ITEM: Duration = Duration::from_nanos(100);
/// Timing items may take this part of the time.
const PART_FOR_ITEMS: u32 = 128;
/// Items of the first chunk that are timed, so that a step of few chunks has shares as well.
const FIRST_ITEMS: usize = 1_000;

/// The choice of the chunks that are timed.
#[derive(Debug, Default)]
struct Sample {
    chunks: u32,
    is_quick: bool,
}

impl Sample {
    /// The moment, when the next chunk is timed.
    #[inline]
    fn begin(&mut self) -> Option<Instant> {
        let chunk = self.chunks;
        self.chunks = chunk.wrapping_add(1);
        (!self.is_quick || chunk.is_multiple_of(OF_QUICK_ONES)).then(Instant::now)
    }

    /// The time that a chunk stands for which took so long: its own, and that of the quick ones that are not timed.
    fn weigh(&mut self, took: Duration) -> Duration {
        let weighed = if self.is_quick { took * OF_QUICK_ONES } else { took };
        self.is_quick = took < QUICK;
        weighed
    }
}

/// The clock of the reading half.
#[derive(Debug, Default)]
pub(super) struct FillClock {
    sample: Sample,
    begun: Option<Instant>,
    /// Time of all chunks.
    filled: Duration,
    /// Of the items that were timed.
    read: Duration,
    processed: Duration,
    /// The time that may be spent on timing items.
    credit: Duration,
    last_items: usize,
}

impl FillClock {
    /// Begins a chunk: the number of items that are timed one by one.
    #[inline]
    pub(super) fn begin(&mut self) -> usize {
        self.begun = self.sample.begin();
        if self.begun.is_none() {
            return 0;
        }
        if self.filled.is_zero() {
            return FIRST_ITEMS;
        }
        let items = u32::try_from(self.last_items).unwrap_or(u32::MAX);
        match self.credit.checked_sub(COST_OF_AN_ITEM.saturating_mul(items)) {
            Some(left) => {
                self.credit = left;
                usize::MAX
            }
            None => 0,
        }
    }

    /// An item was read since `start`; the moment.
    pub(super) fn read(&mut self, start: Instant) -> Instant {
        let now = Instant::now();
        self.read += now - start;
        now
    }

    /// An item was processed since `start`.
    pub(super) fn processed(&mut self, start: Instant) {
        self.processed += start.elapsed();
    }

    /// The part of the time of an item that is processing, as far as items were timed.
    pub(super) fn processing(&self, item: Duration) -> Duration {
        let timed = (self.read + self.processed).as_secs_f64();
        if timed > 0.0 { item.mul_f64(self.processed.as_secs_f64() / timed) } else { item }
    }

    /// Ends a chunk of so many items.
    #[inline]
    pub(super) fn end(&mut self, items: usize, live: &LiveCounters) {
        let Some(begun) = self.begun.take() else { return };
        let took = self.sample.weigh(begun.elapsed());
        self.filled += took;
        self.credit += took / PART_FOR_ITEMS;
        self.last_items = items;
        let timed = (self.read + self.processed).as_secs_f64();
        // Before any item was timed there is none in the chunk that is processed.
        let share = if timed > 0.0 { self.read.as_secs_f64() / timed } else { 1.0 };
        live.set_time(StepPhase::Read, self.filled.mul_f64(share));
        live.set_time(StepPhase::Process, self.filled.mul_f64(1.0 - share));
    }
}

/// The clock of the writing half.
#[derive(Debug, Default)]
pub(super) struct CommitClock {
    sample: Sample,
    begun: Option<Instant>,
    /// Time of writing in the chunk in hand.
    written: Option<(Instant, Duration)>,
}

impl CommitClock {
    /// Begins the attempt to write and commit a chunk.
    #[inline]
    pub(super) fn begin(&mut self) {
        (self.begun, self.written) = (self.sample.begin(), None);
    }

    /// It is written and flushed.
    #[inline]
    pub(super) fn written(&mut self) {
        let Some(begun) = self.begun else { return };
        let now = Instant::now();
        self.written = Some((now, now - begun));
    }

    /// It is committed, or waits for a save with others.
    #[inline]
    pub(super) fn end(&mut self, live: &LiveCounters) {
        let (Some(begun), Some((written_at, writing))) = (self.begun.take(), self.written.take()) else { return };
        let committing = written_at.elapsed();
        let took = begun.elapsed();
        let weight = if self.sample.is_quick { OF_QUICK_ONES } else { 1 };
        self.sample.weigh(took);
        live.add_time(StepPhase::Write, writing * weight);
        live.add_time(StepPhase::Commit, committing * weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_timed_in_the_first_chunk_and_then_as_rarely_as_their_cost_demands() {
        let (mut clock, live) = (FillClock::default(), LiveCounters::default());
        assert_eq!(clock.begin(), FIRST_ITEMS);
        clock.end(1_000, &live);
        // A chunk of a thousand items costs 100 µs to time: it takes 12.8 ms of work to pay for it.
        clock.credit = Duration::ZERO;
        clock.sample.is_quick = false;
        let mut timed = 0;
        for _ in 0..1_000 {
            clock.credit += Duration::from_micros(333) / PART_FOR_ITEMS;
            let items = clock.begin();
            timed += usize::from(items > 0);
            (clock.begun, clock.last_items) = (None, 1_000);
        }
        assert!((20..=30).contains(&timed), "{timed}");
    }

    #[test]
    fn quick_chunks_are_timed_now_and_then_and_weigh_for_the_others() {
        let mut sample = Sample { is_quick: true, ..Sample::default() };
        let timed = (0..80).filter(|_| sample.begin().is_some()).count();
        assert_eq!(timed, 10);
        let quick = Duration::from_micros(5);
        assert_eq!(sample.weigh(quick), quick * OF_QUICK_ONES);
        let slow = Duration::from_millis(1);
        assert_eq!(sample.weigh(slow), slow * OF_QUICK_ONES);
        assert_eq!(sample.weigh(slow), slow);
        assert!(!sample.is_quick);
    }
}
