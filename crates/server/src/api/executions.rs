//! Executions: list and detail.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{AppendHeaders, IntoResponse};
use oxbatch_core::execution::{ExecutionId, InstanceId, Status};
use oxbatch_core::job::DateTime;
use oxbatch_core::repository::{ExecutionFilter, PageRequest};
use oxbatch_core::{Engine, JobExecution};
use serde::Serialize;
use utoipa::ToSchema;

use super::page::List;
use super::value::{ValueView, parameters, time};
use crate::error::Problem;
use crate::extract::query::{id, shorten};
use crate::extract::{NoQuery, PathId, QueryReader, Strict, StrictQuery};
use crate::state::AppState;

/// Where an execution or a step stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = Status)]
pub(crate) enum StatusView {
    Starting,
    Started,
    Stopping,
    Stopped,
    Failed,
    Completed,
    Abandoned,
}

/// One attempt to run a job instance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Execution)]
pub(crate) struct ExecutionView {
    #[schema(minimum = 1)]
    id: i64,
    #[schema(minimum = 1)]
    job_instance_id: i64,
    job_name: String,
    status: StatusView,
    /// When the launch was accepted.
    #[schema(format = DateTime)]
    create_time: String,
    /// When a node began to run it.
    #[schema(format = DateTime, required)]
    start_time: Option<String>,
    /// When it ended.
    #[schema(format = DateTime, required)]
    end_time: Option<String>,
    /// Free text, by default the name of the final status.
    #[schema(required)]
    exit_code: Option<String>,
    /// What there is to say of the end; for a failure the whole chain of causes.
    #[schema(required)]
    exit_message: Option<String>,
    /// The parameters of the launch by name; secrets are `***`.
    parameters: BTreeMap<String, ValueView>,
    /// Whether every step was told to run from its start.
    forced: bool,
    /// Node that runs or ran it.
    #[schema(required)]
    node: Option<String>,
    /// Share of the work that is done: 1 when COMPLETED, null when it ended otherwise.
    #[schema(minimum = 0, maximum = 1, required)]
    progress: Option<f64>,
}

impl From<Status> for StatusView {
    fn from(status: Status) -> Self {
        match status {
            Status::Starting => Self::Starting,
            Status::Started => Self::Started,
            Status::Stopping => Self::Stopping,
            Status::Stopped => Self::Stopped,
            Status::Failed => Self::Failed,
            Status::Completed => Self::Completed,
            Status::Abandoned => Self::Abandoned,
        }
    }
}

impl ExecutionView {
    pub(crate) async fn of(engine: &Engine, execution: JobExecution) -> Result<Self, Problem> {
        let progress = progress(engine, &execution).await?;
        Ok(Self {
            id: execution.id.0,
            job_instance_id: execution.instance_id.0,
            status: execution.status.into(),
            create_time: time(execution.create_time),
            start_time: execution.start_time.map(time),
            end_time: execution.end_time.map(time),
            exit_code: execution.exit_code,
            exit_message: execution.exit_message,
            parameters: parameters(&execution.parameters),
            forced: execution.forced,
            node: execution.node,
            progress,
            job_name: execution.job_name,
        })
    }
}

/// Steps that are done, plus the share of the one that runs, of all steps of the job.
///
/// Steps run in their order, and a restart has no rows for those that are complete already: so the place of the newest
/// step tells how many are done.
async fn progress(engine: &Engine, execution: &JobExecution) -> Result<Option<f64>, Problem> {
    match execution.status {
        Status::Completed => return Ok(Some(1.0)),
        Status::Starting => return Ok(Some(0.0)),
        Status::Started | Status::Stopping => {}
        Status::Stopped | Status::Failed | Status::Abandoned => return Ok(None),
    }
    let Some(job) = engine.registry().get(&execution.job_name) else { return Ok(None) };
    let newest = match engine.live_steps(execution.id).pop() {
        Some(live) => Some((live.step_name, live.live.progress().unwrap_or(0.0))),
        None => {
            let steps = engine.repository().steps(execution.id).await?;
            let share = |status| if status == Status::Completed { Some(1.0) } else { None };
            steps.into_iter().next_back().map(|step| {
                let done = share(step.status).or(step.progress).unwrap_or(0.0);
                (step.step_name, done)
            })
        }
    };
    let Some((name, share)) = newest else { return Ok(Some(0.0)) };
    let Some(place) = job.steps().iter().position(|step| step.name() == name) else { return Ok(None) };
    #[expect(clippy::cast_precision_loss, reason = "a job has few steps")]
    let done = (place as f64 + share.clamp(0.0, 1.0)) / job.steps().len() as f64;
    Ok(Some(done))
}

/// The query of a list of executions.
pub(crate) struct ExecutionsQuery {
    filter: ExecutionFilter,
    page: PageRequest,
}

impl StrictQuery for ExecutionsQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let filter = ExecutionFilter {
            job_name: reader.one("job", |text| Ok(text.to_owned())),
            statuses: statuses(reader),
            from: reader.one("from", instant),
            to: reader.one("to", instant),
            instance_id: reader.one("instance", id).map(InstanceId),
        };
        Self { filter, page: List::Executions.page(reader) }
    }
}

pub(crate) fn statuses(reader: &mut QueryReader) -> Vec<Status> {
    reader.many("status", |text| {
        text.parse().map_err(|_| {
            let known: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
            format!("must be one of {}, not '{}'", known.join(", "), shorten(text))
        })
    })
}

fn instant(text: &str) -> Result<jiff::Timestamp, String> {
    let refuse = || {
        format!("must be a date or a time such as 2024-01-31T08:00:00Z (a + is written %2B), not '{}'", shorten(text))
    };
    DateTime::parse(text).map(DateTime::instant).ok_or_else(refuse)
}

/// A page of executions and the link to the next.
pub(crate) async fn listed(
    engine: &Engine,
    filter: ExecutionFilter,
    page: PageRequest,
    uri: &axum::http::Uri,
) -> Result<impl IntoResponse + use<>, Problem> {
    let page = engine.repository().executions(filter, page).await?;
    let mut views = Vec::with_capacity(page.executions.len());
    for execution in page.executions {
        views.push(ExecutionView::of(engine, execution).await?);
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
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^e[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses((status = 200, description = "A page of executions", body = Vec<ExecutionView>,
        headers(("link" = String, description = "The next page, if there is one"))))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Strict(query): Strict<ExecutionsQuery>,
) -> Result<impl IntoResponse, Problem> {
    listed(state.engine(), query.filter, query.page, &uri).await
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
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<ExecutionView>, Problem> {
    let execution = state.engine().execution(ExecutionId(id)).await?;
    Ok(Json(ExecutionView::of(state.engine(), execution).await?))
}
