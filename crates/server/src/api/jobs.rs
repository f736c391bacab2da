//! The jobs that the service knows: their definitions and how they fared.

use axum::Json;
use axum::extract::State;
use oxbatch_core::engine::OperatorError;
use oxbatch_core::{Engine, Job};

use super::executions::shown;
use crate::access::Sight;
use crate::error::Problem;
use crate::extract::{NoQuery, PathName, Strict};
use crate::state::AppState;
use crate::view::JobView;

/// The job of a name that the service must know.
pub(crate) fn known<'a>(engine: &'a Engine, name: &str) -> Result<&'a Job, Problem> {
    engine.registry().get(name).ok_or_else(|| OperatorError::UnknownJob { name: name.to_owned() }.into())
}

async fn described(state: &AppState, job: &Job, sight: &Sight) -> Result<JobView, Problem> {
    let engine = state.engine();
    let counts = state.job_counts().of(engine.repository(), job.name()).await?;
    let last_execution = match engine.repository().newest_of_job(job.name()).await? {
        Some(execution) => Some(shown(engine, execution, sight).await?),
        None => None,
    };
    Ok(JobView::new(job, counts, last_execution))
}

/// List the jobs in the order of their names.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs", operation_id = "list_jobs",
    responses((status = 200, description = "The jobs", body = Vec<JobView>))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    sight: Sight,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<JobView>>, Problem> {
    let engine = state.engine();
    let mut views = Vec::new();
    for job in engine.registry().iter() {
        views.push(described(&state, job, &sight).await?);
    }
    Ok(Json(views))
}

/// Show a job.
#[utoipa::path(
    get, path = "/jobs/{name}", tag = "jobs", operation_id = "get_job",
    params(("name" = String, Path, description = "Name of the job", min_length = 1)),
    responses(
        (status = 200, description = "The job", body = JobView),
        (status = 404, description = "There is no such job"),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathName(name): PathName,
    sight: Sight,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<JobView>, Problem> {
    let engine = state.engine();
    let job = known(engine, &name)?;
    Ok(Json(described(&state, job, &sight).await?))
}
