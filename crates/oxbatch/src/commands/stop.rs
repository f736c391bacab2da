//! `stop`: a request that reaches an execution wherever it runs.

use std::time::Duration;

use clap::Args;
use oxbatch_core::execution::ExecutionId;

use super::parse_id;
use crate::colour::{self, paint_word};
use crate::database::Access;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

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
    program.trail.about("stop_execution", format!("execution {id}"));
    let connection = program.connection(Access::Write).await?;
    let mut execution = connection.stop(id).await?;
    if wait.is_some() {
        execution = connection.wait(id, wait).await?;
    }
    let status = paint_word(execution.status.as_str(), colour::on_stdout());
    output::line(format!("execution {id} is {status}"))?;
    match wait {
        Some(_) if execution.status.is_running() => Ok(Exit::TimedOut),
        _ => Ok(Exit::Completed),
    }
}
