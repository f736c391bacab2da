//! The whole program: reads the command line, resolves the settings, runs the command, reports its end.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use oxbatch_core::engine::{EngineConfig, Operator, OperatorError};
use oxbatch_core::execution::cause_chain;
use oxbatch_core::listener::ListenerFactory;
use oxbatch_core::repository::JobRepository;
use oxbatch_core::secret::Secrets;
use oxbatch_core::{BoxError, JobRegistry};

use crate::cli::{Cli, Command, GlobalArgs, Reply, ServeArgs, parse};
use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remote::RemoteService;
use crate::settings::database::DatabaseSettings;
use crate::settings::engine::EngineSettings;
use crate::settings::logging::LogSettings;
use crate::settings::{Sources, client, output, secrets, traces};
use crate::traces::Traces;
use crate::trail::Trail;
use crate::{colour, commands, completion, database, hide, log, signals};

/// Most threads that serve requests and keep leases; jobs run on threads of their own.
const MAX_WORKER_THREADS: usize = 4;

/// The argument of [`run`]: the jobs, or the reason why they could not be built.
pub trait IntoRegistry {
    /// The jobs.
    ///
    /// # Errors
    /// The reason why they could not be built.
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
    start(registry.into_registry(), Vec::new())
}

/// Runs the command line of a service with these jobs and listeners of all of them.
pub(crate) fn start(registry: Result<JobRegistry, BoxError>, listeners: Vec<ListenerFactory>) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Ok(registry) = &registry {
        match completion::answer(registry, &arguments) {
            Ok(false) => {}
            Ok(true) => return ExitCode::SUCCESS,
            Err(error) => return Reply::Clap(error).print(),
        }
    }
    let cli = match parse(&arguments, registry.as_ref().ok()) {
        Ok(cli) => cli,
        Err(reply) => return reply.print(),
    };
    hide::password(&arguments);
    execute(cli, registry, listeners).map_or_else(CliError::print, ExitCode::from)
}

/// The environment of every command.
pub(crate) struct Program {
    pub(crate) registry: JobRegistry,
    /// Of all jobs.
    pub(crate) listeners: Vec<ListenerFactory>,
    pub(crate) globals: GlobalArgs,
    pub(crate) sources: Sources,
    /// The change that is made, for the audit log.
    pub(crate) trail: Trail,
}

impl Program {
    /// Opens the database that must be there, for an operator: no node of this process runs.
    pub(crate) async fn operator(&self, access: Access) -> Result<Operator, CliError> {
        let repository = database::open_existing(self.database()?, access).await?;
        if access == Access::Write {
            self.trail.begin(&repository).await?;
        }
        let mut config = self.engine(None)?.operator();
        if access != Access::Read {
            config.secrets = self.secrets()?;
        }
        Ok(Operator::new(self.registry.clone(), repository, config))
    }

    /// The service that is named.
    pub(crate) fn service(&self) -> Result<Option<RemoteService>, CliError> {
        Ok(client::resolve(&self.globals, &self.sources)?)
    }

    /// The connection to the executions: to the service that is named, else to the database that must be there.
    pub(crate) async fn connection(&self, access: Access) -> Result<Connection, CliError> {
        match self.service()? {
            Some(service) => Ok(Connection::Service(service)),
            None => Ok(Connection::Database(Box::new(self.operator(access).await?))),
        }
    }

    /// The refusal of an operator, with the jobs that there are instead of one that is unknown.
    pub(crate) fn explain(&self, error: OperatorError) -> CliError {
        match error {
            OperatorError::UnknownJob { name } => CliError::unknown_job(&name, &self.registry),
            error => error.into(),
        }
    }

    /// The settings of the database.
    pub(crate) fn database(&self) -> Result<DatabaseSettings, CliError> {
        Ok(DatabaseSettings::resolve(&self.globals, &self.sources)?)
    }

    /// The keys that encrypt secret parameters, and the folder of named secrets.
    pub(crate) fn secrets(&self) -> Result<Secrets, CliError> {
        Ok(secrets::resolve(&self.globals, &self.sources)?)
    }

    /// The export of traces where the settings name a collector: it consumes the events of an engine that is yet to be
    /// started.
    pub(crate) fn traces(
        &self,
        config: &mut EngineConfig,
        repository: &Arc<dyn JobRepository>,
    ) -> Result<Option<Traces>, CliError> {
        let Some(endpoint) = traces::resolve(&self.globals, &self.sources)? else { return Ok(None) };
        let traces = Traces::start(endpoint, config, Arc::clone(repository))?;
        config.consumers.push(traces.consumer());
        Ok(Some(traces))
    }

    /// The settings of the node; of the service with its flags.
    pub(crate) fn engine(&self, serve: Option<&ServeArgs>) -> Result<EngineSettings, CliError> {
        Ok(EngineSettings::resolve(&self.globals, serve, &self.sources)?)
    }
}

fn execute(
    cli: Cli,
    registry: Result<JobRegistry, BoxError>,
    listeners: Vec<ListenerFactory>,
) -> Result<Exit, CliError> {
    let Cli { globals, command } = cli;
    let command = command.unwrap_or_else(|| Command::Serve(ServeArgs::default()));
    if let Command::Completions(arguments) = command {
        return commands::completions::run(&arguments);
    }
    #[cfg(feature = "man")]
    if let Command::Man(arguments) = command {
        return commands::man::run(&arguments);
    }
    if globals.server.is_some() && !command.takes_a_server() {
        return Err(CliError::NoServerHere);
    }
    let sources = Sources::load(globals.config.as_deref())?;
    colour::choose(output::resolve(&globals, &sources)?);
    let (level, serve) = match &command {
        Command::Serve(arguments) => (log::SERVICE_LEVEL, Some(arguments)),
        _ => (log::COMMAND_LEVEL, None),
    };
    log::init(LogSettings::resolve(&globals, serve, &sources)?, level);
    let registry = registry.map_err(|error| CliError::Registry { problem: cause_chain(error.as_ref()) })?;
    let program = Program { registry, listeners, globals, sources, trail: Trail::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads())
        .enable_all()
        .build()
        .map_err(|source| CliError::Runtime { source })?;
    let exit = runtime.block_on(Box::pin(async {
        let exit = dispatch(&program, command).await;
        let code = exit.as_ref().map_or_else(CliError::exit, |exit| *exit).code();
        program.trail.end(format!("exit {code}")).await;
        exit
    }));
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
        Command::Instances(arguments) => commands::instances::run(program, arguments).await,
        Command::Show(arguments) => commands::show::run(program, arguments).await,
        Command::Logs(arguments) => commands::logs::run(program, arguments).await,
        Command::Skips(arguments) => commands::skips::run(program, arguments).await,
        Command::Stop(arguments) => commands::stop::run(program, arguments).await,
        Command::Restart(arguments) => commands::restart::run(program, arguments).await,
        Command::Abandon(arguments) => commands::abandon::run(program, arguments).await,
        Command::Backup(arguments) => commands::backup::run(program, arguments).await,
        Command::Pause(arguments) => commands::pause::pause(program, arguments).await,
        Command::Resume(arguments) => commands::pause::resume(program, arguments).await,
        Command::Purge(arguments) => commands::purge::run(program, arguments).await,
        Command::Nodes(arguments) => commands::nodes::run(program, arguments).await,
        Command::Schedules(arguments) => commands::schedules::run(program, arguments).await,
        Command::Backfill(arguments) => commands::backfill::run(program, arguments).await,
        Command::Notices(arguments) => commands::notices::run(program, arguments).await,
        Command::Audit(arguments) => commands::audit::run(program, arguments).await,
        Command::Tokens(arguments) => commands::tokens::run(program, arguments).await,
        Command::Secrets(arguments) => commands::secrets::run(&arguments),
        Command::Health(arguments) => commands::health::run(program, arguments).await,
        Command::Drain(arguments) => commands::drain::run(program, arguments).await,
        Command::Completions(arguments) => commands::completions::run(&arguments),
        #[cfg(feature = "man")]
        Command::Man(arguments) => commands::man::run(&arguments),
        // Answered when it is parsed.
        Command::Help(_) => Ok(Exit::Completed),
    }
}
