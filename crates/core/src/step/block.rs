//! Waits for a future by blocking the thread: for the author's code that is not async, within the runtime of its step.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The value of the future; `None` when the time is over before it is ready. It must need nothing of the runtime of
/// this thread, which stands still.
pub(super) fn block_on<T>(future: impl Future<Output = T>, at_most: Duration) -> Option<T> {
    // Polled as often as it takes, within one poll of the step's own future, whose budget is for that.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut task = Context::from_waker(&waker);
    let deadline = Instant::now().checked_add(at_most);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut task) {
            return Some(done);
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_the_future_or_with_its_time() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let answer = thread::spawn(move || sender.send(7));
        assert_eq!(block_on(receiver, Duration::MAX), Some(Ok(7)));
        assert_eq!(answer.join().unwrap(), Ok(()));
        assert_eq!(block_on(std::future::pending::<()>(), Duration::from_millis(1)), None);
    }
}
