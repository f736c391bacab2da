//! The steps of an execution, as far as they have run.

use axum::Json;
use axum::extract::State;
use oxbatch_core::execution::ExecutionId;

use crate::access::Sight;
use crate::error::Problem;
use crate::extract::{NoQuery, PathId, Strict};
use crate::state::AppState;
use crate::view::StepView;

/// List the steps of an execution in the order in which they began.
#[utoipa::path(
    get, path = "/executions/{id}/steps", tag = "executions", operation_id = "list_steps",
    params(("id" = i64, Path, description = "Id of the execution", minimum = 1)),
    responses(
        (status = 200, description = "Its steps", body = Vec<StepView>),
        (status = 404, description = "There is no such execution"),
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    PathId(id): PathId,
    sight: Sight,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<StepView>>, Problem> {
    let (engine, id) = (state.engine(), ExecutionId(id));
    // Sampled before the rows are read: a step that ends in between is then shown by its row.
    let live = engine.live_steps(id);
    let steps = engine.repository().steps(id).await?;
    if steps.is_empty() {
        engine.execution(id).await?;
    }
    let now = engine.config().clock.now();
    Ok(Json(steps.into_iter().map(|step| sight.step(StepView::new(step, &live, now))).collect()))
}
