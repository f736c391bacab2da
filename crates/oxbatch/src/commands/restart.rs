//! `restart`: a failed or stopped execution is resumed, in the foreground or at a service.

use std::sync::Arc;

use clap::Args;
use oxbatch_core::execution::ExecutionId;

use super::wait::SentArgs;
use super::{foreground, parse_id};
use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::program::Program;

/// Arguments of `restart`.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// Id of the execution
    #[arg(value_parser = parse_id)]
    id: ExecutionId,
    /// Go on also where the definition of the job has changed in what the past of the instance depends on
    #[arg(long)]
    accept_changes: bool,
    #[command(flatten)]
    sent: SentArgs,
    /// Print the execution and its steps as JSON
    #[arg(long, conflicts_with = "wait")]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: RestartArgs) -> Result<Exit, CliError> {
    let RestartArgs { id, accept_changes, sent, json } = arguments;
    let operator = match program.connection(Access::Write).await? {
        Connection::Database(operator) => operator,
        Connection::Service(service) => {
            let id = service.restart(id, accept_changes).await?;
            return sent.attend(Connection::Service(service), id, json).await;
        }
    };
    operator.end_if_dead(id).await?;
    let repository = Arc::clone(operator.repository());
    foreground::run(program, repository, json, async |engine| match accept_changes {
        true => engine.restart_here_accepting_changes(id).await,
        false => engine.restart_here(id).await,
    })
    .await
}
