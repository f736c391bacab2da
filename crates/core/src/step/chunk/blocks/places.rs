//! The places of turns: they bound the outputs that are ahead of the step's own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of encoded outputs of one place.
const BYTES: usize = 64 * 1024;
/// All places: 2 MiB, as much as is encoded while the step's own thread waits for the disk.
const ALL: u32 = 32;
/// The places; a turn has some of them until the step's own thread asks for the chunk behind its last.
pub(super) struct Places {
    free: Arc<Semaphore>,
    workers: u32,
    /// Bytes of a turn as the last ones were; 0 while that is not known.
    bytes: AtomicUsize,
}

impl Places {
    pub(super) fn new(workers: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(ALL as usize)), workers, bytes: AtomicUsize::new(0) }
    }

    /// Waits for the places of a turn, as many as its outputs are likely to need.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        let bytes = self.bytes.load(Ordering::Relaxed);
        Arc::clone(&self.free).acquire_many_owned(number(bytes, self.workers)).await.ok()
    }

    /// A turn has made so many bytes.
    pub(super) fn made(&self, bytes: usize) {
        // Turns of one time go up to the largest, and down by and by.
        let last = self.bytes.load(Ordering::Relaxed);
        self.bytes.store(bytes.max(last - last / 8), Ordering::Relaxed);
    }
}

/// The places of a turn of so many bytes. However large they are, one is written while the next is encoded; while their
/// size is not known, there is one more than there are workers.
fn number(bytes: usize, workers: u32) -> u32 {
    match bytes {
        0 => (ALL / workers.saturating_add(1)).max(1),
        bytes => u32::try_from(bytes / BYTES).unwrap_or(u32::MAX).saturating_add(1).min(ALL / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_turns_have_few_places_and_large_ones_half_of_all() {
        let sizes = [1, BYTES - 1, BYTES, 10 * BYTES, 40 * BYTES, usize::MAX];
        assert_eq!(sizes.map(|bytes| number(bytes, 2)), [1, 1, 2, 11, 16, 16]);
    }

    #[test]
    fn each_worker_has_a_turn_about_beside_the_one_in_hand_while_their_size_is_not_known() {
        assert_eq!([1, 2, 7, 64, u32::MAX].map(|workers| number(0, workers)), [16, 10, 4, 1, 1]);
    }

    #[tokio::test]
    async fn a_small_turn_does_not_hide_that_others_are_large() {
        let places = Places::new(2);
        let mut taken = Vec::new();
        for bytes in [10 * BYTES, 1, 10 * BYTES] {
            places.made(bytes);
            taken.push(places.take().await.unwrap().num_permits());
        }
        assert_eq!(taken, [11, 9, 11]);
    }
}
