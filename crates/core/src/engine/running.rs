//! The executions that run on this node: how to stop them, sample them, and wait for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

use super::{Event, EventSink};
use crate::execution::{ExecutionId, StepExecutionId};
use crate::repository::Lease;
use crate::step::LiveCounters;

/// A step that runs on this node now.
#[derive(Debug, Clone)]
pub struct LiveStep {
    /// The step execution.
    pub step_id: StepExecutionId,
    /// Its name.
    pub step_name: String,
    /// Its counters, to be sampled.
    pub live: Arc<LiveCounters>,
}

/// Why an execution is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopCause {
    /// A person asked.
    Request,
    /// The node shuts down.
    Shutdown,
    /// Another node owns it.
    LeaseLost,
    /// The store is gone, and what it committed with it.
    StoreGone,
}

impl StopCause {
    /// Whether nothing of the execution can be recorded by this node any more.
    pub(super) fn is_loss(self) -> bool {
        matches!(self, Self::LeaseLost | Self::StoreGone)
    }
}

/// The node's handle on one execution.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) lease: Lease,
    pub(super) stop: CancellationToken,
    cause: Arc<Mutex<Option<StopCause>>>,
    steps: Arc<Mutex<Vec<LiveStep>>>,
}

#[derive(Default)]
pub(super) struct Running {
    handles: Mutex<HashMap<ExecutionId, Handle>>,
    change: Notify,
    any: Notify,
    watched: Arc<Mutex<HashMap<ExecutionId, Arc<Notify>>>>,
}

/// Hears of what happens to one execution, on this node and, where the store tells, on others.
pub(super) struct Watcher {
    id: ExecutionId,
    bell: Arc<Notify>,
    watched: Arc<Mutex<HashMap<ExecutionId, Arc<Notify>>>>,
}

impl Watcher {
    /// Ready when something has happened to it since the call.
    pub(super) fn change(&self) -> Notified<'_> {
        self.bell.notified()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watched = lock(&self.watched);
        // The map's and this one's.
        if Arc::strong_count(&self.bell) == 2 {
            watched.remove(&self.id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    /// Why it was told to stop; the first cause stays, except that a loss overrules a request.
    pub(super) fn cause(&self) -> Option<StopCause> {
        *lock(&self.cause)
    }

    /// Tells it to stop. Whether that was news.
    fn tell(&self, cause: StopCause) -> bool {
        let mut known = lock(&self.cause);
        let news = known.is_none_or(|known| cause.is_loss() && !known.is_loss());
        if news {
            *known = Some(cause);
        }
        drop(known);
        self.stop.cancel();
        news
    }

    pub(super) fn lose(&self) {
        self.tell(StopCause::LeaseLost);
    }

    pub(super) fn begin_step(&self, step: LiveStep) {
        lock(&self.steps).push(step);
    }

    pub(super) fn end_step(&self, step_id: StepExecutionId) {
        lock(&self.steps).retain(|step| step.step_id != step_id);
    }
}

impl Running {
    pub(super) fn begin(&self, lease: Lease) -> Handle {
        let handle = Handle { lease, stop: CancellationToken::new(), cause: Arc::default(), steps: Arc::default() };
        lock(&self.handles).insert(lease.execution_id, handle.clone());
        self.change.notify_waiters();
        self.touch(lease.execution_id);
        handle
    }

    pub(super) fn end(&self, id: ExecutionId) {
        lock(&self.handles).remove(&id);
        self.change.notify_waiters();
        self.touch(id);
    }

    /// Whether it runs on this node.
    pub(super) fn has(&self, id: ExecutionId) -> bool {
        lock(&self.handles).contains_key(&id)
    }

    pub(super) fn watch(&self, id: ExecutionId) -> Watcher {
        let bell = Arc::clone(lock(&self.watched).entry(id).or_default());
        Watcher { id, bell, watched: Arc::clone(&self.watched) }
    }

    /// Something has happened to an execution, wherever it runs.
    pub(super) fn touch(&self, id: ExecutionId) {
        if let Some(bell) = lock(&self.watched).get(&id) {
            bell.notify_waiters();
        }
        self.any.notify_waiters();
    }

    /// There is a new execution, on another node: nobody watches it yet.
    pub(super) fn touch_new(&self) {
        self.any.notify_waiters();
    }

    /// Ready when something has happened to an execution since the call, wherever it runs.
    pub(super) fn any_touch(&self) -> Notified<'_> {
        self.any.notified()
    }

    /// Something may have happened to any execution.
    pub(super) fn touch_all(&self) {
        self.any.notify_waiters();
        for bell in lock(&self.watched).values() {
            bell.notify_waiters();
        }
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.handles).len()
    }

    /// Tells an execution to stop on behalf of a person, if it runs here; whether it did and had not been told before.
    pub(super) fn stop(&self, id: ExecutionId, events: &EventSink) -> bool {
        let handle = lock(&self.handles).get(&id).cloned();
        let is_told = handle.is_some_and(|handle| handle.tell(StopCause::Request));
        if is_told {
            events.emit(&Event::StopRequested { execution_id: id });
        }
        is_told
    }

    pub(super) fn shut_down(&self) {
        for handle in lock(&self.handles).values() {
            handle.tell(StopCause::Shutdown);
        }
    }

    /// Tells all executions that the store is gone.
    pub(super) fn lose_store(&self) {
        for handle in lock(&self.handles).values() {
            handle.tell(StopCause::StoreGone);
        }
    }

    pub(super) fn handles(&self) -> Vec<Handle> {
        lock(&self.handles).values().cloned().collect()
    }

    /// The executions that run on this node.
    pub(super) fn held(&self) -> Vec<ExecutionId> {
        lock(&self.handles).keys().copied().collect()
    }

    /// Ready when an execution has begun or ended on this node since the call.
    pub(super) fn any_change(&self) -> Notified<'_> {
        self.change.notified()
    }

    pub(super) fn live_steps(&self, id: ExecutionId) -> Vec<LiveStep> {
        let handle = lock(&self.handles).get(&id).cloned();
        handle.map_or_else(Vec::new, |handle| lock(&handle.steps).clone())
    }
}
