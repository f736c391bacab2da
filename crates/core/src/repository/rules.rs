//! The decisions of the repository as pure functions: a backend reads facts, asks here, and writes the verdict.

pub mod access;
pub mod bulk;
pub mod channels;
pub mod context;
pub mod finish;
pub mod flow;
pub mod joined;
pub mod launch;
pub mod list;
pub mod purge;
pub mod recover;
pub mod rerun;
pub mod step;
pub mod time;
pub mod wait;

use super::RepositoryError;
use crate::execution::IllegalTransition;

/// A transition that the caller knows to be possible; anything else is a defect, and refused.
fn corrupt(transition: IllegalTransition) -> RepositoryError {
    RepositoryError::Corrupt { what: "status".to_owned(), source: Box::new(transition) }
}
