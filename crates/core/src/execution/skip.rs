//! A skipped item: what is kept of an item that could not be handled and that the step went on without.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::{ExecutionId, StepExecutionId};

/// Longest kept text of a skipped item, and of its error, in bytes.
pub const MAX_SKIPPED_BYTES: usize = 16 * 1024;

/// Where an item failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipPhase {
    /// It could not be read.
    Read,
    /// It could not be processed.
    Process,
    /// Its output could not be written.
    Write,
}

impl SkipPhase {
    /// Every phase.
    pub const ALL: [Self; 3] = [Self::Read, Self::Process, Self::Write];

    /// The phase as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Process => "PROCESS",
            Self::Write => "WRITE",
        }
    }
}

impl fmt::Display for SkipPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no phase of a skip")]
pub struct UnknownSkipPhase {
    /// The text.
    pub text: String,
}

impl FromStr for SkipPhase {
    type Err = UnknownSkipPhase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        found.ok_or_else(|| UnknownSkipPhase { text: text.to_owned() })
    }
}

/// An item that was skipped, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedItem {
    /// Where it failed.
    pub phase: SkipPhase,
    /// Where it stands in the source: a file and line, a key.
    pub position: Option<String>,
    /// The item that was read, as JSON, or its raw text where it could not be read.
    pub item: Option<String>,
    /// `true` if `item` is all of it: nothing was cut or replaced, so it can be read back.
    pub complete: bool,
    /// Why it failed, with its causes.
    pub error: String,
}

impl SkippedItem {
    /// Keeps an item; long text is cut.
    pub fn new(phase: SkipPhase, position: Option<String>, item: Option<String>, error: String) -> Self {
        let complete = item.as_deref().is_some_and(|text| text.len() <= MAX_SKIPPED_BYTES && !text.contains('\0'));
        Self { phase, position, item: item.map(cut), complete, error: cut(error) }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_SKIPPED_BYTES {
        text.truncate(text.floor_char_boundary(MAX_SKIPPED_BYTES));
        text.push('…');
    }
    // A database's text holds none.
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// A skipped item as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSkip {
    /// Id of the row; grows with time.
    pub id: i64,
    /// The step execution that skipped it.
    pub step_id: StepExecutionId,
    /// When its chunk was committed.
    pub time: Timestamp,
    /// The item.
    pub item: SkippedItem,
    /// The execution that has run it again; what became of it there is reported there.
    pub rerun_execution_id: Option<ExecutionId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_reads_back_from_its_text() {
        for phase in SkipPhase::ALL {
            assert_eq!(phase.as_str().parse(), Ok(phase));
        }
        assert!("read".parse::<SkipPhase>().is_err());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let item = SkippedItem::new(SkipPhase::Read, None, Some("ß".repeat(MAX_SKIPPED_BYTES)), "a\0b".to_owned());
        assert!(!item.complete);
        assert!(item.item.unwrap().len() <= MAX_SKIPPED_BYTES + 3);
        assert_eq!(item.error, "a\u{fffd}b");
    }
}
