//! The runtime of an execution: where the author's code runs that belongs to no step, as long as the execution lasts.

use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::author_thread;
use crate::execution::ExecutionId;

/// A runtime on a thread of its own. The thread starts when it is first used, and ends with the execution.
pub(crate) struct ExecutionRuntime {
    execution_id: ExecutionId,
    started: Mutex<Option<Started>>,
}

struct Started {
    handle: Handle,
    _end: DropGuard,
}

impl ExecutionRuntime {
    pub(crate) fn new(execution_id: ExecutionId) -> Self {
        Self { execution_id, started: Mutex::new(None) }
    }

    /// The runtime.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Started { handle, .. }) = &*started {
            return Ok(handle.clone());
        }
        let end = CancellationToken::new();
        let ended = end.clone();
        let name = format!("job-{}", self.execution_id);
        let body = move |runtime: &tokio::runtime::Runtime| runtime.block_on(ended.cancelled());
        let handle = author_thread::start_runtime(name, body)?;
        *started = Some(Started { handle: handle.clone(), _end: end.drop_guard() });
        Ok(handle)
    }
}
