//! The number of processors of a step that work at once, and the parts in which a chunk is dealt out to them.

/// Items that go to a processor at once: handing a part over costs about 10 µs, which many items share.
const MAX_PART: usize = 64;
/// Parts of a chunk for each thread, so that one that meets heavy items does not keep the others waiting.
const PARTS_PER_THREAD: usize = 4;

/// The number of processors that work at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workers {
    /// Threads.
    pub(super) threads: usize,
    /// Items in flight on each of them.
    pub(super) in_flight: usize,
}

impl Workers {
    pub(super) fn count(self) -> usize {
        self.threads * self.in_flight
    }

    /// Items in a part of a chunk of so many.
    pub(super) fn part(self, items: usize) -> usize {
        match self.in_flight {
            1 => (items / (self.threads * PARTS_PER_THREAD)).clamp(1, MAX_PART),
            // Each item waits for itself.
            _ => 1,
        }
    }
}
