//! The question whether there has ever been a token: asked of the store until there is one, and then settled for good.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use oxbatch_core::repository::{JobRepository, RepositoryError};

/// The time for which the answer that there is none is kept.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The knowledge of whether there has ever been a token.
#[derive(Debug, Default)]
pub(crate) struct TokensExist {
    exist: AtomicBool,
    /// When there was none last.
    none_at: Mutex<Option<Instant>>,
}

impl TokensExist {
    /// Returns whether there has ever been one. While the store does not answer, its last answer holds.
    pub(crate) async fn ask(&self, repository: &dyn JobRepository) -> Result<bool, RepositoryError> {
        if self.exist.load(Ordering::Acquire) {
            return Ok(true);
        }
        let known = *self.none_at.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|known| known.elapsed() < ASK_EVERY) {
            return Ok(false);
        }
        match repository.has_tokens().await {
            Ok(true) => {
                self.exist.store(true, Ordering::Release);
                Ok(true)
            }
            Err(error) if known.is_none() => Err(error),
            Ok(false) | Err(_) => {
                *self.none_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                Ok(false)
            }
        }
    }
}
