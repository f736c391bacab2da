//! `Syncer`: makes durable what a processor's checkpoints count on, while the processor is at work elsewhere.

use std::fmt;
use std::sync::Arc;

use super::ItemError;

/// Makes durable what the checkpoints of a processor count on. It is called on the thread that saves; the processor may
/// be on another one and some chunks ahead.
#[derive(Clone)]
pub struct Syncer(Arc<dyn Fn() -> Result<(), ItemError> + Send + Sync>);

impl Syncer {
    /// One that calls a function.
    pub fn new(sync: impl Fn() -> Result<(), ItemError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(sync))
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// When it may not be: then nothing that counts on it is saved.
    pub fn sync(&self) -> Result<(), ItemError> {
        (self.0)()
    }

    /// One that calls all of them in turn; `None` where there are none.
    pub fn of_all(syncers: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut syncers: Vec<Self> = syncers.into_iter().collect();
        match syncers.len() {
            0 | 1 => syncers.pop(),
            _ => Some(Self::new(move || syncers.iter().try_for_each(Self::sync))),
        }
    }
}

impl fmt::Debug for Syncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Syncer")
    }
}
