//! Operations on an execution: stop, abandon.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use oxbatch_core::execution::ExecutionId;

use super::executions::shown;
use crate::access::Sight;
use crate::error::Problem;
use crate::extract::body::NoBody;
use crate::extract::query::wait;
use crate::extract::{NoQuery, PathId, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::ExecutionView;

/// The query of an operation whose end can be waited for.
pub(crate) struct WaitQuery {
    pub(super) wait: Option<Duration>,
}

impl StrictQuery for WaitQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { wait: reader.one("wait", wait) }
    }
}

/// Ask an execution to stop.
///
/// It is STOPPING until its step has reached a safe point, then STOPPED; it can be restarted.
#[utoipa::path(
    post, path = "/executions/{id}/stop", tag = "executions", operation_id = "stop_execution",
    params(
        ("id" = i64, Path, description = "Id of the execution", minimum = 1),
        ("wait" = Option<String>, Query, description = "Answer when it has stopped, or after this time (at most 5m)",
            pattern = "^([0-9]{1,5}ms|[0-9]{1,2}s|[0-5]m)$", example = "30s"),
    ),
    responses(
        (status = 202, description = "The request is recorded, or the node that runs it has heard it", body = ExecutionView),
        (status = 404, description = "There is no such execution"),
        (status = 409, description = "It is not running"),
    )
)]
pub(crate) async fn stop(
    State(state): State<AppState>,
    PathId(id): PathId,
    sight: Sight,
    Strict(query): Strict<WaitQuery>,
    NoBody: NoBody,
) -> Result<impl IntoResponse, Problem> {
    let id = ExecutionId(id);
    let requested = state.engine().stop(id).await?;
    let execution = match query.wait {
        Some(at_most) => state.wait(id, at_most).await.unwrap_or(requested),
        None => requested,
    };
    Ok((StatusCode::ACCEPTED, Json(shown(state.engine(), execution, &sight).await?)))
}

/// Give an execution up.
///
/// Its instance can then only be launched with force.
#[utoipa::path(
    post, path = "/executions/{id}/abandon", tag = "executions", operation_id = "abandon_execution",
    params(("id" = i64, Path, description = "Id of the execution", minimum = 1)),
    responses(
        (status = 200, description = "It is ABANDONED", body = ExecutionView),
        (status = 404, description = "There is no such execution"),
        (status = 409, description = "It is running, or abandoned already"),
    )
)]
pub(crate) async fn abandon(
    State(state): State<AppState>,
    PathId(id): PathId,
    sight: Sight,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<Json<ExecutionView>, Problem> {
    let execution = state.engine().abandon(ExecutionId(id)).await?;
    Ok(Json(shown(state.engine(), execution, &sight).await?))
}
