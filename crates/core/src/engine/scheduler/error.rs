//! The refusals of those who see to schedules.

use jiff::Timestamp;

use crate::repository::{BackfillId, FireId, FireOutcome, LaunchError, Missing, PauseScope, RepositoryError};
use crate::schedule::ScheduleError;

/// The refusals of a [`Scheduler`](super::Scheduler).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// There is no such schedule.
    #[error("{}: '{name}'", Missing::Schedule)]
    UnknownSchedule {
        /// Its name.
        name: String,
    },
    /// There is no such job.
    #[error("{what}: '{name}'")]
    UnknownJob {
        /// The words for it.
        what: Missing,
        /// Its name.
        name: String,
    },
    /// There is no such fire.
    #[error("{}: {id}", Missing::Fire)]
    UnknownFire {
        /// Its id.
        id: FireId,
    },
    /// There is no such backfill.
    #[error("{}: {id}", Missing::Backfill)]
    UnknownBackfill {
        /// Its id.
        id: BackfillId,
    },
    /// The schedule is none, or does not fit its job.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The schedule stands in the code of its job.
    #[error("schedule '{name}' stands in the code of its job: change it there, or pause it")]
    InCode {
        /// Its name.
        name: String,
    },
    /// Another schedule has the name.
    #[error("schedule '{name}' is one of job '{job_name}': choose another name")]
    NameTaken {
        /// The name.
        name: String,
        /// The job of the other one.
        job_name: String,
    },
    /// Somebody has changed the schedule at the same moment.
    #[error("schedule '{name}' was changed by somebody else in the same moment: list it again")]
    Changed {
        /// Its name.
        name: String,
    },
    /// A pause without a reason.
    #[error("a pause needs a reason of 1 to 1000 bytes: those who find the schedule paused will ask for it")]
    Reason,
    /// The end of a pause lies in the past.
    #[error("the pause would end at {until}, which has passed")]
    Until {
        /// The end.
        until: Timestamp,
    },
    /// There is no such pause.
    #[error("{} is not paused", range(*scope, name))]
    NotPaused {
        /// Its range.
        scope: PauseScope,
        /// Its name.
        name: String,
    },
    /// A schedule of files fires for a file alone.
    #[error(
        "schedule '{name}' fires for files: launch its job with the parameter 'file', or run one of its fires again"
    )]
    OfFiles {
        /// Its name.
        name: String,
    },
    /// The launch of a fire was refused.
    #[error("{problem}")]
    Refused {
        /// The sentence.
        problem: String,
    },
    /// The fire has done its work.
    #[error("fire {id} is {outcome}, and cannot be run again: launch or restart its job")]
    NotOpen {
        /// Its id.
        id: FireId,
        /// The outcome of it.
        outcome: FireOutcome,
    },
    /// The node takes no new work.
    #[error("the service is shutting down and takes no new work")]
    ShuttingDown,
    /// The store failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

fn range(scope: PauseScope, name: &str) -> String {
    match scope {
        PauseScope::Schedule => format!("schedule '{name}'"),
        PauseScope::Job => format!("job '{name}'"),
        PauseScope::All => "the range of all schedules".to_owned(),
    }
}

impl From<LaunchError> for SchedulerError {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Repository(error) => Self::Repository(error),
            error => Self::Refused { problem: error.to_string() },
        }
    }
}
