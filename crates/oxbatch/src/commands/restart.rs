//! `restart`: a failed or stopped execution goes on in the foreground.

use std::sync::Arc;

use clap::Args;
use oxbatch_core::execution::ExecutionId;

use super::{foreground, parse_id};
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
    /// Print the execution and its steps as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: RestartArgs) -> Result<Exit, CliError> {
    let RestartArgs { id, json } = arguments;
    let operator = program.operator(Access::Write).await?;
    operator.end_if_dead(id).await?;
    let repository = Arc::clone(operator.repository());
    foreground::run(program, repository, json, async |engine| engine.restart_here(id).await).await
}
