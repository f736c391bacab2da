//! The events of all executions as one stream, wherever they run, until the client leaves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event;
use oxbatch_core::engine::LiveStep;
use oxbatch_core::execution::{Status, StepExecutionId};
use oxbatch_core::repository::{ExecutionFilter, PageRequest, RepositoryError};
use oxbatch_core::{JobExecution, StepExecution};
use tokio::sync::mpsc;

use super::events::{Mark, PROGRESS_EVERY, mark, stream};
use super::executions::shown;
use crate::access::Sight;
use crate::error::Problem;
use crate::extract::{NoQuery, Strict};
use crate::openapi::shapes::EventShape;
use crate::polls::{Polled, SHARED_FOR};
use crate::state::AppState;
use crate::view::StepView;

/// Rows of a poll: they bound the memory for a client.
const PAGE: u32 = 100;
/// Steps whose progress is reported; of those beyond it only the ends are.
const STEPS: u32 = 1_000;
/// Shortest pause between two polls: much that happens at once is reported together.
const PAUSE: Duration = Duration::from_millis(100);

/// Follow all executions.
///
/// Server-sent events until the client leaves: `execution` with its whole shape when its status has changed, on
/// whichever node it runs, `step` with a step's whole shape when it has changed, at most twice a second while it runs.
/// The first events report all executions that have not ended. What changes several times within a moment is reported
/// once, as it stands then; the steps of an execution are reported before its end. With `Last-Event-ID` the stream goes
/// on from there: nothing that has changed meanwhile is missed, and some of it may be reported twice.
#[utoipa::path(
    get, path = "/events", tag = "executions", operation_id = "follow_all_executions",
    params(
        ("last-event-id" = Option<String>, Header, description = "The last id that was received", nullable = false),
    ),
    responses((status = 200, description = "What happens", body = EventShape, content_type = "text/event-stream"))
)]
pub(crate) async fn follow(
    State(state): State<AppState>,
    sight: Sight,
    Strict(NoQuery): Strict<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|last| last.to_str().ok()).map(str::to_owned);
    stream(state, |state, sender| async move {
        let next_progress = Instant::now();
        let (state, sender, reported) = (&state, &sender, HashMap::new());
        let since = next_progress;
        Feed { state, sight, sender, position: last, is_caught_up: false, since, reported, next_progress }.run().await;
    })
}

/// The reason why a poll ended before all was reported.
enum Cut {
    /// No client listens any more.
    Left,
    /// The repository did not answer; the next poll begins where this one did.
    Trouble,
}

impl From<RepositoryError> for Cut {
    fn from(_: RepositoryError) -> Self {
        Self::Trouble
    }
}

/// The changes that one client has been sent.
struct Feed<'a> {
    state: &'a AppState,
    /// The part of the data that the client sees.
    sight: Sight,
    sender: &'a mpsc::Sender<Event>,
    /// The position up to which the changes were reported.
    position: Option<String>,
    /// There was nothing behind it.
    is_caught_up: bool,
    /// The moment at which an answer must have been asked for to tell what has woken this.
    since: Instant,
    /// The steps of running executions as they were reported last.
    reported: HashMap<StepExecutionId, Mark>,
    /// The moment from which progress may be reported again, however many changes come until then.
    next_progress: Instant,
}

impl Feed<'_> {
    /// Reports what has changed, again and again, until the client has left.
    async fn run(&mut self) {
        loop {
            match self.poll().await {
                Ok(()) => {}
                Err(Cut::Left) => return,
                Err(Cut::Trouble) => self.next_progress = Instant::now() + PROGRESS_EVERY,
            }
            let next_poll = async {
                tokio::time::sleep(PAUSE).await;
                // A notification is a hint; the poll comes without it too.
                let begun = Instant::now();
                let pause = self.next_progress.saturating_duration_since(begun);
                self.state.engine().any_change(pause).await;
                begun.elapsed() < pause
            };
            let is_hinted = tokio::select! {
                () = self.sender.closed() => return,
                is_hinted = next_poll => is_hinted,
            };
            let now = Instant::now();
            self.since = if is_hinted { now } else { now.checked_sub(SHARED_FOR).unwrap_or(now) };
        }
    }

    async fn poll(&mut self) -> Result<(), Cut> {
        loop {
            let Polled { changes, is_fresh } = self.changes().await?;
            if !changes.resumed {
                self.send_unended().await?;
            }
            let has_changes = !changes.resumed || !changes.executions.is_empty();
            for execution in &changes.executions {
                self.send_execution(execution.clone()).await?;
            }
            // Behind the events and in a block of its own: whoever knows it has received them.
            if has_changes {
                self.send(Event::default().id(&changes.resume)).await?;
            }
            self.position = Some(changes.position.clone());
            self.is_caught_up = !changes.more;
            if !changes.more && is_fresh {
                return if self.next_progress <= Instant::now() { self.send_progress().await } else { Ok(()) };
            }
        }
    }

    /// The changes behind its position; with others, once it has all before it.
    async fn changes(&self) -> Result<Polled, RepositoryError> {
        let repository = self.state.engine().repository();
        match self.position.as_deref().filter(|_| self.is_caught_up) {
            Some(position) => self.state.polls().changes(repository.as_ref(), position, self.since, PAGE).await,
            None => {
                let changes = repository.changes(self.position.as_deref(), PAGE).await?;
                Ok(Polled { changes: Arc::new(changes), is_fresh: true })
            }
        }
    }

    /// Reports all executions that have not ended, newest first.
    async fn send_unended(&mut self) -> Result<(), Cut> {
        let statuses = Status::ALL.into_iter().filter(|status| status.is_running()).collect();
        let filter = ExecutionFilter { statuses, ..ExecutionFilter::default() };
        let mut page = PageRequest { before: None, limit: PAGE };
        loop {
            let found = self.state.engine().repository().executions(filter.clone(), page).await?;
            for execution in found.executions {
                self.send_execution(execution).await?;
            }
            page.before = found.next;
            if found.next.is_none() {
                return Ok(());
            }
        }
    }

    async fn send_execution(&mut self, execution: JobExecution) -> Result<(), Cut> {
        let engine = self.state.engine();
        if !execution.status.is_running() && execution.status != Status::Abandoned {
            for step in engine.repository().steps(execution.id).await? {
                // It will not change any more, and is reported without being remembered.
                if self.reported.remove(&step.id) != Some(mark(&step, &[])) {
                    self.send_step(step, &[]).await?;
                }
            }
        }
        let view = shown(engine, execution, &self.sight).await.map_err(|_| Cut::Trouble)?;
        self.send(Event::default().event("execution").json_data(view).map_err(unwritten)?).await
    }

    /// Reports the progress of running steps, and forgets those that have ended.
    async fn send_progress(&mut self) -> Result<(), Cut> {
        self.next_progress = Instant::now() + PROGRESS_EVERY;
        let engine = self.state.engine();
        let steps = self.state.polls().steps(engine.repository().as_ref(), self.since, STEPS).await?;
        let mut reported = HashMap::with_capacity(steps.len());
        for step in steps.iter() {
            let live = engine.live_steps(step.execution_id);
            let (id, now) = (step.id, mark(step, &live));
            if self.reported.get(&id) != Some(&now) {
                self.send_step(step.clone(), &live).await?;
            }
            reported.insert(id, now);
        }
        self.reported = reported;
        Ok(())
    }

    async fn send_step(&self, step: StepExecution, live: &[LiveStep]) -> Result<(), Cut> {
        let view = self.sight.step(StepView::new(step, live, self.state.engine().config().clock.now()));
        self.send(Event::default().event("step").json_data(view).map_err(unwritten)?).await
    }

    async fn send(&self, event: Event) -> Result<(), Cut> {
        self.sender.send(event).await.map_err(|_| Cut::Left)
    }
}

fn unwritten(error: axum::Error) -> Cut {
    tracing::warn!(%error, "an event could not be written");
    Cut::Trouble
}
