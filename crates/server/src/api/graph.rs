//! The flow of a job as a graph, as JSON or as a Mermaid flow chart.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use oxbatch_core::Job;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::job::ElementState;

use super::jobs::known;
use crate::error::Problem;
use crate::extract::{PathId, PathName, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::{GraphView, states};

/// The form in which a graph is answered.
pub(crate) struct GraphQuery {
    is_mermaid: bool,
}

impl StrictQuery for GraphQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let format = reader.one("format", |text| match text {
            "json" => Ok(false),
            "mermaid" => Ok(true),
            _ => Err("must be json or mermaid".to_owned()),
        });
        Self { is_mermaid: format.unwrap_or(false) }
    }
}

fn answer(
    job: &Job,
    execution: Option<ExecutionId>,
    states: &BTreeMap<String, ElementState>,
    query: &GraphQuery,
) -> Response {
    if query.is_mermaid {
        return ([(CONTENT_TYPE, "text/plain; charset=utf-8")], job.flow().to_mermaid(states)).into_response();
    }
    Json(GraphView::new(job, execution, states)).into_response()
}

/// Show the flow of a job as a graph.
#[utoipa::path(
    get, path = "/jobs/{name}/graph", tag = "jobs", operation_id = "get_job_graph",
    params(
        ("name" = String, Path, description = "Name of the job", min_length = 1),
        ("format" = Option<String>, Query, description = "`json`, or `mermaid` for a flow chart as text", pattern = "^(json|mermaid)$"),
    ),
    responses(
        (status = 200, description = "The graph", content((GraphView = "application/json"), (String = "text/plain"))),
        (status = 404, description = "There is no such job"),
    )
)]
pub(crate) async fn of_job(
    State(state): State<AppState>,
    PathName(name): PathName,
    Strict(query): Strict<GraphQuery>,
) -> Result<Response, Problem> {
    Ok(answer(known(state.engine(), &name)?, None, &BTreeMap::new(), &query))
}

/// Show the flow of an execution's job as a graph, with the states of the elements.
#[utoipa::path(
    get, path = "/executions/{id}/graph", tag = "executions", operation_id = "get_execution_graph",
    params(
        ("id" = i64, Path, description = "Id of the execution", minimum = 1),
        ("format" = Option<String>, Query, description = "`json`, or `mermaid` for a flow chart as text", pattern = "^(json|mermaid)$"),
    ),
    responses(
        (status = 200, description = "The graph", content((GraphView = "application/json"), (String = "text/plain"))),
        (status = 404, description = "There is no such execution, or the service does not know its job"),
    )
)]
pub(crate) async fn of_execution(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(query): Strict<GraphQuery>,
) -> Result<Response, Problem> {
    let (engine, id) = (state.engine(), ExecutionId(id));
    let execution = engine.execution(id).await?;
    let job = known(engine, &execution.job_name)?;
    let (history, steps) = (engine.repository().flow_history(id).await?, engine.repository().steps(id).await?);
    Ok(answer(job, Some(id), &states(&history, &steps), &query))
}
