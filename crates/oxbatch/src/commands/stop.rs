//! `stop`: a request that reaches an execution wherever it runs.

use std::time::Duration;

use clap::Args;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::BulkAction;

use super::bulk::{self, WhereArgs};
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
    #[arg(value_parser = parse_id, required_unless_present = "filter")]
    id: Option<ExecutionId>,
    #[command(flatten)]
    many: WhereArgs,
    /// With --where: only count
    #[arg(long, requires = "filter")]
    dry_run: bool,
    /// Wait until it has stopped, but not longer than this
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "filter")]
    wait: Option<Duration>,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: StopArgs) -> Result<Exit, CliError> {
    let StopArgs { id, many, dry_run, wait } = arguments;
    if let Some((filter, yes)) = many.taken() {
        return bulk::run(program, BulkAction::Stop, filter, (yes, dry_run)).await;
    }
    // The command line is refused without one of them.
    let Some(id) = id else { return Ok(Exit::Usage) };
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
