//! `drain`: a node takes no new work and finishes what it runs; a request that reaches it through the database.

use std::time::Duration;

use clap::Args;
use oxbatch_core::repository::{Drain, JobRepository, NodeState, NodeStatus};
use tokio::time::Instant;
use uuid::Uuid;

use super::nodes::state;
use crate::cli::ServeArgs;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

/// Time between two looks at the node.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
    let repository = program.existing().await?;
    let name = match node {
        Some(name) => name,
        None => program.engine(&ServeArgs::default())?.node_name,
    };
    let boot_id = find(repository.as_ref(), &name).await?;
    let mut node = repository.drain(boot_id, (!undo).then_some(Drain { stop, exit })).await?;
    let deadline = Instant::now() + wait.unwrap_or_default();
    while wait.is_some() && is_busy(&node) && Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY.min(deadline - Instant::now())).await;
        match status(repository.as_ref(), boot_id).await? {
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

async fn status(repository: &dyn JobRepository, boot_id: Uuid) -> Result<Option<NodeStatus>, CliError> {
    Ok(repository.nodes().await?.into_iter().find(|node| node.report.node.boot_id == boot_id))
}

/// The node with an id, or the only one with a name that has not gone.
async fn find(repository: &dyn JobRepository, name: &str) -> Result<Uuid, CliError> {
    let nodes = repository.nodes().await?.into_iter().filter(|node| node.state != NodeState::Gone);
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
