//! The means of a step to share values and a runtime with the other steps of its execution, and to stop it.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::block::block_on;
use super::context::{JobScope, StepContext, StopRequested};
use crate::author_thread::panic_message;
use crate::item::BoxError;
use crate::listener::JobContext;

impl JobScope {
    pub(crate) fn shared<T: Send + Sync + 'static>(
        &self,
        build: impl FnOnce() -> Result<T, BoxError>,
    ) -> Result<Arc<T>, BoxError> {
        let runtime = self.runtime.handle()?;
        let _entered = runtime.enter();
        self.runtime.values().get_blocking(build)
    }

    pub(crate) async fn shared_async<T, F, U>(&self, build: F) -> Result<Arc<T>, BoxError>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> U + Send + 'static,
        U: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let (runtime, values) = (self.runtime.handle()?, Arc::clone(self.runtime.values()));
        match runtime.spawn(async move { values.get(build).await }).await {
            Ok(built) => built,
            Err(error) if error.is_panic() => Err(panic_message(error.into_panic().as_ref()).into()),
            Err(_) => Err("the execution has ended".into()),
        }
    }
}

impl StepContext {
    /// A value that the execution builds once, one of each type: a client, a pool, a [rate
    /// limiter](super::RateLimiter). The first who asks builds it, others wait for it meanwhile. All steps of the
    /// execution share it; it is dropped when the execution has ended.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use oxbatch::TaskStep;
    ///
    /// struct Calls(AtomicU64);
    ///
    /// let step = TaskStep::builder("Call", |context| {
    ///     let calls = context.shared(|| Ok(Calls(AtomicU64::new(0))))?;
    ///     calls.0.fetch_add(1, Ordering::Relaxed);
    ///     Ok(())
    /// });
    /// ```
    ///
    /// `build` runs on the calling thread, within the [runtime of the execution](Self::execution_runtime): what it
    /// spawns, and the timers and sockets that it makes, live there.
    ///
    /// # Errors
    /// That of `build`, which is called again by the next who asks; or no thread can be started.
    pub fn shared<T, F>(&self, build: F) -> Result<Arc<T>, BoxError>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> Result<T, BoxError>,
    {
        self.scope().job.shared(build)
    }

    /// As [`shared`](Self::shared), by a future, which runs on the runtime of the execution.
    ///
    /// # Errors
    /// As those of `shared`; a panic of the future is one.
    pub async fn shared_async<T, F, U>(&self, build: F) -> Result<Arc<T>, BoxError>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> U + Send + 'static,
        U: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        self.scope().job.shared_async(build).await
    }

    /// The runtime of the execution: on one thread, started by its first use, and ended with the execution, while those
    /// of the steps end with each step. A client that keeps connections is used on it, since they belong to the runtime
    /// on which they were opened:
    ///
    /// ```
    /// use oxbatch::{StepContext, TaskStep};
    ///
    /// let step = TaskStep::builder_async("Ask", |context: StepContext| async move {
    ///     let answer = context.execution_runtime()?.spawn(async { 6 * 7 }).await?;
    ///     println!("{answer}");
    ///     Ok(())
    /// });
    /// ```
    ///
    /// # Errors
    /// When no thread can be started, or the execution has ended.
    pub fn execution_runtime(&self) -> io::Result<Handle> {
        self.scope().job.runtime.handle()
    }

    /// Stops the execution as a person's request does: the step ends STOPPED behind the chunk in hand, no other step
    /// begins, and a restart goes on from there. From any part, and from listeners. A task sees it by
    /// [`check_stop`](Self::check_stop) as any other stop.
    ///
    /// It is stored with the end that it leads to, not before: an execution whose process dies in between is recovered.
    pub fn request_stop(&self) {
        (self.scope().job.request_stop)();
    }

    /// As [`sleep`](Self::sleep), for code that blocks its thread.
    ///
    /// # Errors
    /// [`StopRequested`] when a stop was requested.
    pub fn sleep_blocking(&self, duration: Duration) -> Result<(), StopRequested> {
        match block_on(self.stopping(), duration) {
            Some(()) => Err(StopRequested),
            None => Ok(()),
        }
    }
}

impl JobContext {
    /// A value that the execution builds once: see [`StepContext::shared`].
    ///
    /// # Errors
    /// As those of [`StepContext::shared`].
    pub fn shared<T, F>(&self, build: F) -> Result<Arc<T>, BoxError>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> Result<T, BoxError>,
    {
        self.scope().shared(build)
    }

    /// Stops the execution as a person's request does.
    pub fn request_stop(&self) {
        (self.scope().request_stop)();
    }
}
