//! The audit log of commands that work on the database itself: each change is written down before it is made.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use oxbatch_core::repository::{AuditId, JobRepository, NewAuditEntry, RepositoryError};
use tokio_util::sync::CancellationToken;

/// Time between two removals of old entries.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Entries that one transaction removes.
const PRUNED_AT_ONCE: u32 = 500;
/// The pause between two of them.
const PRUNE_PAUSE: Duration = Duration::from_millis(50);

/// The change of this run of the program.
#[derive(Default)]
pub(crate) struct Trail {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    about: Option<(&'static str, String)>,
    begun: Option<(Arc<dyn JobRepository>, AuditId)>,
}

impl Trail {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which change is about to be made, and to what. Parameters are no part of it: they may be secret.
    pub(crate) fn about(&self, action: &'static str, object: impl Into<String>) {
        self.state().about = Some((action, object.into()));
    }

    /// Writes the change down, now that its database is open.
    pub(crate) async fn begin(&self, repository: &Arc<dyn JobRepository>) -> Result<(), RepositoryError> {
        let Some((action, object)) = self.state().about.take() else { return Ok(()) };
        let entry = NewAuditEntry {
            time: Timestamp::now(),
            token_id: None,
            who: format!("local {}", crate::user::name()),
            address: None,
            action: action.to_owned(),
            object,
        };
        let id = repository.begin_audit(entry).await?;
        self.state().begun = Some((Arc::clone(repository), id));
        Ok(())
    }

    /// Writes down what came of it, unless that is written already.
    pub(crate) async fn end(&self, outcome: String) {
        let begun = self.state().begun.take();
        let Some((repository, id)) = begun else { return };
        if let Err(error) = repository.end_audit(id, outcome).await {
            tracing::debug!(audit.id = id.0, %error, "the outcome of the command is not in the audit log");
        }
    }
}

/// Removes entries that are older than `retention`, again and again, until the service ends.
pub(crate) async fn prune(repository: Arc<dyn JobRepository>, retention: Duration, shutdown: CancellationToken) {
    loop {
        let age = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
        let before = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
        let pause = match repository.prune_audit(before, PRUNED_AT_ONCE).await {
            Ok(0) => PRUNE_EVERY,
            Ok(_) => PRUNE_PAUSE,
            Err(error) => {
                tracing::warn!(%error, "old entries of the audit log could not be removed");
                PRUNE_EVERY
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
