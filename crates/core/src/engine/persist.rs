//! Retries of repository calls, with a back-off, until they are durable or no longer this node's to do.

use std::future::Future;
use std::time::Duration;

use super::state::EngineState;
use crate::repository::RepositoryError;

/// First back-off before a record that failed is tried again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A node that closes gives up once it has waited this long at a time.
const GIVE_UP_WHEN_CLOSING: Duration = Duration::from_millis(500);
/// Attempts to begin something with an error that no wait mends. The record of an end is never given up.
const HOPELESS_ATTEMPTS: u32 = 5;

/// Repeats what a repository does as long as its error may pass: a full disk, a busy or absent database.
///
/// # Errors
/// When the lease is lost, the store is gone, the error does not pass, or the node closes while it lasts.
pub(super) async fn persist<T, F, A>(state: &EngineState, doing: &'static str, attempt: A) -> Result<T, RepositoryError>
where
    A: Fn() -> F,
    F: Future<Output = Result<T, RepositoryError>>,
{
    repeat(state, doing, HOPELESS_ATTEMPTS, attempt).await
}

/// Records an end: repeated whatever the error is, since an execution whose end is not recorded would be running for
/// ever.
///
/// # Errors
/// When the lease is lost, the store is gone, or the node closes while the error lasts; then the next start recovers
/// the execution.
pub(super) async fn persist_end<T, F, A>(
    state: &EngineState,
    doing: &'static str,
    attempt: A,
) -> Result<T, RepositoryError>
where
    A: Fn() -> F,
    F: Future<Output = Result<T, RepositoryError>>,
{
    repeat(state, doing, u32::MAX, attempt).await
}

async fn repeat<T, F, A>(state: &EngineState, doing: &'static str, most: u32, attempt: A) -> Result<T, RepositoryError>
where
    A: Fn() -> F,
    F: Future<Output = Result<T, RepositoryError>>,
{
    let mut pause = FIRST_PAUSE;
    let mut hopeless = 0_u32;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error @ (RepositoryError::LeaseLost { .. } | RepositoryError::Refused { .. })) => return Err(error),
            Err(error) => error,
        };
        state.report_trouble(doing, &error);
        if error.is_gone() {
            return Err(error);
        }
        hopeless = hopeless.saturating_add(u32::from(!error.is_transient()));
        let closing_for_long = state.local.closing.is_cancelled() && pause > GIVE_UP_WHEN_CLOSING;
        if hopeless >= most || closing_for_long {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
