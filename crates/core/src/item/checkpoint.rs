//! What a reader or writer saves to resume from: a small JSON value.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::ItemError;

/// A saved position, kept as JSON text so that a commit costs no tree of values.
#[derive(Debug, Clone)]
pub struct Checkpoint(Box<RawValue>);

impl Checkpoint {
    /// Saves a position.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn new(position: &impl Serialize) -> Result<Self, ItemError> {
        Ok(Self(serde_json::value::to_raw_value(position)?))
    }

    /// The saved position.
    ///
    /// # Errors
    /// When it was saved by something else: the step's reader or writer was changed between two attempts.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ItemError> {
        serde_json::from_str(self.0.get()).map_err(|error| {
            ItemError::other(format!(
                "checkpoint {} does not fit this reader or writer ({error}); was the step changed since its last attempt? launch with force to start anew",
                self.0
            ))
        })
    }

    /// The position as JSON.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    pub(super) fn into_raw(self) -> Box<RawValue> {
        self.0
    }

    pub(crate) fn from_raw(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}
