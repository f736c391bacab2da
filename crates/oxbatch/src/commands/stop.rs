//! `stop`: a request that reaches an execution wherever it runs, through the database.

use std::time::Duration;

use clap::Args;
use oxbatch_core::execution::ExecutionId;
use tokio::time::Instant;

use super::parse_id;
use crate::cli::ServeArgs;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::program::Program;
use crate::{node, output};

/// Time between two looks at the execution.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Id of the execution
    #[arg(value_parser = parse_id)]
    id: ExecutionId,
    /// Wait until it has stopped, but not longer than this
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    wait: Option<Duration>,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: StopArgs) -> Result<Exit, CliError> {
    let StopArgs { id, wait } = arguments;
    let repository = program.existing().await?;
    let node_name = program.engine(&ServeArgs::default())?.node_name;
    let execution = repository.request_stop(id).await?;
    // The process that ran it may be dead: then nobody else would ever answer the request.
    let mut execution = node::settle(repository.as_ref(), &node_name, execution).await?;
    let deadline = Instant::now() + wait.unwrap_or_default();
    while execution.status.is_running() && Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY.min(deadline - Instant::now())).await;
        execution = node::execution(repository.as_ref(), id).await?;
    }
    output::line(format!("execution {id} is {}", execution.status))?;
    match wait {
        Some(_) if execution.status.is_running() => Ok(Exit::TimedOut),
        _ => Ok(Exit::Completed),
    }
}
