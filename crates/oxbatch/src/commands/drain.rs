//! `drain`: a node takes no new work and finishes what it runs; a request that reaches it through the database.

use std::time::Duration;

use clap::Args;
use oxbatch_core::engine::Operator;
use oxbatch_core::repository::{Drain, NodeState, NodeStatus};
use uuid::Uuid;

use super::nodes::state;
use crate::database::Access;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

/// Arguments of `drain`.
#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// Name or id of the node; without it the node of this host
    node: Option<String>,
    /// Stop what it runs at the next safe point; another node goes on with it
    #[arg(long)]
    stop: bool,
    /// End its process once nothing runs any more
    #[arg(long)]
    exit: bool,
    /// Let it take work again
    #[arg(long, conflicts_with_all = ["stop", "exit", "wait"])]
    undo: bool,
    /// Wait until nothing runs on it, but not longer than this
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    wait: Option<Duration>,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: DrainArgs) -> Result<Exit, CliError> {
    let DrainArgs { node, stop, exit, undo, wait } = arguments;
    let operator = program.operator(Access::Write).await?;
    let name = match node {
        Some(name) => name,
        None => program.engine(None)?.node_name,
    };
    let boot_id = find(&operator, &name).await?;
    let mut node = operator.drain(boot_id, (!undo).then_some(Drain { stop, exit })).await?;
    if let Some(at_most) = wait {
        match operator.wait_for_node(boot_id, at_most, |node| !is_busy(node)).await? {
            Some(status) => node = status,
            None => {
                output::line(format!("node {name} ({boot_id}) has ended"))?;
                return Ok(Exit::Completed);
            }
        }
    }
    let running = node.running.len();
    output::line(format!(
        "node {} ({boot_id}) is {} and runs {running} executions",
        node.report.node.name,
        state(&node)
    ))?;
    Ok(if wait.is_some() && is_busy(&node) { Exit::TimedOut } else { Exit::Completed })
}

/// Whether there is something to wait for: work that it still has, or a process that is to end.
fn is_busy(node: &NodeStatus) -> bool {
    let ends = node.drain.is_some_and(|drain| drain.exit);
    node.state != NodeState::Gone && (ends || !node.running.is_empty())
}

/// The node with an id, or the only one with a name that has not gone.
async fn find(operator: &Operator, name: &str) -> Result<Uuid, CliError> {
    let nodes = operator.nodes().await?.into_iter().filter(|node| node.state != NodeState::Gone);
    let nodes: Vec<_> = nodes.map(|node| node.report.node).collect();
    let by_id = Uuid::parse_str(name).ok().filter(|id| nodes.iter().any(|node| node.boot_id == *id));
    if let Some(id) = by_id {
        return Ok(id);
    }
    let ids: Vec<_> = nodes.iter().filter(|node| node.name == name).map(|node| node.boot_id).collect();
    match ids.as_slice() {
        [id] => Ok(*id),
        [] => Err(CliError::UnknownNode { name: name.to_owned() }),
        ids => Err(CliError::AmbiguousNode { name: name.to_owned(), ids: ids.iter().map(Uuid::to_string).collect() }),
    }
}
