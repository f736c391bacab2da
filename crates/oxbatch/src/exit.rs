//! The exit codes of the command line: what a script may rely on.

use std::fmt::Write as _;
use std::process::ExitCode;

use oxbatch_core::Status;

/// The end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command did what it was asked; the job is COMPLETED.
    Completed,
    /// The job FAILED.
    Failed,
    /// Wrong usage: a flag, a setting, a parameter, an unknown job or execution.
    Usage,
    /// The job was STOPPED, or is STOPPING at the request of this program.
    Stopped,
    /// Refused: already running, abandoned, or in a status that forbids it.
    Refused,
    /// The database cannot be used, or the service cannot start.
    Unusable,
    /// The time to wait was over before it happened.
    TimedOut,
    /// A second signal ended the program at once.
    Interrupted,
    /// The job has ended, and gives the process this code for its exit code.
    OfJob(u8),
}

impl Exit {
    /// Every code but those that jobs give, in the order of their numbers.
    pub(crate) const ALL: [Self; 8] = [
        Self::Completed,
        Self::Failed,
        Self::Usage,
        Self::Stopped,
        Self::Refused,
        Self::Unusable,
        Self::TimedOut,
        Self::Interrupted,
    ];

    /// The number that the caller sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Failed => 1,
            // The number that clap uses for its own usage errors.
            Self::Usage => 2,
            Self::Stopped => 3,
            Self::Refused => 4,
            Self::Unusable => 5,
            Self::TimedOut => 6,
            // What a shell reports for a program that SIGINT has ended.
            Self::Interrupted => 130,
            Self::OfJob(code) => code,
        }
    }

    /// The meaning of the number, for `--help`.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Completed => "done; the job is COMPLETED",
            Self::Failed => "the job FAILED",
            Self::Usage => "wrong flag, setting or parameter; unknown job or execution",
            Self::Stopped => "the job was STOPPED; run it again to resume it",
            Self::Refused => "refused: already running, abandoned, or its status forbids it",
            Self::Unusable => "the database cannot be used, or the service cannot start",
            Self::TimedOut => "the time to wait was over",
            Self::Interrupted => "ended at once by a second signal",
            Self::OfJob(_) => "the job's own, for its exit code",
        }
    }

    /// The code for the end of an execution.
    pub(crate) const fn of(status: Status) -> Self {
        match status {
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Stopped | Status::Stopping => Self::Stopped,
            Status::Abandoned => Self::Refused,
            // Another process took it over and still runs it.
            Status::Starting | Status::Started => Self::TimedOut,
        }
    }

    /// The code for the end of an execution whose job gives a code of `its_own` for it, or none.
    pub(crate) fn of_job(status: Status, its_own: Option<u8>) -> Self {
        match its_own {
            Some(code) if !status.is_running() => Self::OfJob(code),
            _ => Self::of(status),
        }
    }

    /// The table of codes under `--help`.
    pub(crate) fn table() -> String {
        let mut text = String::from("Exit codes:");
        for exit in Self::ALL {
            // Writing into a string cannot fail.
            let _ = write!(text, "\n  {:>3}  {}", exit.code(), exit.meaning());
        }
        text.push_str("\nA job may give codes of its own for its exit codes ('jobs NAME' shows them).");
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_outcomes_share_a_code() {
        let codes: std::collections::BTreeSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
    }

    #[test]
    fn a_code_of_the_job_is_that_of_an_end_alone() {
        for status in Status::ALL {
            let exit = Exit::of_job(status, Some(42));
            assert_eq!(exit.code() == 42, !status.is_running(), "{status}");
            assert_eq!(Exit::of_job(status, None), Exit::of(status));
        }
    }

    #[test]
    fn the_docs_list_every_code_with_its_meaning() {
        let docs = include_str!("../../../docs/OPERATIONS.md");
        for exit in Exit::ALL {
            let row = format!("| {} | {} |", exit.code(), exit.meaning());
            assert!(docs.contains(&row), "docs/OPERATIONS.md lacks {row}");
        }
    }
}
