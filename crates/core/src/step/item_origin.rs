//! The origin of the item in hand, for processors that ask for it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::item::Origin;

/// Shows a processor where the item in its hand comes from:
/// [`StepContext::item_origin`](super::StepContext::item_origin).
#[derive(Clone, Default)]
pub struct ItemOrigin {
    slot: Arc<Slot>,
}

#[derive(Default)]
struct Slot {
    /// Nobody asks in most steps: nothing is done for an item then.
    is_wanted: AtomicBool,
    origin: Mutex<Option<Origin>>,
}

impl ItemOrigin {
    /// The file and position of the item that is processed; `None` where the reader does not tell it, and anywhere but
    /// in a processor.
    pub fn get(&self) -> Option<Origin> {
        self.slot.origin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same handle for somebody who will ask.
    pub(super) fn wanted(&self) -> Self {
        self.slot.is_wanted.store(true, Ordering::Relaxed);
        self.clone()
    }

    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        self.slot.is_wanted.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, origin: Option<Origin>) {
        *self.slot.origin.lock().unwrap_or_else(PoisonError::into_inner) = origin;
    }
}

impl fmt::Debug for ItemOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ItemOrigin").field(&self.get()).finish()
    }
}
