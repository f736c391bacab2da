//! `drain`: a node takes no new work and finishes what it runs; a request that reaches it through the database.

use std::time::Duration;

use clap::Args;
use oxbatch_core::repository::{Drain, NodeState, NodeStatus};
use uuid::Uuid;

use super::nodes::state;
use crate::connection::Connection;
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
    /// Stop its executions at their next safe point; another node resumes them
    #[arg(long)]
    stop: bool,
    /// End its process once nothing runs on it any more
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
    let about = if undo { "undrain_node" } else { "drain_node" };
    let object = node.as_deref().map_or_else(|| "this host's node".to_owned(), |node| format!("node {node}"));
    program.trail.about(about, object);
    let connection = program.connection(Access::Write).await?;
    let name = match node {
        Some(name) => name,
        None => program.engine(None)?.node_name,
    };
    let boot_id = find(&connection, &name).await?;
    let mut node = connection.drain(boot_id, (!undo).then_some(Drain { stop, exit })).await?;
    if let Some(at_most) = wait {
        match connection.wait_for_node(boot_id, at_most, |node| !is_busy(node)).await {
            Ok(Some(status)) => node = status,
            // The process that answers may be the one that is to end.
            Err(error) if !(exit && error.is_unreachable()) => return Err(error),
            Ok(None) | Err(_) => {
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

/// The node has work that can be waited for, or a process that is to end.
fn is_busy(node: &NodeStatus) -> bool {
    let ends = node.drain.is_some_and(|drain| drain.exit);
    node.state != NodeState::Gone && (ends || !node.running.is_empty())
}

/// The node with an id, or the only one with a name that has not gone.
async fn find(connection: &Connection, name: &str) -> Result<Uuid, CliError> {
    let nodes = connection.nodes().await?.into_iter().filter(|node| node.state != NodeState::Gone);
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
