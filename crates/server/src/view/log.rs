//! A line of the log of an execution.

use oxbatch_core::log::{KeptLine, LogLine};
use serde::Serialize;

/// A line of the log of an execution, with the position behind it.
#[derive(Debug, Clone, Serialize)]
pub struct LogLineView<'a> {
    position: String,
    #[serde(flatten)]
    line: &'a LogLine,
}

impl<'a> LogLineView<'a> {
    /// The shape of a line.
    pub fn new(kept: &'a KeptLine) -> Self {
        Self { position: kept.position.to_string(), line: &kept.line }
    }

    /// The line as JSON, without an end of line.
    pub fn to_json(&self) -> String {
        // A shape of texts and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}
