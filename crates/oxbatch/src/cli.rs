//! The command line as it is typed; its flags are resolved in `settings`.

mod parse;

use clap::{Args, Parser, Subcommand};
pub(crate) use parse::{Reply, parse};

use crate::commands;
use crate::exit::Exit;
use crate::settings::{CONFIG, client, database, engine, logging, output, secrets, server, traces};

/// Over the flags that every command has, in its help.
const SETTINGS: &str = "Settings";

/// Batch jobs that never lose, duplicate or hang work: run them here, or as a service.
#[derive(Debug, Parser)]
#[command(version, after_help = Exit::table(), disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct GlobalArgs {
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "FILE", help = CONFIG.help())]
    pub(crate) config: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "DATABASE", help = database::DATABASE.help())]
    pub(crate) database: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "FILE", help = database::PASSWORD_FILE.help())]
    pub(crate) database_password_file: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "N", help = database::CONNECTIONS.help())]
    pub(crate) database_connections: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "TIME", help = database::RETRY_TIME.help())]
    pub(crate) database_retry_time: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "URL", help = client::SERVER.help())]
    pub(crate) server: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "FILE", help = client::TOKEN_FILE.help())]
    pub(crate) token_file: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "NAME", help = engine::NODE_NAME.help())]
    pub(crate) node_name: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "FILE", help = secrets::KEY_FILE.help())]
    pub(crate) secrets_key_file: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "FOLDER", help = secrets::FOLDER.help())]
    pub(crate) secrets_dir: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "URL", help = traces::ENDPOINT.help())]
    pub(crate) otlp_endpoint: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "LEVEL", help = logging::LEVEL.help())]
    pub(crate) log_level: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "FORMAT", help = logging::FORMAT.help())]
    pub(crate) log_format: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "WHEN", help = output::COLOUR.help())]
    pub(crate) color: Option<String>,
}

/// Flags of the service.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArgs {
    #[arg(long, value_name = "ADDRESS", help = server::LISTEN.help())]
    pub(crate) listen: Option<String>,
    #[arg(long = "allowed-host", value_name = "HOST", help = server::ALLOWED_HOSTS.help())]
    pub(crate) allowed_hosts: Vec<String>,
    #[arg(long, help = server::INSECURE.help())]
    pub(crate) insecure: bool,
    #[arg(long = "trusted-proxy", value_name = "ADDRESS", help = server::TRUSTED_PROXIES.help())]
    pub(crate) trusted_proxies: Vec<String>,
    #[arg(long, value_name = "PATH", help = server::PUBLIC.help())]
    pub(crate) public: Vec<String>,
    #[arg(long, value_name = "COLUMN", help = server::MASK.help())]
    pub(crate) mask: Vec<String>,
    #[arg(long, value_name = "TIME", help = server::AUDIT_RETENTION.help())]
    pub(crate) audit_retention: Option<String>,
    #[arg(long, help = server::READ_ONLY.help())]
    pub(crate) read_only: bool,
    /// Migrate the database although nodes of an older version, which cannot go on after that, still work on it
    #[arg(long)]
    pub(crate) migrate: bool,
    #[arg(long, value_name = "N", help = engine::CONCURRENCY.help())]
    pub(crate) concurrency: Option<String>,
    #[arg(long, value_name = "N", help = engine::MAX_RUNNING.help())]
    pub(crate) max_running: Option<String>,
    #[arg(long, value_name = "N", help = engine::QUEUE_LIMIT.help())]
    pub(crate) queue_limit: Option<String>,
    #[arg(long, value_name = "POLICY", help = engine::RECOVER.help())]
    pub(crate) recover: Option<String>,
    #[arg(long, value_name = "TIME", help = engine::LEASE.help())]
    pub(crate) lease: Option<String>,
    #[arg(long, value_name = "TIME", help = engine::SHUTDOWN_TIMEOUT.help())]
    pub(crate) shutdown_timeout: Option<String>,
    #[arg(long, value_name = "TIME", help = engine::RETENTION.help())]
    pub(crate) retention: Option<String>,
    #[arg(long, value_name = "LEVEL", help = logging::KEPT_LEVEL.help())]
    pub(crate) logs_level: Option<String>,
    #[arg(long, value_name = "SIZE", help = logging::MAX_PER_EXECUTION.help())]
    pub(crate) logs_max_per_execution: Option<String>,
}

/// The commands; without one the service is run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service with its HTTP interface (the default)
    Serve(ServeArgs),
    /// Run a job in the foreground; it resumes where an earlier run ended
    Run(commands::run::RunArgs),
    /// Launch a job for a running service to execute
    Launch(commands::launch::LaunchArgs),
    /// Wait until an execution has ended; its status is the exit code
    Wait(commands::wait::WaitArgs),
    /// List the jobs, their parameters and steps
    Jobs(commands::jobs::JobsArgs),
    /// List executions, newest first
    Executions(commands::executions::ExecutionsArgs),
    /// List job instances, newest first: a job with its identifying parameters
    Instances(commands::instances::InstancesArgs),
    /// Show an execution and its steps
    Show(commands::show::ShowArgs),
    /// Print what the steps of an execution have logged
    Logs(commands::logs::LogsArgs),
    /// List the items that an execution skipped, or run them again
    Skips(commands::skips::SkipsArgs),
    /// Ask an execution to stop at its next safe point, wherever it runs
    Stop(commands::stop::StopArgs),
    /// Resume a failed or stopped execution, in the foreground or at a service
    Restart(commands::restart::RestartArgs),
    /// Give up an execution for good; its instance can then only be forced
    Abandon(commands::abandon::AbandonArgs),
    /// Write a copy of the SQLite database to a new file, also while services work on it
    Backup(commands::backup::BackupArgs),
    /// Pause the launches of a job, or all: they are accepted and wait
    Pause(commands::pause::PauseArgs),
    /// Let paused launches go on
    Resume(commands::pause::ResumeArgs),
    /// Remove executions that ended long ago
    Purge(commands::purge::PurgeArgs),
    /// List the nodes that share the database, and the executions that they run
    Nodes(commands::nodes::NodesArgs),
    /// List schedules, add, pause and run them, and list their fires
    Schedules(commands::schedules::SchedulesArgs),
    /// Launch the fires of past days that are missing or failed, or list such backfills
    Backfill(commands::backfill::BackfillArgs),
    /// List notices and their deliveries, or try a channel
    Notices(commands::notices::NoticesArgs),
    /// List who has changed what, newest first
    Audit(commands::audit::AuditArgs),
    /// Make, list and revoke the tokens of those who may use the service
    Tokens(commands::tokens::TokensArgs),
    /// Make the keys that encrypt secret parameters
    Secrets(commands::secrets::SecretsArgs),
    /// Ask a service whether it is ready; the exit code is 0 if it is
    Health(commands::health::HealthArgs),
    /// Take a node out of service: it finishes its work and takes no new work
    Drain(commands::drain::DrainArgs),
    /// Print a script that completes commands, jobs and parameters in a shell
    Completions(commands::completions::CompletionsArgs),
    /// Write the manual pages to a folder
    #[cfg(feature = "man")]
    Man(commands::man::ManArgs),
    /// Print the help of a command, or of a job ('help run JOB')
    Help(commands::help::HelpArgs),
}

impl Command {
    /// The command can be sent to a service that is reached over HTTP.
    pub(crate) const fn takes_a_server(&self) -> bool {
        match self {
            #[cfg(feature = "man")]
            Self::Man(_) => false,
            Self::Serve(_)
            | Self::Run(_)
            | Self::Backup(_)
            | Self::Purge(_)
            | Self::Tokens(_)
            | Self::Secrets(_)
            | Self::Completions(_)
            | Self::Help(_) => false,
            Self::Launch(_)
            | Self::Wait(_)
            | Self::Jobs(_)
            | Self::Executions(_)
            | Self::Instances(_)
            | Self::Show(_)
            | Self::Logs(_)
            | Self::Skips(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Abandon(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Nodes(_)
            | Self::Health(_)
            | Self::Schedules(_)
            | Self::Notices(_)
            | Self::Backfill(_)
            | Self::Audit(_)
            | Self::Drain(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
