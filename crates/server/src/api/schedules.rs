//! Schedules: list and detail, add and remove, pause and resume, run by hand.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use oxbatch_core::engine::{DEFAULT_NEXT, Scheduler};
use oxbatch_core::repository::PauseScope;

use crate::access::Sight;
use crate::error::{Problem, ProblemKind};
use crate::extract::body::{JsonBody, NoBody};
use crate::extract::{NoQuery, PathName, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::{FireView, PauseInput, PauseView, ScheduleInput, ScheduleView};

/// Most of the next fires that a call shows.
const MAX_NEXT: usize = 500;

/// The query of a schedule.
pub(crate) struct NextQuery {
    next: usize,
}

impl StrictQuery for NextQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let next = reader.one("next", |text| {
            let parsed = text.parse().ok().filter(|next| *next <= MAX_NEXT && !text.starts_with('+'));
            parsed.ok_or_else(|| format!("must be a whole number from 0 to {MAX_NEXT}"))
        });
        Self { next: next.unwrap_or(DEFAULT_NEXT) }
    }
}

fn scheduler(state: &AppState) -> Scheduler {
    state.engine().scheduler()
}

/// List schedules by name.
#[utoipa::path(
    get, path = "/schedules", tag = "schedules", operation_id = "list_schedules",
    params(("next" = Option<u32>, Query, description = "Next fires to show of each", minimum = 0, maximum = 500)),
    responses((status = 200, description = "The schedules", body = Vec<ScheduleView>))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Strict(query): Strict<NextQuery>,
) -> Result<Json<Vec<ScheduleView>>, Problem> {
    let schedules = scheduler(&state).list(query.next).await?;
    Ok(Json(schedules.into_iter().map(Into::into).collect()))
}

/// Show a schedule, what comes next, and what the next changes of the clock do to it.
#[utoipa::path(
    get, path = "/schedules/{name}", tag = "schedules", operation_id = "get_schedule",
    params(
        ("name" = String, Path, description = "Name of the schedule", min_length = 1),
        ("next" = Option<u32>, Query, description = "Next fires to show", minimum = 0, maximum = 500),
    ),
    responses(
        (status = 200, description = "The schedule", body = ScheduleView),
        (status = 404, description = "There is no such schedule"),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathName(name): PathName,
    Strict(query): Strict<NextQuery>,
) -> Result<Json<ScheduleView>, Problem> {
    Ok(Json(scheduler(&state).get(&name, query.next).await?.into()))
}

/// Add a schedule to a job, or change one that was added.
#[utoipa::path(
    post, path = "/schedules", tag = "schedules", operation_id = "add_schedule",
    request_body(content((ScheduleInput = "application/json"))),
    responses(
        (status = 200, description = "It is there, and its past begins now", body = ScheduleView),
        (status = 404, description = "There is no such job"),
        (status = 408, description = "The body came too slowly"),
        (status = 409, description = "The name is that of a schedule in code, or of another job's"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "It is no schedule, or does not fit its job"),
    )
)]
pub(crate) async fn add(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    JsonBody(input): JsonBody<ScheduleInput>,
) -> Result<Json<ScheduleView>, Problem> {
    let schedule = input.schedule().map_err(|problem| Problem::new(ProblemKind::InvalidSchedule, problem))?;
    Ok(Json(scheduler(&state).add(&input.job, &schedule).await?.into()))
}

/// Remove a schedule that was added; its fires stay.
#[utoipa::path(
    post, path = "/schedules/{name}/remove", tag = "schedules", operation_id = "remove_schedule",
    params(("name" = String, Path, description = "Name of the schedule", min_length = 1)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is no such schedule"),
        (status = 409, description = "It stands in the code of its job"),
    )
)]
pub(crate) async fn remove(
    State(state): State<AppState>,
    PathName(name): PathName,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<StatusCode, Problem> {
    scheduler(&state).remove(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Launch the job of a schedule now, paused or not.
#[utoipa::path(
    post, path = "/schedules/{name}/run", tag = "schedules", operation_id = "run_schedule",
    params(("name" = String, Path, description = "Name of the schedule", min_length = 1)),
    responses(
        (status = 200, description = "The fire; its outcome says whether it has launched", body = FireView),
        (status = 404, description = "There is no such schedule"),
        (status = 409, description = "It waits for files, or the parameters of its fire do not fit its job"),
    )
)]
pub(crate) async fn run(
    State(state): State<AppState>,
    PathName(name): PathName,
    sight: Sight,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<Json<FireView>, Problem> {
    Ok(Json(sight.fire(scheduler(&state).run_now(&name).await?.into())))
}

/// Begins a pause.
pub(crate) async fn begin_pause(
    state: &AppState,
    scope: PauseScope,
    name: &str,
    input: PauseInput,
) -> Result<PauseView, Problem> {
    let until = input.end().map_err(|problem| Problem::new(ProblemKind::InvalidSchedule, problem))?;
    Ok(scheduler(state).pause(scope, name, &input.reason, until).await?.into())
}

/// Ends a pause.
pub(crate) async fn end_pause(state: &AppState, scope: PauseScope, name: &str) -> Result<StatusCode, Problem> {
    scheduler(state).resume(scope, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pause a schedule: what it leaves out until it is resumed is no outage.
#[utoipa::path(
    post, path = "/schedules/{name}/pause", tag = "schedules", operation_id = "pause_schedule",
    params(("name" = String, Path, description = "Name of the schedule", min_length = 1)),
    request_body(content((PauseInput = "application/json"))),
    responses(
        (status = 200, description = "It is paused", body = PauseView),
        (status = 404, description = "There is no such schedule"),
        (status = 408, description = "The body came too slowly"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "The reason or the end does not fit"),
    )
)]
pub(crate) async fn pause(
    State(state): State<AppState>,
    PathName(name): PathName,
    Strict(NoQuery): Strict<NoQuery>,
    JsonBody(input): JsonBody<PauseInput>,
) -> Result<Json<PauseView>, Problem> {
    Ok(Json(begin_pause(&state, PauseScope::Schedule, &name, input).await?))
}

/// Let a paused schedule go on.
#[utoipa::path(
    post, path = "/schedules/{name}/resume", tag = "schedules", operation_id = "resume_schedule",
    params(("name" = String, Path, description = "Name of the schedule", min_length = 1)),
    responses(
        (status = 204, description = "It goes on from now"),
        (status = 404, description = "There is no such schedule"),
        (status = 409, description = "It is not paused"),
    )
)]
pub(crate) async fn resume(
    State(state): State<AppState>,
    PathName(name): PathName,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<StatusCode, Problem> {
    end_pause(&state, PauseScope::Schedule, &name).await
}

/// Pause the schedules of a job.
#[utoipa::path(
    post, path = "/jobs/{name}/schedules/pause", tag = "schedules", operation_id = "pause_schedules_of_job",
    params(("name" = String, Path, description = "Name of the job", min_length = 1)),
    request_body(content((PauseInput = "application/json"))),
    responses(
        (status = 200, description = "They are paused", body = PauseView),
        (status = 404, description = "There is no such job"),
        (status = 408, description = "The body came too slowly"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "The reason or the end does not fit"),
    )
)]
pub(crate) async fn pause_job(
    State(state): State<AppState>,
    PathName(name): PathName,
    Strict(NoQuery): Strict<NoQuery>,
    JsonBody(input): JsonBody<PauseInput>,
) -> Result<Json<PauseView>, Problem> {
    Ok(Json(begin_pause(&state, PauseScope::Job, &name, input).await?))
}

/// Let the schedules of a job go on.
#[utoipa::path(
    post, path = "/jobs/{name}/schedules/resume", tag = "schedules", operation_id = "resume_schedules_of_job",
    params(("name" = String, Path, description = "Name of the job", min_length = 1)),
    responses(
        (status = 204, description = "They go on from now"),
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
    end_pause(&state, PauseScope::Job, &name).await
}

/// List the pauses of schedules, of jobs and of all.
#[utoipa::path(
    get, path = "/pauses", tag = "schedules", operation_id = "list_pauses",
    responses((status = 200, description = "The pauses", body = Vec<PauseView>))
)]
pub(crate) async fn pauses(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<PauseView>>, Problem> {
    Ok(Json(scheduler(&state).pauses().await?.into_iter().map(Into::into).collect()))
}

/// Pause all schedules.
#[utoipa::path(
    post, path = "/pauses", tag = "schedules", operation_id = "pause_all_schedules",
    request_body(content((PauseInput = "application/json"))),
    responses(
        (status = 200, description = "They are paused", body = PauseView),
        (status = 408, description = "The body came too slowly"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "The reason or the end does not fit"),
    )
)]
pub(crate) async fn pause_all(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    JsonBody(input): JsonBody<PauseInput>,
) -> Result<Json<PauseView>, Problem> {
    Ok(Json(begin_pause(&state, PauseScope::All, "", input).await?))
}

/// Let all schedules go on that nothing else holds.
#[utoipa::path(
    post, path = "/pauses/resume", tag = "schedules", operation_id = "resume_all_schedules",
    responses(
        (status = 204, description = "They go on from now"),
        (status = 409, description = "They are not paused"),
    )
)]
pub(crate) async fn resume_all(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<StatusCode, Problem> {
    end_pause(&state, PauseScope::All, "").await
}
