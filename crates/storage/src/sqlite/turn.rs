//! Whose turn it is to write: a fair queue in front of SQLite's one write lock.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// The write turn of this process. SQLite's busy handler lets those who wait starve; this queue serves them in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

/// The turn, until it is dropped.
pub(super) type TurnGuard = OwnedMutexGuard<()>;

impl Turn {
    /// Waits for the turn.
    pub(super) async fn take(&self) -> TurnGuard {
        Arc::clone(&self.0).lock_owned().await
    }

    /// Waits for the turn on a thread without a runtime, but not for ever: a step that holds it may hang.
    pub(super) fn take_within(&self, at_most: Duration) -> Option<TurnGuard> {
        let deadline = Instant::now() + at_most;
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut turn = pin!(Arc::clone(&self.0).lock_owned());
        loop {
            if let Poll::Ready(guard) = turn.as_mut().poll(&mut context) {
                return Some(guard);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            std::thread::park_timeout(left);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_gets_the_turn_once_it_is_free_and_gives_up_when_it_is_not() {
        let turn = Turn::default();
        let guard = turn.take().await;
        assert!(turn.take_within(Duration::from_millis(5)).is_none());
        let other = turn.clone();
        let waiting = std::thread::spawn(move || other.take_within(Duration::from_secs(60)).is_some());
        drop(guard);
        assert!(waiting.join().unwrap());
    }
}
