//! The command line as it is typed; what it means is resolved in `settings`.

use clap::{Args, Parser, Subcommand};

use crate::commands;
use crate::exit::Exit;
use crate::settings::{CONFIG, client, database, engine, logging, server};

/// Over the flags that every command has, in its help.
const SETTINGS: &str = "Settings";

/// Runs batch jobs that lose, double and hang nothing, in the foreground or as a service.
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
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "NAME", help = engine::NODE_NAME.help())]
    pub(crate) node_name: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "LEVEL", help = logging::LEVEL.help())]
    pub(crate) log_level: Option<String>,
    #[arg(long, global = true, help_heading = SETTINGS, value_name = "FORMAT", help = logging::FORMAT.help())]
    pub(crate) log_format: Option<String>,
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
}

/// What is to be done; the service when nothing is said.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service with its HTTP interface (the default)
    Serve(ServeArgs),
    /// Run a job in the foreground; what an earlier run left is resumed
    Run(commands::run::RunArgs),
    /// Launch a job that a running service works on
    Launch(commands::launch::LaunchArgs),
    /// Wait until an execution has ended; the exit code tells how
    Wait(commands::wait::WaitArgs),
    /// List the jobs, their parameters and steps
    Jobs(commands::jobs::JobsArgs),
    /// List executions, newest first
    Executions(commands::executions::ExecutionsArgs),
    /// Show an execution and its steps
    Show(commands::show::ShowArgs),
    /// List the items that an execution went on without
    Skips(commands::skips::SkipsArgs),
    /// Ask an execution to stop at its next safe point, wherever it runs
    Stop(commands::stop::StopArgs),
    /// Run a failed or stopped execution again in the foreground, from where it was
    Restart(commands::restart::RestartArgs),
    /// Give an execution up; its instance can then only be forced
    Abandon(commands::abandon::AbandonArgs),
    /// Remove executions that ended long ago
    Purge(commands::purge::PurgeArgs),
    /// List the nodes that share the database, and what they run
    Nodes(commands::nodes::NodesArgs),
    /// Let a node take no new work, wherever it runs
    Drain(commands::drain::DrainArgs),
    /// Print the completions of a shell
    Completions(commands::completions::CompletionsArgs),
}

impl Command {
    /// The command can be sent to a service that is reached over HTTP.
    pub(crate) const fn takes_a_server(&self) -> bool {
        matches!(self, Self::Launch(_) | Self::Wait(_) | Self::Show(_) | Self::Stop(_) | Self::Abandon(_))
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
