//! The runtime of an execution: where the author's code runs that belongs to no step, as long as the execution lasts.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::error_span;

use super::shared_values::SharedValues;
use crate::author_thread;
use crate::execution::ExecutionId;
use crate::log::{LogWriter, attached};

/// A runtime on a thread of its own, and the values that the steps of the execution share. The thread starts when it is
/// first used, and ends with the execution.
pub(crate) struct ExecutionRuntime {
    job_name: String,
    execution_id: ExecutionId,
    log: Option<LogWriter>,
    state: Mutex<State>,
    values: Arc<SharedValues>,
}

enum State {
    Unused,
    Started { handle: Handle, _end: DropGuard },
    Ended,
}

impl ExecutionRuntime {
    pub(crate) fn new(job_name: &str, execution_id: ExecutionId, log: Option<LogWriter>) -> Self {
        let (state, values) = (Mutex::new(State::Unused), Arc::default());
        Self { job_name: job_name.to_owned(), execution_id, log, state, values }
    }

    pub(super) fn values(&self) -> &Arc<SharedValues> {
        &self.values
    }

    /// The runtime.
    ///
    /// # Errors
    /// When no thread can be started, or the execution has ended.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Unused => {}
            State::Started { handle, .. } => return Ok(handle.clone()),
            State::Ended => return Err(io::Error::other("the execution has ended, and its runtime with it")),
        }
        let (end, values) = (CancellationToken::new(), Arc::clone(&self.values));
        let ended = end.clone();
        let body = move |runtime: &tokio::runtime::Runtime| {
            runtime.block_on(ended.cancelled());
            // Within the runtime on which they were built.
            let _entered = runtime.enter();
            values.clear();
        };
        let make = || error_span!(parent: None, "job", job.name = self.job_name, execution.id = self.execution_id.0);
        let span = match &self.log {
            Some(log) => attached(log.clone(), make),
            None => make(),
        };
        let name = format!("job-{}", self.execution_id);
        let handle = span.in_scope(|| author_thread::start_runtime(name, body))?;
        *state = State::Started { handle: handle.clone(), _end: end.drop_guard() };
        Ok(handle)
    }

    /// Ends the runtime and drops the shared values, on its own thread. Nobody waits for it.
    pub(crate) fn end(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Ended;
    }
}
