//! `abandon`: an execution is given up.

use clap::Args;
use oxbatch_core::execution::ExecutionId;

use super::parse_id;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

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
    program.trail.about("abandon_execution", format!("execution {id}"));
    let execution = program.connection(Access::Write).await?.abandon(id).await?;
    output::line(format!(
        "execution {id} is {}; if it is the last of its instance, only --force launches that again",
        execution.status
    ))?;
    Ok(Exit::Completed)
}
