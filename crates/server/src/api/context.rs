//! The context of an execution, and those of its steps, as they were committed last.

use axum::Json;
use axum::extract::State;
use oxbatch_core::execution::{ExecutionId, StepExecutionId};
use oxbatch_core::repository::{Missing, RepositoryError};

use crate::access::Sight;
use crate::error::Problem;
use crate::extract::query::id;
use crate::extract::{PathId, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::ContextView;

/// The query of a context.
pub(crate) struct ContextQuery {
    pub(crate) step: Option<StepExecutionId>,
}

impl StrictQuery for ContextQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { step: reader.one("step", id).map(StepExecutionId) }
    }
}

/// The context of an execution, or of one of its steps, as a caller sees it.
pub(crate) async fn shown(
    state: &AppState,
    id: ExecutionId,
    step: Option<StepExecutionId>,
    sight: &Sight,
) -> Result<ContextView, Problem> {
    let found = state.engine().repository().contexts(id, step.into_iter().collect()).await?;
    let context = match step {
        None => {
            state.engine().execution(id).await?;
            found.job
        }
        Some(step) => {
            let missing = RepositoryError::NotFound { what: Missing::StepExecution, id: step.0 };
            Some(found.steps.into_iter().next().ok_or(missing)?.1)
        }
    };
    Ok(ContextView::new(id, step, context.unwrap_or_default(), sight.mask()))
}

/// Show the context of an execution, or of one of its steps.
///
/// It is what was committed last: what a chunk that runs has put into it comes with the chunk. A value of a secret
/// parameter is never in it.
#[utoipa::path(
    get, path = "/executions/{id}/context", tag = "executions", operation_id = "get_context",
    params(
        ("id" = i64, Path, description = "Id of the execution", minimum = 1),
        ("step" = Option<i64>, Query, description = "Id of one of its step executions, for the context of that step", minimum = 1),
    ),
    responses(
        (status = 200, description = "Its context", body = ContextView),
        (status = 404, description = "There is no such execution, or no such step of it"),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathId(id): PathId,
    sight: Sight,
    Strict(query): Strict<ContextQuery>,
) -> Result<Json<ContextView>, Problem> {
    Ok(Json(shown(&state, ExecutionId(id), query.step, &sight).await?))
}
