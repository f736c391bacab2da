//! `nodes`: the processes that share the database, and the executions that they run.

use clap::Args;
use oxbatch_core::repository::{NodeState, NodeStatus};
use oxbatch_server::view::NodeView;

use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::table::{Align, Table, shorten};

/// Longest list of executions in a row.
const MAX_RUNNING: usize = 60;

/// Arguments of `nodes`.
#[derive(Debug, Args)]
pub(crate) struct NodesArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: NodesArgs) -> Result<Exit, CliError> {
    match program.connection(Access::Read).await? {
        Connection::Database(operator) => {
            let nodes = operator.nodes().await?;
            if arguments.json {
                output::json(&nodes.into_iter().map(NodeView::from).collect::<Vec<_>>())?;
            } else {
                table(&nodes).print()?;
            }
        }
        Connection::Service(service) => {
            let nodes = service.nodes().await?;
            if arguments.json {
                output::json(&nodes.shown)?;
            } else {
                table(&nodes.items).print()?;
            }
        }
    }
    Ok(Exit::Completed)
}

fn table(nodes: &[NodeStatus]) -> Table {
    let left = |name| (name, Align::Left);
    let mut table = Table::new([
        left("NAME"),
        left("STATE"),
        ("SLOTS", Align::Right),
        left("LAST HEARTBEAT"),
        left("ID"),
        left("RUNS"),
    ]);
    for node in nodes {
        let runs: Vec<_> = node.running.iter().map(|(id, job)| format!("{id} {job}")).collect();
        table.row([
            node.report.node.name.clone(),
            state(node),
            node.report.capacity.to_string(),
            format!("{:.0}", node.heartbeat),
            node.report.node.boot_id.to_string(),
            shorten(&runs.join(", "), MAX_RUNNING),
        ]);
    }
    table
}

/// The state; of a node that drains with what is asked of it besides.
pub(super) fn state(node: &NodeStatus) -> String {
    let mut words = vec![node.state.as_str()];
    if let (NodeState::Draining, Some(drain)) = (node.state, node.drain) {
        words.extend(drain.stop.then_some("stop"));
        words.extend(drain.exit.then_some("exit"));
    }
    words.join("+")
}
