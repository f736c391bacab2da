//! The events of an execution as a stream: its status, and how far its steps are, until it has ended.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::{JobExecution, StepExecution};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::executions::shown_alone;
use crate::access::Sight;
use crate::error::{Problem, ProblemKind};
use crate::extract::{NoQuery, PathId, Strict};
use crate::openapi::shapes::EventShape;
use crate::state::AppState;
use crate::view::StepView;

/// Most often that the progress of a step is reported.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// Events that wait for a client that reads slowly; what is reported after them is newer.
const WAITING: usize = 16;
/// Id of the last event: a client that comes back with it is answered that there is nothing more.
const END: &str = "end";
/// Seconds after which another stream may have ended.
const RETRY_SECONDS: u32 = 5;

/// Follow an execution.
///
/// Server-sent events until the execution has ended: `execution` with its whole shape at each change of its status,
/// `step` with a step's whole shape when it has changed, at most twice a second. The first events report how all
/// stands, so a client that comes back misses nothing that still holds. After the end, `Last-Event-ID: end` is answered
/// by 204.
#[utoipa::path(
    get, path = "/executions/{id}/events", tag = "executions", operation_id = "follow_execution",
    params(
        ("id" = i64, Path, description = "Id of the execution", minimum = 1),
        ("last-event-id" = Option<String>, Header, description = "Id of the last event that was received", nullable = false),
    ),
    responses(
        (status = 200, description = "Its events", body = EventShape, content_type = "text/event-stream"),
        (status = 204, description = "It has ended, and the end was received already"),
        (status = 404, description = "There is no such execution"),
    )
)]
pub(crate) async fn follow(
    State(state): State<AppState>,
    PathId(id): PathId,
    sight: Sight,
    Strict(NoQuery): Strict<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = ExecutionId(id);
    let execution = state.engine().execution(id).await?;
    let knows_the_end = headers.get("last-event-id").is_some_and(|last| last == END);
    if knows_the_end && !execution.status.is_running() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    stream(state, |state, sender| async move { report(&state, execution, &sight, &sender).await })
}

/// One of the streams that may be open at once.
///
/// # Errors
/// When there are as many as there may be.
pub(super) fn stream_permit(state: &AppState) -> Result<OwnedSemaphorePermit, Problem> {
    state.streams().clone().try_acquire_owned().map_err(|_| {
        let problem = Problem::new(ProblemKind::Overloaded, "too many streams are open; try again later");
        problem.retry_after(RETRY_SECONDS)
    })
}

/// Answers with the events that `feed` sends until it returns, the client leaves or the service ends.
pub(super) fn stream<F: Future<Output = ()> + Send>(
    state: AppState,
    feed: impl FnOnce(AppState, mpsc::Sender<Event>) -> F + Send + 'static,
) -> Result<Response, Problem> {
    let permit = stream_permit(&state)?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let shutdown = state.shutdown().clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = feed(state, sender) => {}
        }
        drop(permit);
    });
    let events = unfold(receiver, async |mut receiver| {
        let event: Event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// Reports what has changed, again and again, until the end or until nobody listens any more.
async fn report(state: &AppState, mut execution: JobExecution, sight: &Sight, sender: &mpsc::Sender<Event>) {
    let engine = state.engine();
    let id = execution.id;
    let mut reported = None;
    let mut reported_steps = HashMap::new();
    loop {
        // Sampled before the rows are read, as the list of steps does.
        let live = engine.live_steps(id);
        // A step that cannot be read now is reported by the next poll.
        for step in engine.repository().steps(id).await.unwrap_or_default() {
            let key = step.id;
            let mark = mark(&step, &live);
            if reported_steps.insert(key, mark) == Some(mark) {
                continue;
            }
            let view = sight.step(StepView::new(step, &live, engine.config().clock.now()));
            if !send(sender, Event::default().event("step").json_data(view)).await {
                return;
            }
        }
        let ended = !execution.status.is_running();
        let status = execution.status;
        if reported != Some(status)
            && let Ok(view) = shown_alone(engine, execution, sight).await
        {
            let event = Event::default().event("execution").id(if ended { END } else { status.as_str() });
            if !send(sender, event.json_data(view)).await {
                return;
            }
            reported = Some(status);
        }
        if ended && reported == Some(status) {
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            () = engine.change(id, PROGRESS_EVERY) => {}
        }
        // A change may come at once after another; progress is reported no more often for it.
        execution = loop {
            match engine.execution(id).await {
                Ok(execution) => break execution,
                // It was purged, or the store is out of reach for a moment.
                Err(oxbatch_core::engine::OperatorError::UnknownExecution { .. }) => return,
                Err(_) => tokio::time::sleep(PROGRESS_EVERY).await,
            }
            if sender.is_closed() {
                return;
            }
        };
    }
}

/// The part of a step by which its changes are seen: its status and its counts.
pub(super) type Mark = (oxbatch_core::Status, i64, i64, i64, i64);

pub(super) fn mark(step: &StepExecution, live: &[oxbatch_core::engine::LiveStep]) -> Mark {
    let sample = live.iter().find(|live| live.step_id == step.id && step.status.is_running());
    let counters = sample.map_or(step.counters, |sample| sample.live.counters());
    (step.status, counters.read, counters.write, counters.commit, counters.retry)
}

/// `true` if somebody still listens.
async fn send(sender: &mpsc::Sender<Event>, event: Result<Event, axum::Error>) -> bool {
    match event {
        Ok(event) => sender.send(event).await.is_ok(),
        Err(error) => {
            tracing::warn!(%error, "an event could not be written");
            false
        }
    }
}
