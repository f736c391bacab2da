//! `wait`: waits until an execution has ended, wherever it runs.

use std::time::{Duration, Instant};

use clap::Args;
use oxbatch_core::JobExecution;
use oxbatch_core::execution::ExecutionId;

use super::parse_id;
use crate::colour::{self, paint_word};
use crate::connection::Connection;
use crate::database::Access;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::progress::Waiting;

/// Time between two updates of the line that a person sees meanwhile.
const UPDATE_EVERY: Duration = Duration::from_secs(1);

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

/// Arguments of a command that hands work to a service.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct SentArgs {
    /// With --server: wait until it has ended; its status is the exit code
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this; exit code 6 when it has not ended by then
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

impl SentArgs {
    /// Prints the execution that a service was asked for: at once, or with `--wait` when it has ended.
    pub(super) async fn attend(self, connection: Connection, id: ExecutionId, json: bool) -> Result<Exit, CliError> {
        if self.wait {
            return end_of(&connection, id, self.timeout).await;
        }
        match &connection {
            Connection::Service(service) if json => output::json(&service.report(id).await?)?,
            _ => output::line(sentence(&connection.execution(id).await?))?,
        }
        Ok(Exit::Completed)
    }
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
    let execution = match Waiting::on_terminal() {
        Some(line) => watch(connection, id, timeout, &line).await?,
        None => connection.wait(id, timeout).await?,
    };
    output::line(sentence(&execution))?;
    if execution.status.is_running() { Ok(Exit::TimedOut) } else { connection.exit_of(&execution).await }
}

/// Waits like [`Connection::wait`] and keeps a line for people up to date.
async fn watch(
    connection: &Connection,
    id: ExecutionId,
    timeout: Option<Duration>,
    line: &Waiting,
) -> Result<JobExecution, CliError> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let execution = connection.wait(id, Some(left.unwrap_or(UPDATE_EVERY).min(UPDATE_EVERY))).await?;
        if !execution.status.is_running() || left.is_some_and(|left| left.is_zero()) {
            return Ok(execution);
        }
        line.show(&execution, connection.steps(id).await?.last());
    }
}

/// The status of an execution in one line.
pub(super) fn sentence(execution: &JobExecution) -> String {
    let status = paint_word(execution.status.as_str(), colour::on_stdout());
    let mut line = format!("execution {} of {} is {status}", execution.id, output::one_line(&execution.job_name));
    if let Some(message) = &execution.exit_message {
        line.push_str(": ");
        line.push_str(&output::one_line(message));
    }
    line
}
