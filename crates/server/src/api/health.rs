//! Health: liveness of the process, and its readiness to take work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use oxbatch_core::engine::NotReady;
use oxbatch_core::execution::cause_chain;

use crate::error::{Problem, ProblemKind};
use crate::extract::{NoQuery, Strict};
use crate::state::AppState;
use crate::view::HealthView;

/// The time that the repository may take to answer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Report that the process lives.
#[utoipa::path(
    get, path = "/health/live", tag = "health", operation_id = "health_live",
    responses((status = 200, description = "It lives", body = HealthView))
)]
pub(crate) async fn live(Strict(NoQuery): Strict<NoQuery>) -> Json<HealthView> {
    Json(HealthView::LIVE)
}

/// Report whether it can take work: the repository answers, can be written to and is current, and nothing shuts down.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", operation_id = "health_ready",
    responses(
        (status = 200, description = "It can take work", body = HealthView),
        (status = 503, description = "It cannot; `detail` says why"),
    )
)]
pub(crate) async fn ready(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<HealthView>, Problem> {
    let not_ready = |detail: String| Problem::new(ProblemKind::NotReady, detail);
    if state.is_shutting_down() {
        return Err(not_ready(NotReady::ShuttingDown.to_string()));
    }
    state.engine().check_ready().map_err(|reason| match &reason {
        NotReady::NotWritten { cause } => not_ready(reason.to_string()).with_cause(cause.as_str()),
        _ => not_ready(reason.to_string()),
    })?;
    match tokio::time::timeout(HEALTH_TIMEOUT, state.engine().repository().health()).await {
        Ok(Ok(health)) if health.migration == health.expected_migration => Ok(Json(HealthView::READY)),
        Ok(Ok(health)) => Err(not_ready(format!(
            "the job repository has migration {}, this version needs {}",
            health.migration, health.expected_migration
        ))),
        Ok(Err(error)) => {
            Err(not_ready("the job repository does not answer".to_owned()).with_cause(cause_chain(&error)))
        }
        Err(_) => Err(not_ready(format!("the job repository did not answer within {HEALTH_TIMEOUT:?}"))
            .with_cause("the job repository is slow")),
    }
}
