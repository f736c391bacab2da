//! The executions that run on this node: how to stop them and sample them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

use super::time_limit::RunningClock;
use crate::event::{Event, EventSink};
use crate::execution::{ExecutionId, JobExecution, StepExecutionId};
use crate::repository::{Claimed, Lease};
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

/// The cause of a stop.
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
    /// `true` if nothing of the execution can be recorded by this node any more.
    pub(super) fn is_loss(self) -> bool {
        matches!(self, Self::LeaseLost | Self::StoreGone)
    }
}

/// The node's handle on one execution.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) lease: Lease,
    /// The execution as it was when it began.
    pub(super) execution: Arc<JobExecution>,
    pub(super) stop: CancellationToken,
    /// The running time of the execution.
    pub(super) clock: Arc<RunningClock>,
    cause: Arc<Mutex<Option<StopCause>>>,
    steps: Arc<Mutex<Vec<LiveStep>>>,
}

#[derive(Default)]
pub(super) struct Running {
    handles: Mutex<HashMap<ExecutionId, Handle>>,
    change: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    /// The cause of the stop; the first one stays, except that a loss overrules a request.
    pub(super) fn cause(&self) -> Option<StopCause> {
        *lock(&self.cause)
    }

    /// Asks it to stop. Whether that was new to it.
    fn ask(&self, cause: StopCause) -> bool {
        let mut known = lock(&self.cause);
        let is_new = known.is_none_or(|known| cause.is_loss() && !known.is_loss());
        if is_new {
            *known = Some(cause);
        }
        drop(known);
        self.stop.cancel();
        is_new
    }

    pub(super) fn lose(&self) {
        self.ask(StopCause::LeaseLost);
    }

    pub(super) fn begin_step(&self, step: LiveStep) {
        lock(&self.steps).push(step);
    }

    pub(super) fn end_step(&self, step_id: StepExecutionId) {
        lock(&self.steps).retain(|step| step.step_id != step_id);
    }
}

impl Running {
    pub(super) fn begin(&self, claimed: &Claimed) -> Handle {
        let lease = claimed.lease;
        let (stop, execution) = (CancellationToken::new(), Arc::new(claimed.execution.clone()));
        let clock = Arc::new(RunningClock::new(claimed.running));
        let handle = Handle { lease, execution, stop, clock, cause: Arc::default(), steps: Arc::default() };
        lock(&self.handles).insert(lease.execution_id(), handle.clone());
        self.change.notify_waiters();
        handle
    }

    pub(super) fn end(&self, id: ExecutionId) {
        lock(&self.handles).remove(&id);
        self.change.notify_waiters();
    }

    /// The node's handle on an execution that runs here.
    pub(super) fn get(&self, id: ExecutionId) -> Option<Handle> {
        lock(&self.handles).get(&id).cloned()
    }

    /// `true` if it runs on this node.
    pub(super) fn has(&self, id: ExecutionId) -> bool {
        lock(&self.handles).contains_key(&id)
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.handles).len()
    }

    /// Asks an execution to stop on behalf of a person, if it runs here; whether it did and had not been asked before.
    pub(super) fn stop(&self, id: ExecutionId, events: &EventSink) -> bool {
        let is_new = self.get(id).is_some_and(|handle| handle.ask(StopCause::Request));
        if is_new {
            events.emit(&Event::StopRequested { execution_id: id });
        }
        is_new
    }

    pub(super) fn shut_down(&self) {
        for handle in lock(&self.handles).values() {
            handle.ask(StopCause::Shutdown);
        }
    }

    /// Drops all executions, since the store is gone.
    pub(super) fn lose_store(&self) {
        for handle in lock(&self.handles).values() {
            handle.ask(StopCause::StoreGone);
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
        self.get(id).map_or_else(Vec::new, |handle| lock(&handle.steps).clone())
    }
}
