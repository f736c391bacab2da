//! The places of turns: they bound the outputs that are ahead of the step's own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of encoded outputs of one place.
const BYTES: usize = 64 * 1024;
/// All places: 2 MiB, as much as is encoded while the step's own thread waits for the disk.
const ALL: u32 = 32;
/// Bytes of a turn that is alone: several of them would take more memory than they spare time.
const LARGE: usize = 4 * 1024 * 1024;

/// The places; a turn has some of them until the step's own thread has taken its last chunk.
pub(super) struct Places {
    free: Arc<Semaphore>,
    workers: u32,
    /// Bytes of the last turn that has made any; 0 while that is not known.
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

    /// A turn has made so many bytes. One that has completed no chunk says nothing.
    pub(super) fn made(&self, bytes: usize) {
        if bytes > 0 {
            self.bytes.store(bytes, Ordering::Relaxed);
        }
    }
}

/// The places of a turn of so many bytes. Two turns are always about, unless they are large: one is written while the
/// next is encoded.
fn number(bytes: usize, workers: u32) -> u32 {
    match bytes {
        0 => (ALL / workers).max(1),
        LARGE.. => ALL,
        bytes => u32::try_from(bytes / BYTES).unwrap_or(u32::MAX).saturating_add(1).min(ALL / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_turns_have_few_places_and_large_ones_all() {
        let sizes = [1, BYTES - 1, BYTES, 10 * BYTES, 40 * BYTES, LARGE - 1, LARGE, usize::MAX];
        assert_eq!(sizes.map(|bytes| number(bytes, 2)), [1, 1, 2, 11, 16, 16, 32, 32]);
    }

    #[test]
    fn each_worker_has_a_turn_about_while_its_bytes_are_not_known() {
        assert_eq!([1, 2, 7, 64, 1000].map(|workers| number(0, workers)), [32, 16, 4, 1, 1]);
    }
}
