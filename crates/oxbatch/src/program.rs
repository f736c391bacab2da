//! The whole program: reads the command line, resolves the settings, runs the command, reports its end.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use oxbatch_core::engine::{Operator, OperatorError};
use oxbatch_core::execution::cause_chain;
use oxbatch_core::{BoxError, JobRegistry};

use crate::cli::{Cli, Command, GlobalArgs, ServeArgs};
use crate::commands;
use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::settings::database::DatabaseSettings;
use crate::settings::engine::EngineSettings;
use crate::settings::logging::LogSettings;
use crate::settings::{Sources, client};
use crate::{database, hide, log, output, signals};

/// Most threads that serve requests and keep leases; jobs run on threads of their own.
const MAX_WORKER_THREADS: usize = 4;

/// What [`run`] takes: the jobs, or why they could not be built.
pub trait IntoRegistry {
    /// The jobs.
    ///
    /// # Errors
    /// Why they could not be built.
    fn into_registry(self) -> Result<JobRegistry, BoxError>;
}

impl IntoRegistry for JobRegistry {
    fn into_registry(self) -> Result<JobRegistry, BoxError> {
        Ok(self)
    }
}

impl<E: Into<BoxError>> IntoRegistry for Result<JobRegistry, E> {
    fn into_registry(self) -> Result<JobRegistry, BoxError> {
        self.map_err(Into::into)
    }
}

/// Runs the command line of a service with these jobs, to its end: what `main` calls and returns.
///
/// An error is reported on standard error in one sentence; `--help` lists the exit codes.
pub fn run(registry: impl IntoRegistry) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match parse(arguments.clone()) {
        Ok(cli) => cli,
        Err(answer) => {
            // Help, version or a usage error; nobody is left to tell when it cannot be printed.
            let _ = answer.print();
            return u8::try_from(answer.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    hide::password(&arguments);
    match execute(cli, registry.into_registry()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::remark(format!("error: {}", output::plain(&cause_chain(&error))));
            error.exit().into()
        }
    }
}

/// Flags of the service may stand without the word `serve`, since it is the default.
fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let fault = match Cli::try_parse_from(&arguments) {
        Err(fault) if fault.kind() == ErrorKind::UnknownArgument => fault,
        parsed => return parsed,
    };
    let mut with_serve = arguments;
    with_serve.insert(with_serve.len().min(1), "serve".into());
    Cli::try_parse_from(with_serve).map_err(|_| fault)
}

/// What every command gets.
pub(crate) struct Program {
    pub(crate) registry: JobRegistry,
    pub(crate) globals: GlobalArgs,
    pub(crate) sources: Sources,
}

impl Program {
    /// Opens the database that must be there, for an operator: no node of this process runs.
    pub(crate) async fn operator(&self, access: Access) -> Result<Operator, CliError> {
        let repository = database::open_existing(self.database()?, access).await?;
        Ok(Operator::new(self.registry.clone(), repository, self.engine(None)?.operator()))
    }

    /// Where the executions are: at the service that is named, else in the database that must be there.
    pub(crate) async fn connection(&self, access: Access) -> Result<Connection, CliError> {
        match client::resolve(&self.globals, &self.sources)? {
            Some(service) => Ok(Connection::Service(service)),
            None => Ok(Connection::Database(Box::new(self.operator(access).await?))),
        }
    }

    /// The refusal of an operator, with the jobs that there are in place of one that is unknown.
    pub(crate) fn explain(&self, error: OperatorError) -> CliError {
        match (error, self.registry.names()) {
            (OperatorError::UnknownJob { name }, known) if known.is_empty() => CliError::NoJobs { name },
            (OperatorError::UnknownJob { name }, known) => CliError::UnknownJob { name, known },
            (error, _) => error.into(),
        }
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> Result<DatabaseSettings, CliError> {
        Ok(DatabaseSettings::resolve(&self.globals, &self.sources)?)
    }

    /// The settings of the node; of the service with its flags.
    pub(crate) fn engine(&self, serve: Option<&ServeArgs>) -> Result<EngineSettings, CliError> {
        Ok(EngineSettings::resolve(&self.globals, serve, &self.sources)?)
    }
}

fn execute(cli: Cli, registry: Result<JobRegistry, BoxError>) -> Result<Exit, CliError> {
    let Cli { globals, command } = cli;
    let command = command.unwrap_or_else(|| Command::Serve(ServeArgs::default()));
    if let Command::Completions(arguments) = command {
        return commands::completions::run(&arguments);
    }
    if globals.server.is_some() && !command.takes_a_server() {
        return Err(CliError::NoServerHere);
    }
    let sources = Sources::load(globals.config.as_deref())?;
    let level = match command {
        Command::Serve(_) => log::SERVICE_LEVEL,
        _ => log::COMMAND_LEVEL,
    };
    log::init(LogSettings::resolve(&globals, &sources)?, level);
    let registry = registry.map_err(|error| CliError::Registry { problem: cause_chain(error.as_ref()) })?;
    let program = Program { registry, globals, sources };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads())
        .enable_all()
        .build()
        .map_err(|source| CliError::Runtime { source })?;
    let exit = runtime.block_on(Box::pin(dispatch(&program, command)));
    // A step that ignores every request to stop must not keep the process from ending.
    runtime.shutdown_background();
    exit
}

/// At least two: a request that computes for a moment must not hold up the leases.
fn worker_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |threads| threads.get().clamp(2, MAX_WORKER_THREADS))
}

async fn dispatch(program: &Program, command: Command) -> Result<Exit, CliError> {
    signals::catch_file_size().map_err(|source| CliError::Runtime { source })?;
    match command {
        Command::Serve(arguments) => commands::serve::run(program, arguments).await,
        Command::Run(arguments) => commands::run::run(program, arguments).await,
        Command::Launch(arguments) => commands::launch::run(program, arguments).await,
        Command::Wait(arguments) => commands::wait::run(program, arguments).await,
        Command::Jobs(arguments) => commands::jobs::run(program, arguments).await,
        Command::Executions(arguments) => commands::executions::run(program, arguments).await,
        Command::Show(arguments) => commands::show::run(program, arguments).await,
        Command::Skips(arguments) => commands::skips::run(program, arguments).await,
        Command::Stop(arguments) => commands::stop::run(program, arguments).await,
        Command::Restart(arguments) => commands::restart::run(program, arguments).await,
        Command::Abandon(arguments) => commands::abandon::run(program, arguments).await,
        Command::Purge(arguments) => commands::purge::run(program, arguments).await,
        Command::Nodes(arguments) => commands::nodes::run(program, arguments).await,
        Command::Drain(arguments) => commands::drain::run(program, arguments).await,
        Command::Completions(arguments) => commands::completions::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Cli, clap::Error> {
        parse(std::iter::once("oxbatch").chain(arguments.iter().copied()).map(Into::into).collect())
    }

    #[test]
    fn flags_of_the_service_need_no_command() {
        let cli = parsed(&["--database", "a.db", "--listen", "127.0.0.1:9"]).unwrap();
        assert_eq!(cli.globals.database.as_deref(), Some("a.db"));
        assert!(matches!(cli.command, Some(Command::Serve(serve)) if serve.listen.as_deref() == Some("127.0.0.1:9")));
        assert!(parsed(&[]).unwrap().command.is_none());
        assert!(parsed(&["--listen", "x", "jobs"]).is_err());
        assert!(parsed(&["--nonsense"]).unwrap_err().to_string().contains("--nonsense"));
    }
}
