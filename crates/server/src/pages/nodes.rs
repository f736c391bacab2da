//! The nodes: how each stands, when it was heard of last, what it runs, and its drain.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use oxbatch_core::repository::Drain;

use super::command::{Call, Commands};
use super::form::Form;
use super::frame::{Frame, Visitor, page};
use super::parts::Moment;
use crate::api::nodes::node_id;
use crate::error::Problem;
use crate::extract::PathName;
use crate::state::AppState;
use crate::view::{NodeStateView, NodeView};

#[derive(Template)]
#[template(path = "nodes.html")]
struct NodesPage {
    frame: Frame,
    /// Each with the commands of its button.
    nodes: Vec<(NodeRow, Commands)>,
}

/// A node as it is shown.
#[derive(Debug)]
pub(super) struct NodeRow {
    pub(super) heartbeat: Moment,
    pub(super) started: Moment,
    pub(super) view: NodeView,
}

impl NodeRow {
    pub(super) fn new(view: NodeView) -> Self {
        Self { heartbeat: Moment::of(&view.last_heartbeat), started: Moment::of(&view.start_time), view }
    }

    pub(super) const fn word(&self) -> &'static str {
        match self.view.state {
            NodeStateView::Live => "live",
            NodeStateView::Draining => "draining",
            NodeStateView::Silent => "silent",
            NodeStateView::Gone => "gone",
        }
    }

    pub(super) const fn mark(&self) -> &'static str {
        match self.view.state {
            NodeStateView::Live => "●",
            NodeStateView::Draining => "◐",
            NodeStateView::Silent => "○",
            NodeStateView::Gone => "✕",
        }
    }

    /// The name of its colours.
    pub(super) const fn class(&self) -> &'static str {
        match self.view.state {
            NodeStateView::Live => "done",
            NodeStateView::Draining => "stop",
            NodeStateView::Silent => "wait",
            NodeStateView::Gone => "fail",
        }
    }

    fn is_gone(&self) -> bool {
        self.view.state == NodeStateView::Gone
    }
}

/// The commands of the button of a node: the one that drains it, or the one that takes that back.
fn commands(visitor: &Visitor, node: &NodeView) -> Commands {
    let call = |action| Call::post(format!("/nodes/{}/{action}", node.id));
    match node.drain {
        Some(_) => call("undrain").commands(visitor, &["drain", &node.name, "--undo"]),
        None => call("drain").commands(visitor, &["drain", &node.name]),
    }
}

/// The list.
pub(crate) async fn show(State(state): State<AppState>, visitor: Visitor) -> Result<Response, Problem> {
    let nodes = state.engine().nodes().await?;
    let row = |view: NodeView| {
        let commands = commands(&visitor, &view);
        (NodeRow::new(view), commands)
    };
    let nodes = nodes.into_iter().map(|node| row(node.into())).collect();
    page(&NodesPage { nodes, frame: Frame::new("Nodes", "nodes", visitor).live("poll") })
}

/// Lets a node take no new work.
pub(crate) async fn drain(
    State(state): State<AppState>,
    PathName(id): PathName,
    form: Form,
) -> Result<Response, Problem> {
    let drain = Drain { stop: form.is_on("stop"), exit: form.is_on("exit") };
    state.engine().drain(node_id(&id)?, Some(drain)).await?;
    Ok(Redirect::to("/ui/nodes").into_response())
}

/// Lets a node take work again.
pub(crate) async fn undrain(
    State(state): State<AppState>,
    PathName(id): PathName,
    _: Form,
) -> Result<Response, Problem> {
    state.engine().drain(node_id(&id)?, None).await?;
    Ok(Redirect::to("/ui/nodes").into_response())
}
