//! Launching again what failed or was stopped, and what that would do.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ETAG;
use axum::response::{AppendHeaders, IntoResponse};
use oxbatch_core::execution::ExecutionId;

use super::launch::{answer, unknown_job_of};
use crate::error::Problem;
use crate::extract::body::NoBody;
use crate::extract::query::flag;
use crate::extract::{NoQuery, PathId, QueryReader, Strict, StrictQuery, header};
use crate::state::AppState;
use crate::view::{LaunchView, RestartPlanView};

/// The query of a restart.
pub(crate) struct RestartQuery {
    accept_changes: bool,
}

impl StrictQuery for RestartQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { accept_changes: reader.one("accept_changes", flag).unwrap_or(false) }
    }
}

/// Show what a restart of an execution would do.
///
/// Nothing is changed. The same rules as those of the restart itself decide: which steps are not run again, where each
/// of the others goes on, and what a launch with force would do instead. The header `etag` is the plan's tag: a restart
/// with it in `if-match` does what this plan says, or is refused.
#[utoipa::path(
    get, path = "/executions/{id}/restart-plan", tag = "executions", operation_id = "get_restart_plan",
    params(("id" = i64, Path, description = "Id of the execution", minimum = 1)),
    responses(
        (status = 200, description = "The plan", body = RestartPlanView,
            headers(("etag" = String, description = "The tag of the plan, in quotation marks"))),
        (status = 404, description = "There is no such execution"),
        (status = 409, description = "The service does not know its job any more"),
    )
)]
pub(crate) async fn plan(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<impl IntoResponse, Problem> {
    let id = ExecutionId(id);
    let plan = state.engine().restart_plan(id).await.map_err(|error| unknown_job_of(id, error))?;
    let tag = format!("\"{}\"", plan.tag);
    Ok((AppendHeaders([(ETAG, tag)]), Json(RestartPlanView::from(plan))))
}

/// Restart an execution that failed or was stopped.
///
/// A new execution of the same instance goes on where it was: steps that are complete are not run again.
#[utoipa::path(
    post, path = "/executions/{id}/restart", tag = "executions", operation_id = "restart_execution",
    params(
        ("id" = i64, Path, description = "Id of the execution", minimum = 1),
        ("accept_changes" = Option<bool>, Query,
            description = "Go on also where the definition of the job has changed in what the past of the instance depends on"),
        ("if-match" = Option<String>, Header, nullable = false, pattern = "^(\"[0-9A-Za-z]{1,64}\"|[0-9A-Za-z]{1,64}|\\*)$",
            description = "The tag of a restart plan: the restart is refused when another plan holds by now"),
    ),
    responses(
        (status = 202, description = "Accepted: a new execution", body = LaunchView,
            headers(("location" = String, description = "Path of the new execution"))),
        (status = 404, description = "There is no such execution"),
        (status = 409, description = "Its status forbids it, or its job is defined otherwise by now, and `detail` says what to do instead; or another plan holds by now, and `plan` is it"),
        (status = 429, description = "As many launches wait as may"),
    )
)]
pub(crate) async fn restart(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(query): Strict<RestartQuery>,
    headers: HeaderMap,
    NoBody: NoBody,
) -> Result<impl IntoResponse, Problem> {
    let id = ExecutionId(id);
    let plan = header::if_match(&headers)?;
    let launched = state.engine().restart_as_planned(id, plan.as_deref(), query.accept_changes).await;
    Ok(answer(&state, launched.map_err(|error| unknown_job_of(id, error))?, None).await)
}
