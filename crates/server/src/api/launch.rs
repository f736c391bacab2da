//! Launching a job.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use oxbatch_core::engine::{LaunchOptions, OperatorError};
use oxbatch_core::execution::{ExecutionId, Status};
use oxbatch_core::repository::Launched;

use crate::error::{Problem, ProblemKind};
use crate::extract::body::LaunchBody;
use crate::extract::query::{flag, priority, wait};
use crate::extract::{PathName, QueryReader, Strict, StrictQuery, header};
use crate::state::AppState;
use crate::view::{LaunchView, ValueView};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The query of a launch.
pub(crate) struct LaunchQuery {
    force: bool,
    new_run: bool,
    accept_changes: bool,
    priority: Option<i32>,
    wait: Option<Duration>,
}

impl StrictQuery for LaunchQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self {
            force: reader.one("force", flag).unwrap_or(false),
            new_run: reader.one("new", flag).unwrap_or(false),
            accept_changes: reader.one("accept_changes", flag).unwrap_or(false),
            priority: reader.one("priority", priority),
            wait: reader.one("wait", wait),
        }
    }
}

/// Launch a job.
///
/// The same job with the same identifying parameters is the same instance: when its last execution failed or was
/// stopped, the launch goes on where that one was.
#[utoipa::path(
    post, path = "/jobs/{name}/launch", tag = "jobs", operation_id = "launch_job",
    params(
        ("name" = String, Path, description = "Name of the job", min_length = 1),
        ("force" = Option<bool>, Query, description = "Run every step from its start"),
        ("new" = Option<bool>, Query,
            description = "Launch a new run: an instance of its own, with the parameter `run`, one more than the greatest of the job's"),
        ("accept_changes" = Option<bool>, Query,
            description = "Go on also where the definition of the job has changed in what the past of the instance depends on"),
        ("priority" = Option<i32>, Query, minimum = -1000, maximum = 1000,
            description = "Rank in the queue: higher ones go first, the oldest of equals; the job's own unless given"),
        ("wait" = Option<String>, Query, description = "Answer when the execution has ended, or after this time (at most 5m)",
            pattern = "^([0-9]{1,5}ms|[0-9]{1,2}s|[0-5]m)$", example = "30s"),
        ("idempotency-key" = Option<String>, Header,
            description = "The same key with the same launch gets the first answer again for 24 hours",
            pattern = "^[!-~]{1,255}$", nullable = false),
        ("traceparent" = Option<String>, Header,
            description = "The caller's span, as W3C Trace Context has it: kept with the execution, whose spans are its children; one that is not valid is ignored",
            example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", nullable = false),
    ),
    request_body(
        description = "The parameters of the launch by name, or nothing. Dates are strings.",
        content((std::collections::HashMap<String, ValueView> = "application/json"))
    ),
    responses(
        (status = 202, description = "Accepted: the execution runs even if this process dies", body = LaunchView, headers(
            ("location" = String, description = "Path of the execution"),
            ("idempotency-replayed" = String, description = "`true` when it is the answer to an earlier launch"),
        )),
        (status = 404, description = "There is no such job"),
        (status = 408, description = "The body came too slowly"),
        (status = 409, description = "The instance is running, was abandoned, failed and is not restartable, or its job is defined otherwise by now; `execution_id` names the execution"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "The parameters do not fit; `errors` names each that is wrong"),
        (status = 429, description = "As many launches wait as may"),
    )
)]
pub(crate) async fn launch(
    State(state): State<AppState>,
    PathName(job_name): PathName,
    Strict(query): Strict<LaunchQuery>,
    headers: HeaderMap,
    LaunchBody(given): LaunchBody,
) -> Result<impl IntoResponse, Problem> {
    let options = LaunchOptions {
        force: query.force,
        new_run: query.new_run,
        idempotency_key: header::idempotency_key(&headers)?,
        priority: query.priority,
        accept_changes: query.accept_changes,
        trace_parent: header::trace_parent(&headers),
    };
    let launched = state.engine().launch(&job_name, given, options).await?;
    Ok(answer(&state, launched, query.wait).await)
}

pub(super) async fn answer(state: &AppState, launched: Launched, wait: Option<Duration>) -> impl IntoResponse + use<> {
    let execution = launched.execution;
    let status = match wait {
        Some(at_most) => state.wait(execution.id, at_most).await.map_or(execution.status, |execution| execution.status),
        // Of a replay too: the first answer is given again, whatever has become of the execution since.
        None => Status::Starting,
    };
    let location = AppendHeaders([(LOCATION, format!("/executions/{}", execution.id))]);
    let replayed = AppendHeaders(launched.replayed.then_some((REPLAYED, "true")));
    (StatusCode::ACCEPTED, location, replayed, Json(LaunchView::new(execution, status)))
}

/// The refusal of what was asked for an execution: it exists, but its job may be unknown to this service by now.
pub(crate) fn unknown_job_of(id: ExecutionId, error: OperatorError) -> Problem {
    match error {
        OperatorError::UnknownJob { name } => {
            let detail = format!("its job '{name}' is not part of this service any more");
            Problem::new(ProblemKind::WrongStatus, detail).with_execution(id)
        }
        error => error.into(),
    }
}
