//! The errors of commands: one sentence with its causes, and an exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use oxbatch_core::JobRegistry;
use oxbatch_core::access::{RandomError, TokenId};
use oxbatch_core::engine::{OperatorError, PreviewError, SchedulerError};
use oxbatch_core::execution::{ExecutionId, cause_chain};
use oxbatch_core::repository::{LaunchError, Missing, RepositoryError};
use oxbatch_server::ServeError;

use crate::colour::{self, Ink, paint};
use crate::exit::Exit;
use crate::output;
use crate::remote::RemoteError;
use crate::settings::SettingError;

/// The error of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error("'{argument}' is no parameter: write it as key=value")]
    NoParameter { argument: String },
    #[error("parameter '{name}' {problem}")]
    ParameterType { name: String, problem: String },
    #[error("{}: '{name}'; the jobs are {}", Missing::Job, known.join(", "))]
    UnknownJob { name: String, known: Vec<String> },
    #[error("{}: '{name}'; this service has no jobs", Missing::Job)]
    NoJobs { name: String },
    #[error(transparent)]
    Traces(#[from] crate::traces::ExporterError),
    #[error("the jobs of this service cannot be registered: {problem}")]
    Registry { problem: String },
    #[error(
        "--server does not go with serve, run, backup, purge, tokens, secrets and completions: they work on the database or the files of this machine"
    )]
    NoServerHere,
    #[error("'{text}' is not the cursor of a next page of this list")]
    Cursor { text: String },
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error("execution {id} waits to be run: start the service, or take it back with 'stop {id}'")]
    Waiting { id: ExecutionId },
    #[error("{}: '{name}'; 'nodes' lists them", Missing::Node)]
    UnknownNode { name: String },
    #[error("there is no token {id}; 'tokens list' lists them")]
    UnknownToken { id: TokenId },
    #[error(transparent)]
    Random { source: RandomError },
    #[error("{problem}")]
    KeyFile { problem: String },
    #[error("{} nodes are named '{name}': name one by its id, one of {}", ids.len(), ids.join(", "))]
    AmbiguousNode { name: String, ids: Vec<String> },
    #[error("purge needs --older-than, --keep or both: without them it would remove everything that has ended")]
    PurgeWithoutBound,
    #[error("{location} is backed up by the tools of its server, such as pg_dump or pg_basebackup")]
    BackupOfServer { location: String },
    #[error("executions that are {status} are still running and are never purged")]
    PurgeRunning { status: oxbatch_core::Status },
    #[error(
        "there is no database '{}': run a job or start the service to create it, or name another with --database",
        path.display()
    )]
    NoDatabase { path: PathBuf },
    #[error(
        "the file '{}' keeps no executions: run a job or start the service with it to begin, or name another with --database",
        path.display()
    )]
    NoExecutions { path: PathBuf },
    #[cfg(feature = "postgres")]
    #[error("the database {address} keeps no executions: run a job or start the service with it to begin")]
    NoTables { address: String },
    #[error("the runtime cannot be started")]
    Runtime {
        #[source]
        source: io::Error,
    },
    #[error("the output cannot be written")]
    Output {
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("{problem}")]
    Schedule { problem: String },
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    #[error(transparent)]
    Preview(#[from] PreviewError),
    #[error(transparent)]
    Operator(OperatorError),
}

impl CliError {
    /// The refusal of a job's name, with the names that there are.
    pub(crate) fn unknown_job(name: &str, registry: &JobRegistry) -> Self {
        match registry.names() {
            known if known.is_empty() => Self::NoJobs { name: name.to_owned() },
            known => Self::UnknownJob { name: name.to_owned(), known },
        }
    }

    /// The service that was asked did not answer.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Remote(RemoteError::Unreachable { .. }))
    }

    /// Prints the error with its causes in one line; the exit code that goes with it.
    pub(crate) fn print(self) -> ExitCode {
        let head = paint("error:", Ink::Bad, colour::on_stderr());
        output::remark(format!("{head} {}", output::plain(&cause_chain(&self))));
        self.exit().into()
    }

    /// The exit code that goes with it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Setting(_)
            | Self::NoParameter { .. }
            | Self::ParameterType { .. }
            | Self::NoServerHere
            | Self::Cursor { .. }
            | Self::UnknownJob { .. }
            | Self::NoJobs { .. }
            | Self::UnknownNode { .. }
            | Self::AmbiguousNode { .. }
            | Self::UnknownToken { .. }
            | Self::KeyFile { .. }
            | Self::Schedule { .. }
            | Self::PurgeWithoutBound
            | Self::BackupOfServer { .. }
            | Self::PurgeRunning { .. } => Exit::Usage,
            Self::Remote(error) => error.exit(),
            Self::Waiting { .. } => Exit::Refused,
            Self::Registry { .. }
            | Self::Random { .. }
            | Self::NoDatabase { .. }
            | Self::NoExecutions { .. }
            | Self::Runtime { .. }
            | Self::Output { .. }
            | Self::Serve(_)
            | Self::Traces(_) => Exit::Unusable,
            #[cfg(feature = "postgres")]
            Self::NoTables { .. } => Exit::Unusable,
            Self::Preview(PreviewError::Thread(_)) => Exit::Unusable,
            Self::Preview(_) => Exit::Usage,
            Self::Operator(error) => of_operator(error),
            Self::Scheduler(error) => of_scheduler(error),
        }
    }
}

fn of_operator(error: &OperatorError) -> Exit {
    match error {
        OperatorError::UnknownJob { .. }
        | OperatorError::UnknownExecution { .. }
        | OperatorError::Priority { .. }
        | OperatorError::Parameters(_) => Exit::Usage,
        OperatorError::Launch(LaunchError::Repository(error)) | OperatorError::Repository(error) => match error {
            RepositoryError::NotFound { .. } | RepositoryError::NodeNotFound { .. } => Exit::Usage,
            RepositoryError::Refused { .. } | RepositoryError::InUse => Exit::Refused,
            _ => Exit::Unusable,
        },
        OperatorError::Launch(_)
        | OperatorError::NotRestartable { .. }
        | OperatorError::NotRerunnable { .. }
        | OperatorError::StalePlan { .. }
        | OperatorError::ShuttingDown => Exit::Refused,
        _ => Exit::Unusable,
    }
}

fn of_scheduler(error: &SchedulerError) -> Exit {
    match error {
        SchedulerError::UnknownSchedule { .. }
        | SchedulerError::UnknownJob { .. }
        | SchedulerError::UnknownFire { .. }
        | SchedulerError::UnknownBackfill { .. }
        | SchedulerError::Schedule(_)
        | SchedulerError::Reason
        | SchedulerError::Until { .. } => Exit::Usage,
        SchedulerError::Repository(_) => Exit::Unusable,
        _ => Exit::Refused,
    }
}

impl From<OperatorError> for CliError {
    fn from(error: OperatorError) -> Self {
        Self::Operator(error)
    }
}

impl From<RepositoryError> for CliError {
    fn from(error: RepositoryError) -> Self {
        Self::Operator(error.into())
    }
}
