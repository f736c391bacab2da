//! Waits for changes of executions: of one, or of any, on this node and, where the store notifies, on others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::execution::{ExecutionId, JobExecution};

type Watched = Arc<Mutex<HashMap<ExecutionId, Arc<Signal>>>>;

/// The signal to those who wait for one execution.
#[derive(Default)]
struct Signal {
    notify: Notify,
    /// The execution as it has ended on this node.
    ended: OnceLock<JobExecution>,
}

/// The waits of a process for changes.
#[derive(Default)]
pub(super) struct Changes {
    any: Notify,
    watched: Watched,
}

/// A wait for changes of one execution.
pub(super) struct Watcher {
    id: ExecutionId,
    signal: Arc<Signal>,
    watched: Watched,
}

impl Watcher {
    /// Ready when something has happened to it since the call.
    pub(super) fn change(&self) -> Notified<'_> {
        self.signal.notify.notified()
    }

    /// The execution as its end was recorded by this node since the wait began.
    pub(super) fn ended(&self) -> Option<&JobExecution> {
        self.signal.ended.get()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watched = lock(&self.watched);
        // The map's and this one's.
        if Arc::strong_count(&self.signal) == 2 {
            watched.remove(&self.id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Changes {
    pub(super) fn watch(&self, id: ExecutionId) -> Watcher {
        let signal = Arc::clone(lock(&self.watched).entry(id).or_default());
        Watcher { id, signal, watched: Arc::clone(&self.watched) }
    }

    /// Ready when something has happened to an execution since the call, wherever it runs.
    pub(super) fn any(&self) -> Notified<'_> {
        self.any.notified()
    }

    /// Something has happened to an execution, wherever it runs.
    pub(super) fn notify(&self, id: ExecutionId) {
        if let Some(watched) = lock(&self.watched).get(&id) {
            watched.notify.notify_waiters();
        }
        self.any.notify_waiters();
    }

    /// It has ended on this node, and was recorded like this.
    pub(super) fn notify_end(&self, execution: JobExecution) {
        if let Some(watched) = lock(&self.watched).get(&execution.id) {
            // The first end is the only one.
            let _ = watched.ended.set(execution);
            watched.notify.notify_waiters();
        }
        self.any.notify_waiters();
    }

    /// There is a new execution: nobody watches it yet.
    pub(super) fn notify_new(&self) {
        self.any.notify_waiters();
    }

    /// Something may have happened to any execution.
    pub(super) fn notify_all(&self) {
        self.any.notify_waiters();
        for watched in lock(&self.watched).values() {
            watched.notify.notify_waiters();
        }
    }
}
