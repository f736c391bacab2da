//! The job's context: how much of it may be stored.

use crate::execution::{ContextError, MAX_CONTEXT_BYTES};

/// Refuses a context that has become too large with the entries that other steps have set.
///
/// # Errors
/// [`ContextError::TooLarge`].
pub fn check_stored(bytes: i64) -> Result<(), ContextError> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if bytes > MAX_CONTEXT_BYTES { Err(ContextError::TooLarge { bytes }) } else { Ok(()) }
}
