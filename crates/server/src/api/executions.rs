//! Executions: list and detail.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{AppendHeaders, IntoResponse};
use oxbatch_core::execution::{ExecutionId, InstanceId, Status};
use oxbatch_core::job::{DateTime, DateTimeError};
use oxbatch_core::repository::{ExecutionFilter, ExecutionPage, MAX_CHOSEN, PageRequest};
use oxbatch_core::{Engine, JobExecution};

use super::page::List;
use crate::access::Sight;
use crate::error::Problem;
use crate::extract::query::{id, shorten};
use crate::extract::{NoQuery, PathId, QueryReader, Strict, StrictQuery};
use crate::openapi::shapes::{ExecutionIdShape, ParameterMatchShape};
use crate::state::AppState;
use crate::view::{ExecutionView, NewestStep, StatusView};

/// An execution with its progress as of now, as a caller sees it.
pub(crate) async fn shown(engine: &Engine, execution: JobExecution, sight: &Sight) -> Result<ExecutionView, Problem> {
    let newest = match ExecutionView::needs_newest_step(execution.status) {
        true => newest_step(engine, execution.id).await?,
        false => None,
    };
    let held_up_by = engine.held_up_by(&execution).await?;
    let view = ExecutionView::new(execution, engine.registry(), newest.as_ref());
    Ok(sight.execution(view).with_pause(held_up_by))
}

/// The same with the time that is left.
pub(crate) async fn shown_alone(
    engine: &Engine,
    execution: JobExecution,
    sight: &Sight,
) -> Result<ExecutionView, Problem> {
    let forecast = engine.forecast(&execution).await?;
    Ok(shown(engine, execution, sight).await?.with_forecast(forecast))
}

/// From the counters where it runs on this node, otherwise from its row.
async fn newest_step(engine: &Engine, id: ExecutionId) -> Result<Option<NewestStep>, Problem> {
    if let Some(live) = engine.live_steps(id).last() {
        return Ok(Some(live.into()));
    }
    Ok(engine.repository().steps(id).await?.last().map(Into::into))
}

/// The query of a list of executions.
pub(crate) struct ExecutionsQuery {
    pub(crate) filter: ExecutionFilter,
    pub(crate) page: PageRequest,
}

impl StrictQuery for ExecutionsQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let filter = ExecutionFilter {
            job_name: reader.one("job", |text| Ok(text.to_owned())),
            statuses: statuses(reader),
            from: reader.one("from", instant),
            to: reader.one("to", instant),
            instance_id: reader.one("instance", id).map(InstanceId),
            ids: ids(reader),
            parameters: reader.many("parameter", str::parse),
            text: reader.one("text", |text| Ok(text.to_owned())).filter(|text| !text.is_empty()),
        };
        Self { filter, page: List::Executions.page(reader) }
    }
}

/// The executions that a query names.
fn ids(reader: &mut QueryReader) -> Vec<ExecutionId> {
    let ids = reader.many("id", id);
    if ids.len() > MAX_CHOSEN {
        reader.refuse("id", format!("may name {MAX_CHOSEN} executions, and not {}", ids.len()));
    }
    ids.into_iter().map(ExecutionId).collect()
}

pub(crate) fn statuses(reader: &mut QueryReader) -> Vec<Status> {
    reader.many("status", |text| {
        text.parse().map_err(|_| {
            let known: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
            format!("must be one of {}, not '{}'", known.join(", "), shorten(text))
        })
    })
}

pub(super) fn instant(text: &str) -> Result<jiff::Timestamp, String> {
    DateTime::parse(text).map(DateTime::saturating_instant).map_err(|error| match error {
        DateTimeError::NotADate => {
            let text = shorten(text);
            format!("must be a date or a time such as 2024-01-31T08:00:00Z (a + is written %2B), not '{text}'")
        }
        error => format!("{error}: '{}'", shorten(text)),
    })
}

/// A page of executions, of those that a caller may find.
pub(crate) async fn found(
    engine: &Engine,
    filter: ExecutionFilter,
    page: PageRequest,
    sight: &Sight,
) -> Result<ExecutionPage, Problem> {
    let text = filter.text.clone();
    let mut page = engine.repository().executions(filter, page).await?;
    page.executions.retain(|execution| sight.finds(text.as_deref(), execution));
    Ok(page)
}

/// A page of executions and the link to the next.
pub(crate) async fn listed(
    engine: &Engine,
    (filter, page): (ExecutionFilter, PageRequest),
    sight: &Sight,
    uri: &axum::http::Uri,
) -> Result<impl IntoResponse + use<>, Problem> {
    let page = found(engine, filter, page, sight).await?;
    let mut views = Vec::with_capacity(page.executions.len());
    for execution in page.executions {
        views.push(shown(engine, execution, sight).await?);
    }
    Ok((AppendHeaders(List::Executions.link(uri, page.next)?), Json(views)))
}

/// List executions, newest first.
#[utoipa::path(
    get, path = "/executions", tag = "executions", operation_id = "list_executions",
    params(
        ("job" = Option<String>, Query, description = "Only of this job", pattern = "^[^\\u0000\\ufffd]*$"),
        ("status" = Option<Vec<StatusView>>, Query, description = "Only with one of these statuses"),
        ("from" = Option<String>, Query, description = "Only created at or after this time", format = DateTime),
        ("to" = Option<String>, Query, description = "Only created before this time", format = DateTime),
        ("instance" = Option<i64>, Query, description = "Only of this instance", minimum = 1),
        ("id" = Option<Vec<ExecutionIdShape>>, Query, description = "Only one of these, at most 500; those that are not there are passed over"),
        ("parameter" = Option<Vec<ParameterMatchShape>>, Query, description = "Only of instances with this parameter, NAME=VALUE; a page may then have fewer rows than fit, and another one behind it"),
        ("text" = Option<String>, Query, description = "Only with this text in the job's name or the exit message", pattern = "^[^\\u0000\\ufffd]*$"),
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^e[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses(
        (status = 200, description = "A page of executions", body = Vec<ExecutionView>,
            headers(("link" = String, description = "The next page, if there is one"))),
        (status = 404, description = "There is no such job, and there never was"),
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    sight: Sight,
    Strict(query): Strict<ExecutionsQuery>,
) -> Result<impl IntoResponse, Problem> {
    if let Some(name) = &query.filter.job_name {
        state.engine().check_job_name(name).await?;
    }
    listed(state.engine(), (query.filter, query.page), &sight, &uri).await
}

/// Show an execution.
#[utoipa::path(
    get, path = "/executions/{id}", tag = "executions", operation_id = "get_execution",
    params(("id" = i64, Path, description = "Id of the execution", minimum = 1)),
    responses(
        (status = 200, description = "The execution", body = ExecutionView),
        (status = 404, description = "There is no such execution"),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathId(id): PathId,
    sight: Sight,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<ExecutionView>, Problem> {
    let execution = state.engine().execution(ExecutionId(id)).await?;
    Ok(Json(shown_alone(state.engine(), execution, &sight).await?))
}
