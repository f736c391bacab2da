//! What a preview of a step shows, and what its body gets to run one.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::context::StepContext;
use crate::execution::SkipPhase;

/// One of the first items of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewedItem {
    /// The item as it was read, as JSON; `None` where it could not be read.
    pub input: Option<Value>,
    /// What became of it.
    pub outcome: PreviewOutcome,
}

/// What became of a previewed item.
#[derive(Debug, Clone, PartialEq)]
pub enum PreviewOutcome {
    /// The output that would be written, as JSON.
    Output(Value),
    /// The processor leaves it out.
    Filtered,
    /// It cannot be read or processed.
    Failed {
        /// Where it failed.
        phase: SkipPhase,
        /// Where it stands in the source.
        position: Option<String>,
        /// Its raw text, where that is known.
        raw: Option<String>,
        /// Why, with its causes.
        error: String,
    },
}

/// Whether a preview has seen the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadToEnd {
    Yes,
    No,
}

/// What a body gets to run a preview.
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
