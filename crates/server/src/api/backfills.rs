//! Backfills: planned, begun, watched, cancelled.

use axum::Json;
use axum::extract::State;
use oxbatch_core::engine::BackfillRequest;
use oxbatch_core::repository::BackfillId;

use crate::error::{Problem, ProblemKind};
use crate::extract::body::{JsonBody, NoBody};
use crate::extract::{NoQuery, PathId, Strict};
use crate::state::AppState;
use crate::view::{BackfillInput, BackfillPlanView, BackfillView};

/// The backfill that is asked for.
pub(crate) fn request(input: &BackfillInput) -> Result<BackfillRequest, Problem> {
    input.request().map_err(|problem| Problem::new(ProblemKind::InvalidSchedule, problem))
}

/// Show what a backfill would do; nothing is written.
#[utoipa::path(
    post, path = "/backfills/plan", tag = "schedules", operation_id = "plan_backfill",
    request_body(content((BackfillInput = "application/json"))),
    responses(
        (status = 200, description = "The fires of the range, and which would be launched", body = BackfillPlanView),
        (status = 404, description = "There is no such job or schedule"),
        (status = 408, description = "The body came too slowly"),
        (status = 409, description = "The range or the schedule does not fit"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "A field does not fit"),
    )
)]
pub(crate) async fn plan(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    JsonBody(input): JsonBody<BackfillInput>,
) -> Result<Json<BackfillPlanView>, Problem> {
    Ok(Json(state.engine().scheduler().plan_backfill(&request(&input)?).await?.into()))
}

/// Begin a backfill: the fires of a range of calendar days are launched within its limit.
#[utoipa::path(
    post, path = "/backfills", tag = "schedules", operation_id = "start_backfill",
    request_body(content((BackfillInput = "application/json"))),
    responses(
        (status = 200, description = "It has begun", body = BackfillView),
        (status = 404, description = "There is no such job or schedule"),
        (status = 408, description = "The body came too slowly"),
        (status = 409, description = "There is nothing to do, or the range or the schedule does not fit"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "A field does not fit"),
    )
)]
pub(crate) async fn start(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    JsonBody(input): JsonBody<BackfillInput>,
) -> Result<Json<BackfillView>, Problem> {
    Ok(Json(state.engine().scheduler().start_backfill(&request(&input)?).await?.into()))
}

/// List backfills, newest first.
#[utoipa::path(
    get, path = "/backfills", tag = "schedules", operation_id = "list_backfills",
    responses((status = 200, description = "At most 500 of them", body = Vec<BackfillView>))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<BackfillView>>, Problem> {
    Ok(Json(state.engine().scheduler().backfills().await?.into_iter().map(Into::into).collect()))
}

/// Show a backfill and its progress.
#[utoipa::path(
    get, path = "/backfills/{id}", tag = "schedules", operation_id = "get_backfill",
    params(("id" = i64, Path, description = "Id of the backfill", minimum = 1)),
    responses(
        (status = 200, description = "The backfill", body = BackfillView),
        (status = 404, description = "There is no such backfill"),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<BackfillView>, Problem> {
    Ok(Json(state.engine().scheduler().backfill(BackfillId(id)).await?.into()))
}

/// Cancel what a backfill has not launched yet.
#[utoipa::path(
    post, path = "/backfills/{id}/cancel", tag = "schedules", operation_id = "cancel_backfill",
    params(("id" = i64, Path, description = "Id of the backfill", minimum = 1)),
    responses(
        (status = 200, description = "It is cancelled; what it has launched goes on", body = BackfillView),
        (status = 404, description = "There is no such backfill"),
        (status = 409, description = "It has ended"),
    )
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<Json<BackfillView>, Problem> {
    Ok(Json(state.engine().scheduler().cancel_backfill(BackfillId(id)).await?.into()))
}
