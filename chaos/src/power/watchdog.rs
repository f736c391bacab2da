//! Ends a run that hangs, with the line by which it is seen again.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest time for one piece of work: all waits in it together are shorter, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type AtWork = Mutex<BTreeMap<u64, (String, Instant)>>;

/// Watches work as long as it lives.
pub(crate) struct Watchdog {
    at_work: Arc<AtWork>,
    /// Dropped with it: its thread ends.
    _alive: Sender<()>,
}

/// A piece of work that is watched until it is dropped.
pub(crate) struct Watched<'a> {
    watchdog: &'a Watchdog,
    number: u64,
}

fn lock(at_work: &AtWork) -> MutexGuard<'_, BTreeMap<u64, (String, Instant)>> {
    at_work.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watchdog {
    /// Begins to watch.
    pub(crate) fn start() -> Self {
        let (alive, ended) = channel::<()>();
        let at_work = Arc::new(AtWork::default());
        let watched = Arc::clone(&at_work);
        std::thread::spawn(move || {
            while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                let overdue = lock(&watched).values().find(|(_, since)| since.elapsed() > PATIENCE).cloned();
                if let Some((what, _)) = overdue {
                    // Not in order: what hangs would be waited for.
                    println!("power-loss: FAILED: it hangs since {PATIENCE:?} in: {what}");
                    std::process::exit(1);
                }
            }
        });
        Self { at_work, _alive: alive }
    }

    /// Watches a piece of work, given by the line by which it is seen again.
    pub(crate) fn watch(&self, what: String) -> Watched<'_> {
        let mut at_work = lock(&self.at_work);
        let number = at_work.last_key_value().map_or(0, |(number, _)| number + 1);
        at_work.insert(number, (what, Instant::now()));
        Watched { watchdog: self, number }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        lock(&self.watchdog.at_work).remove(&self.number);
    }
}
