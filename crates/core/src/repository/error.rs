//! The errors of a repository.

use crate::execution::{ContextError, ExecutionId, IllegalTransition, Status};
use crate::item::{BoxError, ErrorKind, ItemError};
use crate::repository::Missing;

/// Why a repository could not do what it was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// There is no such row.
    #[error("{what}: {id}")]
    NotFound {
        /// The kind of the row.
        what: Missing,
        /// Its id.
        id: i64,
    },
    /// There is no such node, or it has ended.
    #[error("{}: {id}, unless it has just ended", Missing::Node)]
    NodeNotFound {
        /// Its id, made anew at each of its starts.
        id: uuid::Uuid,
    },
    /// The status of the execution forbids it.
    #[error("execution {id} is {}: {reason}", transition.from)]
    Refused {
        /// Its id.
        id: ExecutionId,
        /// The transition that does not exist.
        transition: IllegalTransition,
        /// The advice for the caller.
        reason: &'static str,
    },
    /// Another node owns the execution by now, or it has ended.
    #[error(
        "the lease on execution {id} is lost: it was taken over or has ended; nothing of this attempt was committed"
    )]
    LeaseLost {
        /// Its id.
        id: ExecutionId,
    },
    /// A skipped item has been run again by another execution.
    #[error("skipped item {id} was run again by another execution; nothing of this chunk was committed")]
    SkipSettled {
        /// Its id.
        id: i64,
    },
    /// The store crashed and lost the last commits of the step, which did not wait for the disk. What it kept fits
    /// together.
    #[error(
        "the database crashed and lost the last chunks of the step; rows and checkpoint are those of an earlier chunk, from which a restart goes on"
    )]
    ChunksLost {
        /// The execution.
        id: ExecutionId,
    },
    /// The answer of a commit was lost, and the store could not be asked in time what became of it. It was made: the
    /// rows and the checkpoint are those behind it.
    #[error(
        "the answer of a commit was lost, and it could not be found out in time that it was made; a restart goes on behind it"
    )]
    CommitUnknown {
        /// The execution.
        id: ExecutionId,
    },
    /// The store itself is not there any more: nothing that is written to it could be found again.
    #[error("{problem}")]
    Gone {
        /// A sentence fragment that names the store and says what became of it.
        problem: String,
    },
    /// A node works on the store, and what was asked would keep it from writing.
    #[error(
        "a node works on the database, and its file cannot be rewritten meanwhile: stop the service first. Without that \
         the free space is not given back, but new executions use it"
    )]
    InUse,
    /// The rows of a chunk break a constraint that its commit checks, as a deferred foreign key does. Nothing of it was
    /// committed.
    #[error("the database refused the rows of the chunk when it was committed")]
    RowsRefused {
        /// The database's own error.
        #[source]
        source: BoxError,
    },
    /// The rows that a writer has sent for the chunk were refused after its write had returned: the error is that of
    /// the write. Nothing of the chunk was committed.
    #[error("failed to write: {error}")]
    WriteFailed {
        /// The error of the write, as the writer would have told it, if it had waited for the answer.
        error: Box<ItemError>,
    },
    /// The job's context cannot be saved: with what other steps have put into it, it is too large.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The database is busy or out of reach; a later attempt may succeed.
    #[error("{operation}: the database does not answer in time")]
    Unavailable {
        /// The operation.
        operation: &'static str,
        /// The database's own error.
        #[source]
        source: BoxError,
    },
    /// A stop was asked for while the store was waited for. Nothing was changed.
    #[error("{operation}: a stop ended the wait for the database")]
    WaitStopped {
        /// The operation.
        operation: &'static str,
    },
    /// The disk or the database is full.
    #[error("{operation}: no space left for the database")]
    Full {
        /// The operation.
        operation: &'static str,
        /// The database's own error.
        #[source]
        source: BoxError,
    },
    /// A stored value is none that this version knows.
    #[error("stored {what} is unreadable")]
    Corrupt {
        /// The name of the value.
        what: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The database cannot be opened or used at all.
    #[error("{problem}")]
    Unusable {
        /// A sentence fragment that says what to do.
        problem: String,
        /// The database's own error.
        #[source]
        source: Option<BoxError>,
    },
    /// Anything else that the database says.
    #[error("{operation}: the database refused")]
    Database {
        /// The operation.
        operation: &'static str,
        /// The database's own error.
        #[source]
        source: BoxError,
    },
}

impl RepositoryError {
    /// Returns whether the same call may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::WaitStopped { .. } | Self::Full { .. })
    }

    /// The error of a writer that has met it.
    pub fn into_item_error(self) -> ItemError {
        match self {
            Self::WriteFailed { error } => *error,
            error if error.is_transient() => ItemError::new(ErrorKind::Transient, error),
            error => ItemError::other(error),
        }
    }

    /// Returns whether the store itself is lost to this process, so that no call can succeed any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}

/// Why a launch was refused. Nothing was stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The instance has a running execution.
    #[error("execution {execution_id} of the same job instance is already running")]
    AlreadyRunning {
        /// The running one.
        execution_id: ExecutionId,
    },
    /// The last execution of the instance was abandoned.
    #[error(
        "execution {execution_id}, the last of this job instance, was abandoned; launch with force to run every step from the start"
    )]
    Abandoned {
        /// The abandoned one.
        execution_id: ExecutionId,
    },
    /// The last execution of the instance was not completed, and its job is not restartable.
    #[error(
        "execution {execution_id}, the last of this job instance, is {status}, and its job is not restartable; launch it as a new run, or with force to run every step from the start"
    )]
    NotRestartable {
        /// The last one.
        execution_id: ExecutionId,
        /// FAILED or STOPPED.
        status: Status,
    },
    /// The job is defined otherwise by now, in what the past of the instance depends on.
    #[error(
        "the definition of the job has changed since execution {execution_id}, the last of this job instance: {difference}; restart it with accept_changes (--accept-changes) to go on all the same, or launch with force to run every step from the start"
    )]
    DefinitionChanged {
        /// The last one.
        execution_id: ExecutionId,
        /// The difference.
        difference: String,
    },
    /// The execution that was to be the last of its instance is not.
    #[error("{}", match last {
        Some(last) => format!("execution {last} of the same job instance came after execution {execution_id}"),
        None => format!("execution {execution_id} is not there any more"),
    })]
    NotLast {
        /// The execution that was named.
        execution_id: ExecutionId,
        /// The last one; `None` when the instance has none.
        last: Option<ExecutionId>,
    },
    /// The greatest run number of the job has none after it.
    #[error("the job has no run number left after {greatest}")]
    NoRunNumber {
        /// The greatest one.
        greatest: i64,
    },
    /// None of the execution's skipped items can be run again.
    #[error("execution {execution_id} has no skipped items left that could be run again")]
    NothingToRerun {
        /// Its id.
        execution_id: ExecutionId,
    },
    /// As many launches wait as may.
    #[error("the queue is full: {limit} launches wait already; try again later")]
    QueueFull {
        /// The number of launches that may wait.
        limit: u32,
    },
    /// As many executions run as may, and this one would not wait in the queue.
    #[error("as many executions run as may ({limit} of {}); try again when one has ended", job.as_deref().map_or_else(|| "all jobs".to_owned(), |job| format!("job '{job}'")))]
    LimitReached {
        /// The job whose limit it is; `None` for that of all jobs together.
        job: Option<String>,
        /// The number of executions that may run.
        limit: u32,
    },
    /// The idempotency key was used for something else.
    #[error("idempotency key '{key}' was used for another launch (execution {execution_id})")]
    KeyReused {
        /// The key.
        key: String,
        /// The execution that was launched with it.
        execution_id: ExecutionId,
    },
    /// The store failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}
