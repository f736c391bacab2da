//! `skips`: the items that the steps of an execution skipped.

use clap::{Args, Subcommand};
use oxbatch_core::engine::Operator;
use oxbatch_core::execution::{ExecutionId, StoredSkip};
use oxbatch_server::view::SkipView;

use super::rerun::RerunArgs;
use super::{parse_id, rerun};
use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::table::{Align, Table, shorten};

/// Items that are read at once.
const PAGE: u32 = 500;
/// Longest text in a row.
const MAX_TEXT: usize = 60;

/// Arguments of `skips`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct SkipsArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Id of the execution
    #[arg(value_parser = parse_id, required = true)]
    id: Option<ExecutionId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Actions on skipped items, other than to list them.
#[derive(Debug, Subcommand)]
enum Action {
    /// Run them again, in the foreground or at a service, once their cause is fixed
    Rerun(RerunArgs),
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: SkipsArgs) -> Result<Exit, CliError> {
    let id = match (arguments.action, arguments.id) {
        (Some(Action::Rerun(arguments)), _) => return rerun::run(program, arguments).await,
        (None, Some(id)) => id,
        // The command line is refused without one of them.
        (None, None) => return Ok(Exit::Usage),
    };
    match program.connection(Access::Read).await? {
        Connection::Database(operator) => {
            let found = in_database(&operator, id).await?;
            if arguments.json {
                output::json(&found.into_iter().map(|(_, skip)| skip.into()).collect::<Vec<SkipView>>())?;
            } else {
                table(&found).print()?;
            }
        }
        Connection::Service(service) => {
            let found = service.skips(id).await?;
            if arguments.json {
                output::json(&found.shown)?;
            } else {
                table(&found.items).print()?;
            }
        }
    }
    Ok(Exit::Completed)
}

/// The skipped items of all steps, with the names of the steps.
async fn in_database(operator: &Operator, id: ExecutionId) -> Result<Vec<(String, StoredSkip)>, CliError> {
    operator.execution(id).await?;
    let repository = operator.repository();
    let mut found = Vec::new();
    for step in repository.steps(id).await? {
        let mut after = None;
        loop {
            let page = repository.skips(step.id, after, PAGE).await?;
            found.extend(page.skips.into_iter().map(|skip| (step.step_name.clone(), skip)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

fn table(found: &[(String, StoredSkip)]) -> Table {
    let mut table =
        Table::new(["STEP", "PHASE", "POSITION", "ERROR", "RERUN BY", "ITEM"].map(|name| (name, Align::Left)));
    for (step_name, skip) in found {
        let text = |text: &str| shorten(&output::plain(text).replace('\n', " "), MAX_TEXT);
        table.row([
            step_name.clone(),
            skip.item.phase.to_string(),
            text(skip.item.position.as_deref().unwrap_or("-")),
            text(&skip.item.error),
            skip.rerun_execution_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            text(skip.item.item.as_deref().unwrap_or("-")),
        ]);
    }
    table
}
