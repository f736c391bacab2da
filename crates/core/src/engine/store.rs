//! The state of the store as a node knows it: writable, not writable, or gone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::execution::cause_chain;
use crate::repository::RepositoryError;

/// Heartbeats that may be missed before the node says that it is not ready.
const MISSED_HEARTBEATS: u32 = 2;
/// Least time before a heartbeat that is only slow counts as missed.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// The reason why a node cannot take work now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// It has begun to shut down.
    #[error("the service is shutting down")]
    ShuttingDown,
    /// The store is gone.
    #[error("{problem}")]
    StoreGone {
        /// The error that it reported.
        problem: String,
    },
    /// Nothing can be written to the store.
    #[error("nothing can be written to the job repository")]
    NotWritten {
        /// The error of the last heartbeat, for the log.
        cause: String,
    },
}

/// The state of the store, as the heartbeats find it.
pub(super) struct StoreHealth {
    state: Mutex<State>,
    gone: CancellationToken,
}

struct State {
    /// When a heartbeat was last written down.
    written: Instant,
    /// The error of the last heartbeat, if it failed.
    failure: Option<String>,
    /// The error of the store, once it is gone.
    gone: Option<String>,
}

impl StoreHealth {
    pub(super) fn new() -> Self {
        let state = State { written: Instant::now(), failure: None, gone: None };
        Self { state: Mutex::new(state), gone: CancellationToken::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A heartbeat was written down.
    pub(super) fn written(&self) {
        let mut state = self.state();
        state.written = Instant::now();
        state.failure = None;
    }

    /// A heartbeat has failed.
    pub(super) fn failed(&self, error: &RepositoryError) {
        self.state().failure = Some(cause_chain(error));
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state().failure.is_some()
    }

    /// The error of the store, once it is gone.
    pub(super) fn gone(&self) -> Option<String> {
        self.state().gone.clone()
    }

    /// `true` if the store is gone, or nothing can be written to it.
    pub(super) fn check(&self, heartbeat_every: Duration) -> Result<(), NotReady> {
        let patience = (heartbeat_every * MISSED_HEARTBEATS).max(LEAST_PATIENCE);
        let state = self.state();
        if let Some(problem) = state.gone.clone() {
            return Err(NotReady::StoreGone { problem });
        }
        if let Some(cause) = state.failure.clone() {
            return Err(NotReady::NotWritten { cause });
        }
        match state.written.elapsed() {
            since if since > patience => {
                Err(NotReady::NotWritten { cause: format!("no heartbeat was written for {since:.0?}") })
            }
            _ => Ok(()),
        }
    }

    /// Takes note that the store is gone; whether that was new.
    pub(super) fn set_gone(&self, problem: String) -> bool {
        let mut state = self.state();
        let is_new = state.gone.is_none();
        state.gone.get_or_insert(problem);
        drop(state);
        self.gone.cancel();
        is_new
    }

    /// Waits until the store is gone, and says what became of it.
    pub(super) async fn until_gone(&self) -> RepositoryError {
        self.gone.cancelled().await;
        RepositoryError::Gone { problem: self.gone().unwrap_or_default() }
    }
}
