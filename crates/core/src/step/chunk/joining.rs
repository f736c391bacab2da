//! Group commit of chunks: joins the saves of several into one, and knows when the next is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::step::body::BodyError;
use crate::step::context::StepContext;

/// Tells when what was written must be saved. A thread watches the time: a look at the clock for each chunk would cost
/// more than the quickest chunks do.
pub(super) struct Joining {
    shared: Arc<Shared>,
    watch: Thread,
}

#[derive(Default)]
struct Shared {
    due: AtomicBool,
    tick: Notify,
    ended: AtomicBool,
}

impl Joining {
    /// A save is due each time that `every` has passed.
    pub(super) fn start(every: Duration, context: &StepContext) -> Result<Self, BodyError> {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        let name = format!("saves-{}", context.step_execution_id());
        let watch = thread::Builder::new()
            .name(name)
            .spawn(move || watched.watch(every))
            .map_err(|error| BodyError::Failed(format!("failed to start a thread for the step: {error}")))?;
        Ok(Self { shared, watch: watch.thread().clone() })
    }

    /// True if a save is due.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.shared.due.load(Ordering::Acquire)
    }

    /// Returns when a save is due.
    pub(super) async fn due(&self) {
        while !self.is_due() {
            self.shared.tick.notified().await;
        }
    }

    /// All is saved.
    pub(super) fn saved(&self) {
        self.shared.due.store(false, Ordering::Release);
    }
}

impl Shared {
    fn watch(&self, every: Duration) {
        let mut next = Instant::now().checked_add(every);
        while !self.ended.load(Ordering::Acquire) {
            let now = Instant::now();
            match next {
                Some(time) if time <= now => {
                    self.due.store(true, Ordering::Release);
                    self.tick.notify_one();
                    next = now.checked_add(every);
                }
                Some(time) => thread::park_timeout(time - now),
                None => thread::park(),
            }
        }
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.watch.unpark();
    }
}
