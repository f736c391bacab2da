//! The nodes that share the repository: list, drain, and take work again.

use axum::Json;
use axum::extract::State;
use oxbatch_core::repository::Drain;
use uuid::Uuid;

use crate::error::{Problem, ProblemKind};
use crate::extract::body::NoBody;
use crate::extract::query::{flag, shorten};
use crate::extract::{NoQuery, PathName, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::NodeView;

/// The query of a drain.
pub(crate) struct DrainQuery {
    drain: Drain,
}

impl StrictQuery for DrainQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let mut named = |name| reader.one(name, flag).unwrap_or(false);
        Self { drain: Drain { stop: named("stop"), exit: named("exit") } }
    }
}

pub(crate) fn node_id(text: &str) -> Result<Uuid, Problem> {
    let detail = || format!("'{}' in the path is no id of a node: GET /nodes lists them", shorten(text));
    Uuid::parse_str(text).map_err(|_| Problem::new(ProblemKind::MalformedRequest, detail()))
}

/// List the nodes in the order in which they started.
///
/// Those that have ended in order are not listed; those that died are shown as gone for a day.
#[utoipa::path(
    get, path = "/nodes", tag = "nodes", operation_id = "list_nodes",
    responses((status = 200, description = "The nodes", body = Vec<NodeView>))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<NodeView>>, Problem> {
    let nodes = state.engine().nodes().await?;
    Ok(Json(nodes.into_iter().map(Into::into).collect()))
}

/// Drain a node.
///
/// It takes no new work and finishes what it runs.
#[utoipa::path(
    post, path = "/nodes/{id}/drain", tag = "nodes", operation_id = "drain_node",
    params(
        ("id" = String, Path, description = "Id of the node", pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
        ("stop" = Option<bool>, Query,
            description = "Stop what it runs at the next safe point; another node goes on with it"),
        ("exit" = Option<bool>, Query, description = "End its process once nothing runs any more"),
    ),
    responses(
        (status = 200, description = "The request is recorded", body = NodeView),
        (status = 404, description = "There is no such node"),
    )
)]
pub(crate) async fn drain(
    State(state): State<AppState>,
    PathName(id): PathName,
    Strict(query): Strict<DrainQuery>,
    NoBody: NoBody,
) -> Result<Json<NodeView>, Problem> {
    Ok(Json(state.engine().drain(node_id(&id)?, Some(query.drain)).await?.into()))
}

/// Let a node that drains take work again.
#[utoipa::path(
    post, path = "/nodes/{id}/undrain", tag = "nodes", operation_id = "undrain_node",
    params(("id" = String, Path, description = "Id of the node", pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")),
    responses(
        (status = 200, description = "It takes work", body = NodeView),
        (status = 404, description = "There is no such node"),
    )
)]
pub(crate) async fn undrain(
    State(state): State<AppState>,
    PathName(id): PathName,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<Json<NodeView>, Problem> {
    Ok(Json(state.engine().drain(node_id(&id)?, None).await?.into()))
}
