//! Running again what an execution skipped.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{AppendHeaders, IntoResponse};
use oxbatch_core::execution::{ExecutionId, Status};

use super::launch::unknown_job_of;
use super::operate::WaitQuery;
use crate::error::Problem;
use crate::extract::body::NoBody;
use crate::extract::{PathId, Strict};
use crate::state::AppState;
use crate::view::RerunView;

/// Run the skipped items of an execution again, once their cause is fixed.
///
/// A new execution, linked by `rerun_of` and `rerun_by`, takes them through the same processors and writers. What fails
/// again is kept again there; no item is run again twice. A re-run that failed or was stopped is resumed.
#[utoipa::path(
    post, path = "/executions/{id}/skips/rerun", tag = "executions", operation_id = "rerun_skips",
    params(
        ("id" = i64, Path, description = "Id of the execution that skipped them", minimum = 1),
        ("wait" = Option<String>, Query, description = "Answer when the re-run has ended, or after this time (at most 5m)",
            pattern = "^([0-9]{1,5}ms|[0-9]{1,2}s|[0-5]m)$", example = "30s"),
    ),
    responses(
        (status = 202, description = "Accepted: a new execution", body = RerunView,
            headers(("location" = String, description = "Path of the new execution"))),
        (status = 404, description = "There is no such execution"),
        (status = 409, description = "The instance or a re-run is running, or no skipped item is left that can be run again; `detail` says why"),
        (status = 429, description = "As many launches wait as may"),
    )
)]
pub(crate) async fn rerun(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(query): Strict<WaitQuery>,
    NoBody: NoBody,
) -> Result<impl IntoResponse, Problem> {
    let of = ExecutionId(id);
    let rerun = state.engine().rerun_skips(of).await.map_err(|error| unknown_job_of(of, error))?;
    let id = rerun.launched.execution.id;
    let status = match query.wait {
        Some(at_most) => state.wait(id, at_most).await.map_or(Status::Starting, |execution| execution.status),
        None => Status::Starting,
    };
    let location = AppendHeaders([(LOCATION, format!("/executions/{id}"))]);
    Ok((StatusCode::ACCEPTED, location, Json(RerunView::new(rerun, of, status))))
}
