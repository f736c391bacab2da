//! The skipped items of an execution, by fault.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use oxbatch_core::execution::ExecutionId;

use super::command::{Commands, of_execution};
use super::frame::{Frame, Visitor, page};
use super::skip_groups::Groups;
use crate::error::Problem;
use crate::extract::PathId;
use crate::state::AppState;
use crate::view::StepView;

#[derive(Template)]
#[template(path = "skips.html")]
struct SkipsPage {
    frame: Frame,
    id: i64,
    job: String,
    found: Groups,
    rerun: Option<Commands>,
    rerun_by: Option<i64>,
}

/// The page of the skipped items.
pub(crate) async fn show(
    State(state): State<AppState>,
    PathId(id): PathId,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let (engine, id) = (state.engine(), ExecutionId(id));
    let execution = engine.execution(id).await?;
    let now = engine.config().clock.now();
    let steps = engine.repository().steps(id).await?;
    let steps: Vec<StepView> = steps.into_iter().map(|step| StepView::new(step, &[], now)).collect();
    let found = Groups::of(engine, &steps, visitor.sight.mask()).await?;
    let can_rerun = !execution.status.is_running() && found.pending > 0 && visitor.operates();
    page(&SkipsPage {
        id: id.0,
        job: execution.job_name,
        rerun: can_rerun.then(|| of_execution(&visitor, id.0, "rerun")),
        rerun_by: execution.rerun_by.map(|id| id.0),
        frame: Frame::new(format!("Skipped items of #{id}"), "executions", visitor),
        found,
    })
}
