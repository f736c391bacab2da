//! A thread next to the step's own that runs the author's code, and gives back what it was given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::interrupt::Interrupt;
use crate::author_thread;
use crate::step::body::BodyError;
use crate::step::context::StepContext;

/// A handle on such a thread. The thread ends when the channels that it was given are closed, not before.
pub(super) struct SideThread<T> {
    /// `None` once it was received.
    ended: Option<oneshot::Receiver<thread::Result<T>>>,
}

/// Held as long as the author's code may run: who supervises the step sees whether threads are left behind.
struct Beside(Arc<AtomicUsize>);

impl Beside {
    fn begin(context: &StepContext) -> Self {
        let beside = Arc::clone(&context.scope().beside);
        beside.fetch_add(1, Ordering::AcqRel);
        Self(beside)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<T: Send + 'static> SideThread<T> {
    /// Starts the thread `<what>-<step>`, with a small runtime of its own.
    pub(super) fn start(
        what: &str,
        context: &StepContext,
        body: impl FnOnce(&Runtime) -> T + Send + 'static,
    ) -> Result<Self, Interrupt> {
        let no_thread = |error: std::io::Error| {
            Interrupt::Body(BodyError::Failed(format!("failed to start a thread for the step: {error}")))
        };
        let name = format!("{what}-{}", context.step_execution_id());
        let ended = author_thread::start(name, Beside::begin(context), body).map_err(no_thread)?;
        Ok(Self { ended: Some(ended) })
    }

    /// The value of the thread when it has ended by itself; its panic goes on here. `None` when that was reported
    /// before.
    pub(super) async fn ended(&mut self) -> Option<T> {
        match self.ended.take()?.await {
            Ok(Ok(given)) => Some(given),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => None,
        }
    }

    /// The value of the thread once its channels are closed; `None` when it was lost in a panic, or when the thread
    /// does not end within `at_most`: it sits in the author's code, and ends after that.
    pub(super) async fn join(self, at_most: Duration) -> Option<T> {
        let ended = tokio::time::timeout(at_most, self.ended?).await.ok()?;
        ended.ok().and_then(Result::ok)
    }
}
