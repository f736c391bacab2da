//! `wait`: until an execution has ended, wherever it runs.

use std::time::Duration;

use clap::Args;
use oxbatch_core::JobExecution;
use oxbatch_core::execution::ExecutionId;

use super::parse_id;
use crate::connection::Connection;
use crate::database::Access;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

/// Arguments of `wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Id of the execution
    #[arg(value_parser = parse_id)]
    id: ExecutionId,
    /// Wait no longer than this; exit code 6 when it has not ended by then
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: WaitArgs) -> Result<Exit, CliError> {
    let connection = program.connection(Access::Read).await?;
    end_of(&connection, arguments.id, arguments.timeout).await
}

/// Waits for the end of an execution and prints it.
pub(super) async fn end_of(
    connection: &Connection,
    id: ExecutionId,
    timeout: Option<Duration>,
) -> Result<Exit, CliError> {
    let execution = connection.wait(id, timeout).await?;
    output::line(sentence(&execution))?;
    Ok(if execution.status.is_running() { Exit::TimedOut } else { Exit::of(execution.status) })
}

/// How an execution stands, in one line.
pub(super) fn sentence(execution: &JobExecution) -> String {
    let mut line = format!("execution {} of {} is {}", execution.id, execution.job_name, execution.status);
    if let Some(message) = &execution.exit_message {
        line.push_str(": ");
        line.push_str(message);
    }
    output::one_line(&line)
}
