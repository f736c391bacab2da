//! Waits for changes of executions: of one, or of any, on this node and, where the store notifies, on others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::execution::ExecutionId;

type Watched = Arc<Mutex<HashMap<ExecutionId, Arc<Notify>>>>;

/// The waits of a process for changes.
#[derive(Default)]
pub(super) struct Changes {
    any: Notify,
    watched: Watched,
}

/// A wait for changes of one execution.
pub(super) struct Watcher {
    id: ExecutionId,
    notify: Arc<Notify>,
    watched: Watched,
}

impl Watcher {
    /// Ready when something has happened to it since the call.
    pub(super) fn change(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watched = lock(&self.watched);
        // The map's and this one's.
        if Arc::strong_count(&self.notify) == 2 {
            watched.remove(&self.id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Changes {
    pub(super) fn watch(&self, id: ExecutionId) -> Watcher {
        let notify = Arc::clone(lock(&self.watched).entry(id).or_default());
        Watcher { id, notify, watched: Arc::clone(&self.watched) }
    }

    /// Ready when something has happened to an execution since the call, wherever it runs.
    pub(super) fn any(&self) -> Notified<'_> {
        self.any.notified()
    }

    /// Something has happened to an execution, wherever it runs.
    pub(super) fn notify(&self, id: ExecutionId) {
        if let Some(watched) = lock(&self.watched).get(&id) {
            watched.notify_waiters();
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
            watched.notify_waiters();
        }
    }
}
