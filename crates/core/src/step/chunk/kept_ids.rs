//! The rows of kept items that a re-run has read, in their order, until the chunk that settles them takes them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A queue between the reader of kept items, who may be ahead, and the chunk that is sealed.
#[derive(Clone, Default)]
pub(super) struct KeptIds(Arc<Mutex<VecDeque<i64>>>);

impl KeptIds {
    /// The row of an item that was read, or could not be.
    pub(super) fn add(&self, id: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(id);
    }

    /// The rows of the oldest so many items.
    pub(super) fn take(&self, items: usize) -> Vec<i64> {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let items = items.min(ids.len());
        ids.drain(..items).collect()
    }
}
