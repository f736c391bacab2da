//! `skips rerun`: the skipped items of an execution are run again in the foreground.

use std::sync::Arc;

use clap::Args;
use oxbatch_core::engine::{Operator, Rerun};
use oxbatch_core::execution::ExecutionId;

use super::{foreground, parse_id};
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

/// Arguments of `skips rerun`.
#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    /// Id of the execution that skipped them
    #[arg(value_parser = parse_id)]
    id: ExecutionId,
    /// Print the new execution and its steps as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: RerunArgs) -> Result<Exit, CliError> {
    let RerunArgs { id, json } = arguments;
    let operator = program.operator(Access::Write).await?;
    end_the_dead(&operator, id).await?;
    let repository = Arc::clone(operator.repository());
    foreground::run(program, repository, json, async |engine| {
        let rerun = engine.rerun_skips_here(id).await?;
        tell(&rerun);
        Ok(rerun.launched)
    })
    .await
}

/// Ends what a dead process has left of the execution and of its last re-run.
async fn end_the_dead(operator: &Operator, id: ExecutionId) -> Result<(), CliError> {
    let first = operator.end_if_dead(id).await?;
    if let Some(by) = first.rerun_by
        && operator.repository().execution(by).await?.is_some()
    {
        operator.end_if_dead(by).await?;
    }
    Ok(())
}

/// Says of each item that cannot be run again why.
fn tell(rerun: &Rerun) {
    for left in &rerun.left {
        let position = left.skip.item.position.as_deref().unwrap_or("no position");
        output::remark(output::plain(&format!(
            "skipped item {} of step '{}' ({position}) cannot be run again: {}",
            left.skip.id, left.step_name, left.reason
        )));
    }
    let told = i64::try_from(rerun.left.len()).unwrap_or(i64::MAX);
    if rerun.left_count > told {
        output::remark(format!("{} more cannot be run again", rerun.left_count - told));
    }
}
