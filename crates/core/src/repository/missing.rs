//! The words for things that a caller names and that are not there: the command line and the HTTP interface use them
//! alike.

use std::fmt;

/// A kind of thing that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// A job of the registry.
    Job,
    /// A job execution.
    Execution,
    /// A job instance.
    Instance,
    /// A step execution.
    StepExecution,
    /// A node that has not ended.
    Node,
    /// A schedule.
    Schedule,
    /// A fire of a schedule.
    Fire,
    /// A backfill.
    Backfill,
    /// A channel of notices.
    Channel,
    /// Bulk work.
    Bulk,
    /// A notice.
    Notice,
}

impl Missing {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Job,
        Self::Execution,
        Self::Instance,
        Self::StepExecution,
        Self::Node,
        Self::Schedule,
        Self::Fire,
        Self::Backfill,
        Self::Channel,
        Self::Bulk,
        Self::Notice,
    ];

    /// The words as a fragment, and as a sentence of its own.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Job => ("job not found", "Job not found"),
            Self::Execution => ("execution not found", "Execution not found"),
            Self::Instance => ("instance not found", "Instance not found"),
            Self::StepExecution => ("step execution not found", "Step execution not found"),
            Self::Node => ("node not found", "Node not found"),
            Self::Schedule => ("schedule not found", "Schedule not found"),
            Self::Fire => ("fire not found", "Fire not found"),
            Self::Backfill => ("backfill not found", "Backfill not found"),
            Self::Channel => ("channel not found", "Channel not found"),
            Self::Bulk => ("bulk not found", "Bulk not found"),
            Self::Notice => ("notice not found", "Notice not found"),
        }
    }

    /// The words as a sentence of its own, such as "Job not found".
    pub const fn sentence(self) -> &'static str {
        self.words().1
    }
}

/// The words as a fragment, behind which the culprit is named.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().0)
    }
}
