//! `Reject`: an item that a step went on without, as it is written to the step's reject output.

use serde::Serialize;

use crate::execution::SkipPhase;
use crate::item::ErrorKind;

/// An item that a step went on without: the item of [`rejects`](crate::step::ChunkStepBuilder::rejects). Its fields are
/// flat, so any format can write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reject {
    /// The phase that failed: `READ`, `PROCESS` or `WRITE`.
    pub phase: &'static str,
    /// The kind of the error: `parse`, `validation`, `transient`, `constraint`, `other`, or the author's own.
    pub kind: &'static str,
    /// The file in which the item stands, where it is known.
    pub file: Option<String>,
    /// The line of the file on which it begins, where it is known; the first is 1.
    pub line: Option<u64>,
    /// Its position in the file, or in another source: `line 17`.
    pub position: Option<String>,
    /// The raw text of an item that could not be read, or the JSON of one that was read; long text is cut.
    pub item: Option<String>,
    /// The error, with its causes.
    pub error: String,
}

impl Reject {
    pub(crate) fn new(phase: SkipPhase, kind: ErrorKind, error: String) -> Self {
        let kind = match kind {
            ErrorKind::Parse => "parse",
            ErrorKind::Validation => "validation",
            ErrorKind::Transient => "transient",
            ErrorKind::Constraint => "constraint",
            ErrorKind::Other => "other",
            ErrorKind::Custom(name) => name,
        };
        Self { phase: phase.as_str(), kind, file: None, line: None, position: None, item: None, error }
    }
}
