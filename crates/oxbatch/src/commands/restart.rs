//! `restart`: a failed or stopped execution goes on in the foreground.

use clap::Args;
use oxbatch_core::execution::ExecutionId;

use super::{foreground, parse_id};
use crate::cli::ServeArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
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
    let repository = program.existing().await?;
    let node_name = program.engine(&ServeArgs::default())?.node_name;
    let execution = node::execution(repository.as_ref(), id).await?;
    node::settle(repository.as_ref(), &node_name, execution).await?;
    foreground::run(program, repository, json, async |engine| engine.restart(id, true).await).await
}
