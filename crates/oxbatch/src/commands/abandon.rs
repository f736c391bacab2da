//! `abandon`: an execution is given up.

use clap::Args;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::BulkAction;

use super::bulk::{self, WhereArgs};
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
    #[arg(value_parser = parse_id, required_unless_present = "filter")]
    id: Option<ExecutionId>,
    #[command(flatten)]
    many: WhereArgs,
    /// With --where: only count
    #[arg(long, requires = "filter")]
    dry_run: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: AbandonArgs) -> Result<Exit, CliError> {
    let AbandonArgs { id, many, dry_run } = arguments;
    if let Some((filter, yes)) = many.taken() {
        return bulk::run(program, BulkAction::Abandon, filter, (yes, dry_run)).await;
    }
    // The command line is refused without one of them.
    let Some(id) = id else { return Ok(Exit::Usage) };
    program.trail.about("abandon_execution", format!("execution {id}"));
    let execution = program.connection(Access::Write).await?.abandon(id).await?;
    output::line(format!(
        "execution {id} is {}; if it is the last of its instance, only --force launches that again",
        execution.status
    ))?;
    Ok(Exit::Completed)
}
