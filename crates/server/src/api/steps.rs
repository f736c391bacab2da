//! The steps of an execution, as far as they have run.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use oxbatch_core::StepExecution;
use oxbatch_core::execution::ExecutionId;
use serde::Serialize;
use utoipa::ToSchema;

use super::executions::StatusView;
use super::value::time;
use crate::error::Problem;
use crate::extract::{NoQuery, PathId, Strict};
use crate::state::AppState;

/// One attempt to run a step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StepExecution)]
pub(crate) struct StepView {
    #[schema(minimum = 1)]
    id: i64,
    #[schema(minimum = 1)]
    job_execution_id: i64,
    step_name: String,
    status: StatusView,
    /// When it began.
    #[schema(format = DateTime)]
    start_time: String,
    /// When it ended.
    #[schema(format = DateTime, required)]
    end_time: Option<String>,
    /// Free text, by default the name of the final status.
    #[schema(required)]
    exit_code: Option<String>,
    /// What there is to say of the end; for a failure the whole chain of causes.
    #[schema(required)]
    exit_message: Option<String>,
    /// Additional attempts made.
    #[schema(minimum = 0)]
    retry_count: i64,
    /// Items read.
    #[schema(minimum = 0)]
    read_count: i64,
    /// Items written in committed chunks.
    #[schema(minimum = 0)]
    write_count: i64,
    /// Items that the processor left out.
    #[schema(minimum = 0)]
    filter_count: i64,
    /// Committed chunks.
    #[schema(minimum = 0)]
    commit_count: i64,
    /// Items skipped in reading, processing and writing.
    #[schema(minimum = 0)]
    skip_count: i64,
    /// Chunks that were rolled back.
    #[schema(minimum = 0)]
    rollback_count: i64,
    /// Items that could not be read.
    #[schema(minimum = 0)]
    read_skip_count: i64,
    /// Items that could not be processed.
    #[schema(minimum = 0)]
    process_skip_count: i64,
    /// Items that could not be written.
    #[schema(minimum = 0)]
    write_skip_count: i64,
    /// Items read per second so far.
    #[schema(minimum = 0, required)]
    items_per_second: Option<f64>,
    /// Share of the input that is done, where the reader can tell.
    #[schema(minimum = 0, maximum = 1, required)]
    progress: Option<f64>,
}

impl StepView {
    fn of(step: StepExecution, now: Timestamp) -> Self {
        let counters = step.counters;
        let seconds = step.end_time.unwrap_or(now).duration_since(step.start_time).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let rate = (seconds > 0.0).then(|| counters.read as f64 / seconds);
        Self {
            id: step.id.0,
            job_execution_id: step.execution_id.0,
            step_name: step.step_name,
            status: step.status.into(),
            start_time: time(step.start_time),
            end_time: step.end_time.map(time),
            exit_code: step.exit_code,
            exit_message: step.exit_message,
            retry_count: counters.retry,
            read_count: counters.read,
            write_count: counters.write,
            filter_count: counters.filter,
            commit_count: counters.commit,
            skip_count: counters.skip(),
            rollback_count: counters.rollback,
            read_skip_count: counters.read_skip,
            process_skip_count: counters.process_skip,
            write_skip_count: counters.write_skip,
            items_per_second: rate,
            progress: step.progress.map(|share| share.clamp(0.0, 1.0)),
        }
    }
}

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
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<StepView>>, Problem> {
    let (engine, id) = (state.engine(), ExecutionId(id));
    // Sampled before the rows are read: a step that ends in between is then shown by its row.
    let live = engine.live_steps(id);
    let mut steps = engine.repository().steps(id).await?;
    if steps.is_empty() {
        engine.execution(id).await?;
    }
    for step in steps.iter_mut().filter(|step| step.status.is_running()) {
        if let Some(sample) = live.iter().find(|live| live.step_id == step.id) {
            step.counters = sample.live.counters();
            step.progress = sample.live.progress();
        }
    }
    let now = engine.config().clock.now();
    Ok(Json(steps.into_iter().map(|step| StepView::of(step, now)).collect()))
}
