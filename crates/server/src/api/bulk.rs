//! Bulk work: planned, begun, watched, cancelled.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{AppendHeaders, IntoResponse, Response};
use oxbatch_core::repository::{BulkAction, BulkId, ExecutionFilter, PageRequest};

use super::page::List;
use crate::error::{Problem, ProblemKind};
use crate::extract::body::{JsonBody, NoBody};
use crate::extract::{NoQuery, PathId, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::{BulkInput, BulkPlanView, BulkResultView, BulkView};

/// The action and the filter of what is asked for.
pub(crate) fn request(input: &BulkInput) -> Result<(BulkAction, ExecutionFilter), Problem> {
    input.request().map_err(|problem| Problem::new(ProblemKind::NoObject, problem))
}

/// Restart, stop or abandon all executions that a filter finds.
///
/// Only the last execution of an instance is acted on, and only where its status goes with the action; the others are
/// left out with a reason. With `dry_run` they are counted, and nothing is written. The nodes do the work, one
/// execution after the other, from the newest that there is now.
#[utoipa::path(
    post, path = "/bulk", tag = "executions", operation_id = "start_bulk",
    request_body(content((BulkInput = "application/json"))),
    responses(
        (status = 200, description = "What it would do", body = BulkPlanView),
        (status = 202, description = "It has begun", body = BulkView,
            headers(("location" = String, description = "Where it is watched"))),
        (status = 408, description = "The body came too slowly"),
        (status = 409, description = "The same is running, or the filter is empty"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "A field does not fit"),
    )
)]
pub(crate) async fn start(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    JsonBody(input): JsonBody<BulkInput>,
) -> Result<Response, Problem> {
    let (action, filter) = request(&input)?;
    if input.dry_run {
        let plan: BulkPlanView = state.engine().plan_bulk(action, &filter).await?.into();
        return Ok(Json(plan).into_response());
    }
    let bulk: BulkView = state.engine().start_bulk(action, filter).await?.into();
    let location = AppendHeaders([(LOCATION, format!("/bulk/{}", bulk.id))]);
    Ok((StatusCode::ACCEPTED, location, Json(bulk)).into_response())
}

/// List bulk work, newest first.
#[utoipa::path(
    get, path = "/bulk", tag = "executions", operation_id = "list_bulk",
    responses((status = 200, description = "At most 500 of them", body = Vec<BulkView>))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<BulkView>>, Problem> {
    Ok(Json(state.engine().bulks().await?.into_iter().map(Into::into).collect()))
}

/// Show bulk work and its progress.
#[utoipa::path(
    get, path = "/bulk/{id}", tag = "executions", operation_id = "get_bulk",
    params(("id" = i64, Path, description = "Id of the bulk", minimum = 1)),
    responses(
        (status = 200, description = "The bulk", body = BulkView),
        (status = 404, description = "There is no such bulk"),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<BulkView>, Problem> {
    Ok(Json(state.engine().bulk(BulkId(id)).await?.into()))
}

/// The query of a list of results.
pub(crate) struct ResultsQuery {
    page: PageRequest,
}

impl StrictQuery for ResultsQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { page: List::Bulk.page(reader) }
    }
}

/// List the results of bulk work, newest execution first.
#[utoipa::path(
    get, path = "/bulk/{id}/results", tag = "executions", operation_id = "list_bulk_results",
    params(
        ("id" = i64, Path, description = "Id of the bulk", minimum = 1),
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^b[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses(
        (status = 200, description = "A page of results", body = Vec<BulkResultView>,
            headers(("link" = String, description = "The next page, if there is one"))),
        (status = 404, description = "There is no such bulk"),
    )
)]
pub(crate) async fn results(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    PathId(id): PathId,
    Strict(query): Strict<ResultsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = state.engine().bulk_results(BulkId(id), query.page).await?;
    let views: Vec<BulkResultView> = page.results.into_iter().map(Into::into).collect();
    Ok((AppendHeaders(List::Bulk.link(&uri, page.next)?), Json(views)))
}

/// Cancel bulk work: what it has done stays.
#[utoipa::path(
    post, path = "/bulk/{id}/cancel", tag = "executions", operation_id = "cancel_bulk",
    params(("id" = i64, Path, description = "Id of the bulk", minimum = 1)),
    responses(
        (status = 200, description = "It is cancelled", body = BulkView),
        (status = 404, description = "There is no such bulk"),
        (status = 409, description = "It has ended"),
    )
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<Json<BulkView>, Problem> {
    Ok(Json(state.engine().cancel_bulk(BulkId(id)).await?.into()))
}
