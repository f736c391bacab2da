//! `skips rerun`: the skipped items of an execution are run again, in the foreground or at a service.

use std::sync::Arc;

use clap::Args;
use oxbatch_core::engine::Operator;
use oxbatch_core::execution::ExecutionId;

use super::wait::SentArgs;
use super::{foreground, parse_id};
use crate::connection::Connection;
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
    #[command(flatten)]
    sent: SentArgs,
    /// Print the new execution and its steps as JSON
    #[arg(long, conflicts_with = "wait")]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: RerunArgs) -> Result<Exit, CliError> {
    let RerunArgs { id, sent, json } = arguments;
    program.trail.about("rerun_skips", format!("execution {id}"));
    let operator = match program.connection(Access::Write).await? {
        Connection::Database(operator) => operator,
        Connection::Service(service) => {
            let rerun = service.rerun(id).await?;
            let left = rerun.left.iter().map(|left| Left {
                id: left.skip.id,
                position: left.skip.position.as_deref(),
                step_name: &left.step_name,
                reason: &left.reason,
            });
            remark_left(left, rerun.left_count);
            return sent.attend(Connection::Service(service), ExecutionId(rerun.execution_id), json).await;
        }
    };
    end_the_dead(&operator, id).await?;
    let repository = Arc::clone(operator.repository());
    foreground::run(program, repository, json, async |engine| {
        let rerun = engine.rerun_skips_here(id).await?;
        let left = rerun.left.iter().map(|left| Left {
            id: left.skip.id,
            position: left.skip.item.position.as_deref(),
            step_name: &left.step_name,
            reason: &left.reason,
        });
        remark_left(left, rerun.left_count);
        Ok(rerun.launched)
    })
    .await
}

/// Ends the remains that a dead process has left of the execution and of its last re-run.
async fn end_the_dead(operator: &Operator, id: ExecutionId) -> Result<(), CliError> {
    let first = operator.end_if_dead(id).await?;
    if let Some(by) = first.rerun_by
        && operator.repository().execution(by).await?.is_some()
    {
        operator.end_if_dead(by).await?;
    }
    Ok(())
}

/// A skipped item that cannot be run again.
struct Left<'a> {
    id: i64,
    position: Option<&'a str>,
    step_name: &'a str,
    reason: &'a str,
}

/// Says of each item that cannot be run again why, and how many there are besides those.
fn remark_left<'a>(left: impl Iterator<Item = Left<'a>>, count: i64) {
    let mut named = 0;
    for Left { id, position, step_name, reason } in left {
        let position = position.unwrap_or("no position");
        let text = format!("skipped item {id} of step '{step_name}' ({position}) cannot be run again: {reason}");
        output::remark(output::plain(&text));
        named += 1;
    }
    if count > named {
        output::remark(format!("{} more cannot be run again", count - named));
    }
}
