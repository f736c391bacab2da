//! The reasons for which a chunk ends before its commit: a stop, an error; and the waits that a stop ends.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use crate::event::Event;
use crate::item::ItemError;
use crate::listener::{RetryPhase, report_retry};
use crate::repository::RepositoryError;
use crate::step::body::BodyError;
use crate::step::context::{StepContext, StopRequested};
use crate::step::policy::{RetryPolicy, after_retries, random_share};

/// The reason for which a chunk ends before its commit.
pub(super) enum Interrupt {
    /// A stop was requested while it waited.
    Stopped,
    /// An error.
    Body(BodyError),
}

impl From<BodyError> for Interrupt {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

/// An error in the author's part of the loop.
pub(super) fn failed(what: &str, error: &ItemError) -> BodyError {
    BodyError::Failed(format!("failed to {what}: {error}"))
}

/// An error after `made` repetitions; an author's `check_stop()?` is a stop, not an error.
#[cold]
pub(super) fn error_after(what: &str, error: &ItemError, made: u32, context: &StepContext) -> Interrupt {
    let ended_wait = || matches!(error.cause().downcast_ref(), Some(RepositoryError::WaitStopped { .. }));
    if context.is_stopping() && (error.cause().is::<StopRequested>() || ended_wait()) {
        return Interrupt::Stopped;
    }
    Interrupt::Body(BodyError::Failed(format!("failed to {what}: {}", after_retries(error.to_string(), made))))
}

/// Tells of a repetition and waits before it, outside of any transaction.
pub(super) async fn wait(
    policy: &RetryPolicy,
    context: &StepContext,
    phase: RetryPhase,
    retry: u32,
    error: &ItemError,
) -> Result<(), Interrupt> {
    let delay = policy.delay(retry, random_share());
    let cause = error.to_string();
    context.scope().job.events.emit(&Event::RetryScheduled {
        execution_id: context.execution_id(),
        step_name: context.step_name(),
        retry,
        delay,
        cause: &cause,
    });
    report_retry(context, phase, (retry, delay), (error.kind(), &cause));
    context.sleep(delay).await.map_err(|StopRequested| Interrupt::Stopped)
}

/// The value of the author's future, or `None` when a stop is requested while it waits: it is dropped then. One that
/// need not wait costs nothing by it.
#[inline]
pub(super) async fn unless_stopped<T>(context: &StepContext, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    if let Poll::Ready(done) = std::future::poll_fn(|task| Poll::Ready(future.as_mut().poll(task))).await {
        return Some(done);
    }
    tokio::select! {
        biased;
        done = future => Some(done),
        () = context.stopping() => None,
    }
}
