//! Facts of a flow that are persisted: the elements that have ended, the transitions that were taken, the main result.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{ControlTotals, Counters, ExecutionContext, ExecutionId, Status, StepExecutionId};

/// Exit code of a chunk step that has skipped items, see [`exit_codes`](crate::step::exit_codes).
pub const EXIT_COMPLETED_WITH_SKIPS: &str = "COMPLETED_WITH_SKIPS";
/// Exit code of an execution whose main part was COMPLETED and whose `finally` failed.
pub const EXIT_FINALLY_FAILED: &str = "FINALLY_FAILED";

/// The transition behind an element: to another one, or to an end of the execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// To another element.
    To {
        /// Its name.
        element: String,
    },
    /// The execution is COMPLETED.
    End {
        /// Its exit code; `None` for that of the element.
        exit_code: Option<String>,
    },
    /// The execution is FAILED.
    Fail {
        /// Its exit code; `None` for the name of the status.
        exit_code: Option<String>,
    },
    /// The execution is STOPPED.
    Stop {
        /// Its exit code; `None` for the name of the status.
        exit_code: Option<String>,
        /// The element at which a restart goes on; `None` for the one behind, by the default way.
        restart_at: Option<String>,
    },
}

/// The kind of a [`Taken`] transition, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenKind {
    /// [`Taken::To`].
    To,
    /// [`Taken::End`].
    End,
    /// [`Taken::Fail`].
    Fail,
    /// [`Taken::Stop`].
    Stop,
}

impl TakenKind {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::To => "TO",
            Self::End => "END",
            Self::Fail => "FAIL",
            Self::Stop => "STOP",
        }
    }
}

/// A text that is no transition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{kind}' with target {target:?} is no transition")]
pub struct UnknownTransition {
    /// The stored kind.
    pub kind: String,
    /// The stored target.
    pub target: Option<String>,
}

impl Taken {
    /// Its kind.
    pub const fn kind(&self) -> TakenKind {
        match self {
            Self::To { .. } => TakenKind::To,
            Self::End { .. } => TakenKind::End,
            Self::Fail { .. } => TakenKind::Fail,
            Self::Stop { .. } => TakenKind::Stop,
        }
    }

    /// The element to which it leads, now or at a restart.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::To { element } => Some(element),
            Self::Stop { restart_at, .. } => restart_at.as_deref(),
            Self::End { .. } | Self::Fail { .. } => None,
        }
    }

    /// The exit code that it gives to the execution.
    pub fn exit_code(&self) -> Option<&str> {
        match self {
            Self::End { exit_code } | Self::Fail { exit_code } | Self::Stop { exit_code, .. } => exit_code.as_deref(),
            Self::To { .. } => None,
        }
    }

    /// The transition that was stored as these three.
    ///
    /// # Errors
    /// They are none.
    pub fn from_stored(
        kind: &str,
        target: Option<String>,
        exit_code: Option<String>,
    ) -> Result<Self, UnknownTransition> {
        match (kind, target) {
            ("TO", Some(element)) => Ok(Self::To { element }),
            ("END", None) => Ok(Self::End { exit_code }),
            ("FAIL", None) => Ok(Self::Fail { exit_code }),
            ("STOP", restart_at) => Ok(Self::Stop { exit_code, restart_at }),
            (kind, target) => Err(UnknownTransition { kind: kind.to_owned(), target }),
        }
    }

    /// Returns whether the execution has ended by it.
    pub const fn is_end(&self) -> bool {
        !matches!(self, Self::To { .. })
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To { element } => write!(f, "to '{element}'"),
            Self::End { .. } => f.write_str("end"),
            Self::Fail { .. } => f.write_str("fail"),
            Self::Stop { .. } => f.write_str("stop"),
        }?;
        self.exit_code().map_or(Ok(()), |code| write!(f, " with exit code '{code}'"))
    }
}

/// An entry of the flow history: an element that has ended, and the transition that was taken behind it.
///
/// The entries of an instance since its last forced launch are numbered from 0, in the order in which the elements
/// ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowEntry {
    /// Its place in the history.
    pub position: u32,
    /// Name of the element.
    pub element: String,
    /// Number of the round of a cycle, from 1.
    pub iteration: u32,
    /// Execution that recorded it.
    pub execution_id: ExecutionId,
    /// Step execution that ended; `None` for a decider.
    pub step_id: Option<StepExecutionId>,
    /// COMPLETED, or FAILED.
    pub status: Status,
    /// Exit code.
    pub exit_code: String,
    /// The transition.
    pub taken: Taken,
}

/// The result of the main part of an execution, stored before its `finally` begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MainResult {
    /// Execution that came to it; others only go on with its `finally`.
    pub execution_id: ExecutionId,
    /// COMPLETED or FAILED.
    pub status: Status,
    /// Exit code; `None` for the name of the status.
    pub exit_code: Option<String>,
    /// Message on the end of the main part.
    pub exit_message: Option<String>,
    /// The running time at which it came to it: what follows has a time limit of its own.
    pub running: Duration,
}

/// A step as its job's later elements see it: summed over all attempts since the last forced launch.
#[derive(Debug, Clone, PartialEq)]
pub struct StepSummary {
    /// Name of the step.
    pub step_name: String,
    /// Number of the round of a cycle, from 1.
    pub iteration: u32,
    /// The last attempt.
    pub step_id: StepExecutionId,
    /// Status of the last attempt.
    pub status: Status,
    /// Exit code of the last attempt; `None` while it runs.
    pub exit_code: Option<String>,
    /// Message on the end of the last attempt.
    pub exit_message: Option<String>,
    /// Sums of the counters of all attempts of this iteration.
    pub counters: Counters,
    /// Control totals, which each attempt takes over from the one before.
    pub control_totals: ControlTotals,
    /// Entries of the step's own context.
    pub context: ExecutionContext,
}

/// The steps that an instance has run since its last forced launch, by name: of each the round that was passed last in
/// the execution, else its latest.
pub type StepSummaries = BTreeMap<String, StepSummary>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_is_stored_and_read_as_it_was() {
        let code = || Some("CODE".to_owned());
        for taken in [
            Taken::To { element: "B".to_owned() },
            Taken::End { exit_code: None },
            Taken::End { exit_code: code() },
            Taken::Fail { exit_code: code() },
            Taken::Stop { exit_code: code(), restart_at: None },
            Taken::Stop { exit_code: None, restart_at: Some("B".to_owned()) },
        ] {
            let (target, exit_code) = (taken.target().map(str::to_owned), taken.exit_code().map(str::to_owned));
            assert_eq!(Taken::from_stored(taken.kind().as_str(), target, exit_code), Ok(taken));
        }
        assert!(Taken::from_stored("TO", None, None).is_err());
        assert!(Taken::from_stored("GO", None, None).unwrap_err().to_string().contains("'GO'"));
    }
}
