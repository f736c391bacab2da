//! The items that a preview of a step shows, and the input of its body.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::context::StepContext;
use crate::execution::SkipPhase;

/// One of the first items of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewedItem {
    /// The item as it was read, as JSON; `None` where it could not be read.
    pub input: Option<Value>,
    /// The outcome.
    pub outcome: PreviewOutcome,
}

/// The outcome of a previewed item.
#[derive(Debug, Clone, PartialEq)]
pub enum PreviewOutcome {
    /// The output that would be written, as JSON.
    Output(Value),
    /// The processor leaves it out.
    Filtered,
    /// It cannot be read or processed.
    Failed {
        /// The phase in which it failed.
        phase: SkipPhase,
        /// The position in the source.
        position: Option<String>,
        /// Its raw text, where that is known.
        raw: Option<String>,
        /// The error with its causes.
        error: String,
    },
}

/// True if a preview has seen the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadToEnd {
    Yes,
    No,
}

/// The input of a body for a preview.
#[derive(Clone)]
pub(crate) struct PreviewRun {
    pub(crate) context: StepContext,
    /// Most items.
    pub(crate) items: usize,
    /// Filled item by item: what is in it can be shown though the step hangs.
    pub(crate) seen: Arc<Mutex<Vec<PreviewedItem>>>,
}

impl PreviewRun {
    pub(crate) fn show(&self, item: PreviewedItem) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(item);
    }
}
