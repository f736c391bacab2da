//! Pauses of launches: what is launched is accepted and waits.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::error::Problem;
use crate::extract::body::{JsonBody, NoBody};
use crate::extract::{NoQuery, PathName, Strict};
use crate::state::AppState;
use crate::view::{LaunchPauseInput, LaunchPauseView};

/// Pauses the launches of a job, or all.
pub(crate) async fn begin(
    state: &AppState,
    job: Option<&str>,
    input: &LaunchPauseInput,
) -> Result<LaunchPauseView, Problem> {
    Ok(state.engine().pause_launches(job, &input.reason).await?.into())
}

/// Lets the launches of a job go on, or all.
pub(crate) async fn end(state: &AppState, job: Option<&str>) -> Result<StatusCode, Problem> {
    state.engine().resume_launches(job).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List pauses of launches.
#[utoipa::path(
    get, path = "/launches/pauses", tag = "executions", operation_id = "list_launch_pauses",
    responses((status = 200, description = "The pauses", body = Vec<LaunchPauseView>))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<LaunchPauseView>>, Problem> {
    let pauses = state.engine().repository().launch_pauses().await?;
    Ok(Json(pauses.into_iter().map(Into::into).collect()))
}

/// Pause the launches of a job: they are accepted and wait.
#[utoipa::path(
    post, path = "/jobs/{name}/launches/pause", tag = "executions", operation_id = "pause_launches_of_job",
    params(("name" = String, Path, description = "Name of the job", min_length = 1)),
    request_body(content((LaunchPauseInput = "application/json"))),
    responses(
        (status = 200, description = "They are paused", body = LaunchPauseView),
        (status = 404, description = "There is no such job"),
        (status = 408, description = "The body came too slowly"),
        (status = 409, description = "The reason is empty or too long"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "A field does not fit"),
    )
)]
pub(crate) async fn pause_job(
    State(state): State<AppState>,
    PathName(name): PathName,
    Strict(NoQuery): Strict<NoQuery>,
    JsonBody(input): JsonBody<LaunchPauseInput>,
) -> Result<Json<LaunchPauseView>, Problem> {
    Ok(Json(begin(&state, Some(&name), &input).await?))
}

/// Let the launches of a job go on.
#[utoipa::path(
    post, path = "/jobs/{name}/launches/resume", tag = "executions", operation_id = "resume_launches_of_job",
    params(("name" = String, Path, description = "Name of the job", min_length = 1)),
    responses(
        (status = 204, description = "The executions that wait are run"),
        (status = 404, description = "There is no such job"),
        (status = 409, description = "They are not paused"),
    )
)]
pub(crate) async fn resume_job(
    State(state): State<AppState>,
    PathName(name): PathName,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<StatusCode, Problem> {
    end(&state, Some(&name)).await
}

/// Pause all launches: they are accepted and wait.
#[utoipa::path(
    post, path = "/launches/pause", tag = "executions", operation_id = "pause_all_launches",
    request_body(content((LaunchPauseInput = "application/json"))),
    responses(
        (status = 200, description = "They are paused", body = LaunchPauseView),
        (status = 408, description = "The body came too slowly"),
        (status = 409, description = "The reason is empty or too long"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "A field does not fit"),
    )
)]
pub(crate) async fn pause_all(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    JsonBody(input): JsonBody<LaunchPauseInput>,
) -> Result<Json<LaunchPauseView>, Problem> {
    Ok(Json(begin(&state, None, &input).await?))
}

/// Let all launches go on that no pause of their job holds up.
#[utoipa::path(
    post, path = "/launches/resume", tag = "executions", operation_id = "resume_all_launches",
    responses(
        (status = 204, description = "The executions that wait are run"),
        (status = 409, description = "They are not paused"),
    )
)]
pub(crate) async fn resume_all(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<StatusCode, Problem> {
    end(&state, None).await
}
