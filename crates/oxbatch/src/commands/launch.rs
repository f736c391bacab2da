//! `launch`: a job for a running service, through the database or over HTTP.

use std::time::Duration;

use clap::Args;
use oxbatch_core::engine::{LaunchOptions, Operator};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::job::{MAX_PRIORITY, MIN_PRIORITY};
use oxbatch_core::repository::NodeState;

use super::wait::{end_of, sentence};
use crate::connection::Connection;
use crate::database::Access;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::parameters::{given, to_json};
use crate::program::Program;
use crate::remote::{RemoteLaunch, RemoteService};
use crate::trace_parent::trace_parent;

/// Arguments of `launch`.
#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    /// Name of the job
    job: String,
    /// Parameters of the launch; numbers (as JSON writes them) and dates are detected where the job declares no type.
    /// KEY:string=VALUE says the type: string, integer, float or datetime
    #[arg(value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Run every step from its start, also those that are complete
    #[arg(long)]
    force: bool,
    /// Launch a new run: an instance of its own, with the parameter `run`, one more than the greatest of the job's
    #[arg(long)]
    new: bool,
    /// Go on also where the definition of the job has changed in what the past of the instance depends on
    #[arg(long)]
    accept_changes: bool,
    /// Rank in the queue, from -1000 to 1000: higher ones go first
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(i64::from(MIN_PRIORITY)..=i64::from(MAX_PRIORITY)))]
    priority: Option<i32>,
    /// The same launch with the same key answers the same execution for 24 hours
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait until it has ended; its status is the exit code
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this; exit code 6 when it has not ended by then
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: LaunchArgs) -> Result<Exit, CliError> {
    program.trail.about("launch_job", format!("job {}", arguments.job));
    let connection = program.connection(Access::Write).await?;
    let id = match &connection {
        Connection::Database(operator) => in_database(program, operator, &arguments).await?,
        Connection::Service(service) => at_service(service, &arguments).await?,
    };
    if arguments.wait {
        return end_of(&connection, id, arguments.timeout).await;
    }
    output::line(sentence(&connection.execution(id).await?))?;
    Ok(Exit::Completed)
}

async fn in_database(program: &Program, operator: &Operator, arguments: &LaunchArgs) -> Result<ExecutionId, CliError> {
    let options = LaunchOptions {
        force: arguments.force,
        new_run: arguments.new,
        idempotency_key: arguments.idempotency_key.clone(),
        priority: arguments.priority,
        accept_changes: arguments.accept_changes,
        trace_parent: trace_parent(),
    };
    let launched = operator.launch(&arguments.job, given(&arguments.parameters)?, options).await;
    let launched = launched.map_err(|error| program.explain(error))?;
    if !operator.nodes().await?.iter().any(|node| node.state == NodeState::Live) {
        output::remark("no service works on this database: the execution waits until one is started");
    }
    Ok(launched.execution.id)
}

async fn at_service(service: &RemoteService, arguments: &LaunchArgs) -> Result<ExecutionId, CliError> {
    let declared = service.declared(&arguments.job).await?;
    let launch = RemoteLaunch {
        parameters: to_json(&arguments.parameters, &declared)?,
        force: arguments.force,
        new_run: arguments.new,
        accept_changes: arguments.accept_changes,
        priority: arguments.priority,
        idempotency_key: arguments.idempotency_key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        trace_parent: trace_parent(),
    };
    Ok(service.launch(&arguments.job, launch).await?)
}
