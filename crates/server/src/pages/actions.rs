//! The buttons of an execution, by the same calls as the interface, and the page of a plan that holds no more.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use oxbatch_core::engine::OperatorError;
use oxbatch_core::execution::ExecutionId;

use super::form::Form;
use super::frame::{Frame, Visitor, page_with};
use super::plan::PlanPart;
use crate::api::launch::unknown_job_of;
use crate::error::{Problem, ProblemKind};
use crate::extract::PathId;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "stale.html")]
struct StalePage {
    frame: Frame,
    plan: PlanPart,
}

/// Leads on to the page of an execution.
pub(super) fn to_execution(id: ExecutionId) -> Response {
    Redirect::to(&format!("/ui/executions/{id}")).into_response()
}

/// Asks an execution to stop.
pub(crate) async fn stop(State(state): State<AppState>, PathId(id): PathId, _: Form) -> Result<Response, Problem> {
    let stopped = state.engine().stop(ExecutionId(id)).await?;
    Ok(to_execution(stopped.id))
}

/// Gives an execution up.
pub(crate) async fn abandon(State(state): State<AppState>, PathId(id): PathId, _: Form) -> Result<Response, Problem> {
    let abandoned = state.engine().abandon(ExecutionId(id)).await?;
    Ok(to_execution(abandoned.id))
}

/// Restarts an execution as the plan says that was shown; another one is shown instead.
pub(crate) async fn restart(
    State(state): State<AppState>,
    PathId(id): PathId,
    visitor: Visitor,
    form: Form,
) -> Result<Response, Problem> {
    let id = ExecutionId(id);
    // Without a plan nobody has been shown what it does.
    let Some(tag) = form.get("plan") else {
        let detail = "a restart needs the tag of the plan that was shown: open the execution and press its button";
        return Err(Problem::new(ProblemKind::MalformedBody, detail).with_execution(id));
    };
    match state.engine().restart_as_planned(id, Some(tag), form.is_on("accept_changes")).await {
        Ok(launched) => Ok(to_execution(launched.execution.id)),
        Err(OperatorError::StalePlan { plan, .. }) => {
            let plan = PlanPart::new((*plan).into(), &visitor);
            let frame = Frame::new("The plan has changed", "executions", visitor);
            page_with(StatusCode::CONFLICT, &StalePage { frame, plan })
        }
        Err(error) => Err(unknown_job_of(id, error)),
    }
}

/// Runs the skipped items of an execution again.
pub(crate) async fn rerun(State(state): State<AppState>, PathId(id): PathId, _: Form) -> Result<Response, Problem> {
    let of = ExecutionId(id);
    let rerun = state.engine().rerun_skips(of).await.map_err(|error| unknown_job_of(of, error))?;
    Ok(to_execution(rerun.launched.execution.id))
}
