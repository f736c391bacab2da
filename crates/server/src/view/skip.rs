//! An item that a step went on without.

use oxbatch_core::execution::{SkipPhase, StoredSkip};
use serde::Serialize;
use utoipa::ToSchema;

use super::value::time;

/// The phase in which an item failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SkipPhase)]
#[serde(rename_all = "UPPERCASE")]
pub enum SkipPhaseView {
    /// It could not be read.
    Read,
    /// It could not be processed.
    Process,
    /// Its output could not be written.
    Write,
}

/// An item that a step went on without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SkippedItem)]
pub struct SkipView {
    #[schema(minimum = 1)]
    pub(crate) id: i64,
    #[schema(minimum = 1)]
    pub(crate) step_execution_id: i64,
    pub(crate) phase: SkipPhaseView,
    /// Its position in the source: a line, a key.
    #[schema(required)]
    pub(crate) position: Option<String>,
    /// The item that was read, as JSON, or its raw text where it could not be read.
    #[schema(required)]
    pub(crate) item: Option<String>,
    /// `true` if that is all of it: one that was cut cannot be run again.
    pub(crate) complete: bool,
    /// The execution that has run it again; null while nobody has.
    #[schema(minimum = 1, required)]
    pub(crate) rerun_execution_id: Option<i64>,
    /// The error.
    pub(crate) error: String,
    /// The moment at which its chunk was committed.
    #[schema(format = DateTime)]
    pub(crate) create_time: String,
}

impl From<SkipPhase> for SkipPhaseView {
    fn from(phase: SkipPhase) -> Self {
        match phase {
            SkipPhase::Read => Self::Read,
            SkipPhase::Process => Self::Process,
            SkipPhase::Write => Self::Write,
        }
    }
}

impl From<StoredSkip> for SkipView {
    fn from(skip: StoredSkip) -> Self {
        Self {
            id: skip.id,
            step_execution_id: skip.step_id.0,
            phase: skip.item.phase.into(),
            position: skip.item.position,
            item: skip.item.item,
            complete: skip.item.complete,
            rerun_execution_id: skip.rerun_execution_id.map(|id| id.0),
            error: skip.item.error,
            create_time: time(skip.time),
        }
    }
}
