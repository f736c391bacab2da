//! The write lock of this process: a fair queue in front of SQLite's own, so that nobody starves in its busy timeout.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use oxbatch_core::repository::RepositoryError;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use crate::stop::stop_is_over;

/// The time that a step waits for the others: they may hold the lock for as long as their writers take.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Time between two lines in the log about a step that waits.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The write lock of this process. SQLite's busy handler lets those who wait starve; this queue serves them in order.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteLock(Arc<Mutex<()>>);

/// The write lock, until it is dropped.
pub(super) type WriteGuard = OwnedMutexGuard<()>;

impl WriteLock {
    /// Waits for the write lock.
    pub(super) async fn take(&self) -> WriteGuard {
        Arc::clone(&self.0).lock_owned().await
    }

    /// Waits for the write lock, with a line in the log where that takes long, until a stop ends it.
    pub(super) async fn take_unless(&self, stop: &CancellationToken) -> Result<WriteGuard, RepositoryError> {
        if let Ok(write_lock) = Arc::clone(&self.0).try_lock_owned() {
            return Ok(write_lock);
        }
        let mut write_lock = pin!(self.take());
        let deadline = tokio::time::Instant::now() + LONGEST_WAIT;
        let refuse = |why: &str| Err(RepositoryError::Unavailable { operation: "begin a chunk", source: why.into() });
        let mut stopped = pin!(stop_is_over(stop));
        loop {
            let next_line = deadline.min(tokio::time::Instant::now() + LINE_EVERY);
            tokio::select! {
                biased;
                write_lock = &mut write_lock => return Ok(write_lock),
                () = &mut stopped => return Err(RepositoryError::WaitStopped { operation: "begin a chunk" }),
                () = tokio::time::sleep_until(next_line) => {}
            }
            if next_line == deadline {
                return refuse("another step of this process holds the write lock");
            }
            tracing::warn!("a step waits for another one, which has held the write lock for {LINE_EVERY:?} or more");
        }
    }

    /// Waits for the write lock on a thread without a runtime, but not for ever: a step that holds it may hang.
    pub(super) fn take_within(&self, at_most: Duration) -> Option<WriteGuard> {
        let deadline = Instant::now() + at_most;
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut write_lock = pin!(Arc::clone(&self.0).lock_owned());
        loop {
            if let Poll::Ready(guard) = write_lock.as_mut().poll(&mut context) {
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
    async fn a_thread_gets_the_lock_once_it_is_free_and_gives_up_when_it_is_not() {
        let write_lock = WriteLock::default();
        let guard = write_lock.take().await;
        assert!(write_lock.take_within(Duration::from_millis(5)).is_none());
        let other = write_lock.clone();
        let waiting = std::thread::spawn(move || other.take_within(Duration::from_secs(60)).is_some());
        drop(guard);
        assert!(waiting.join().unwrap());
    }
}
