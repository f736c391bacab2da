//! `abandon`: an execution is given up.

use clap::Args;
use oxbatch_core::execution::ExecutionId;

use super::parse_id;
use crate::cli::ServeArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::program::Program;
use crate::{node, output};

/// Arguments of `abandon`.
#[derive(Debug, Args)]
pub(crate) struct AbandonArgs {
    /// Id of the execution
    #[arg(value_parser = parse_id)]
    id: ExecutionId,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: AbandonArgs) -> Result<Exit, CliError> {
    let id = arguments.id;
    let repository = program.existing().await?;
    let node_name = program.engine(&ServeArgs::default())?.node_name;
    let execution = node::execution(repository.as_ref(), id).await?;
    node::settle(repository.as_ref(), &node_name, execution).await?;
    let execution = repository.abandon(id).await?;
    output::line(format!(
        "execution {id} is {}; if it is the last of its instance, only --force launches that again",
        execution.status
    ))?;
    Ok(Exit::Completed)
}
