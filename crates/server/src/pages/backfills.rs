//! Backfills: a range of days is chosen, counted and confirmed; those that there are.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use oxbatch_core::engine::BackfillRequest;
use oxbatch_core::repository::BackfillId;
use serde_json::json;

use super::command::{Call, Commands};
use super::form::Form;
use super::frame::{Frame, Visitor, page};
use super::parts::Moment;
use crate::api::backfills::request as asked;
use crate::error::{Problem, ProblemKind};
use crate::extract::PathId;
use crate::state::AppState;
use crate::view::{BackfillInput, BackfillPlanView, BackfillView};

/// Planned fires that are listed.
const FIRES: usize = 400;

#[derive(Template)]
#[template(path = "backfills.html")]
struct BackfillsPage {
    frame: Frame,
    backfills: Vec<(Moment, BackfillView)>,
    /// Name and job of the schedules that can be backfilled.
    schedules: Vec<(String, String, bool)>,
}

#[derive(Template)]
#[template(path = "backfill_plan.html")]
struct PlanPage {
    frame: Frame,
    input: BackfillInput,
    which: String,
    plan: BackfillPlanView,
    /// The number of fires, of which the first are listed.
    all: usize,
    commands: Commands,
}

/// The list, and the form of a new one; `job=` chooses its schedule.
pub(crate) async fn show(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    let scheduler = state.engine().scheduler();
    let backfills = scheduler.backfills().await?.into_iter().map(BackfillView::from);
    let schedules = scheduler.list(0).await?.into_iter().map(|status| status.stored);
    let chosen = form.get("job");
    page(&BackfillsPage {
        frame: Frame::new("Backfills", "schedules", visitor).live("poll"),
        backfills: backfills.map(|backfill| (Moment::of(&backfill.create_time), backfill)).collect(),
        schedules: schedules.map(|it| (it.name, it.job_name.clone(), Some(it.job_name.as_str()) == chosen)).collect(),
    })
}

/// The request of a form: its schedule names its job.
async fn request(state: &AppState, form: &Form) -> Result<(BackfillInput, BackfillRequest), Problem> {
    let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let schedule = text("schedule");
    let stored = state.engine().scheduler().get(&schedule, 0).await?.stored;
    let at_once = form.get("max_running").map(str::parse).transpose();
    let refused = |detail: &str| Problem::new(ProblemKind::InvalidSchedule, detail);
    let input = BackfillInput {
        job: stored.job_name,
        schedule: Some(schedule),
        from: text("from"),
        to: text("to"),
        which: form.get("which").map(str::to_owned),
        max_running: at_once.map_err(|_| refused("executions at once must be a whole number from 1 on"))?,
        newest_first: form.is_on("newest_first"),
    };
    let request = asked(&input)?;
    Ok((input, request))
}

fn commands(visitor: &Visitor, input: &BackfillInput) -> Commands {
    let most = input.max_running.map(|most| most.to_string());
    let mut words = vec!["backfill", &input.job, "--from", &input.from, "--to", &input.to];
    let named = [("--schedule", &input.schedule), ("--which", &input.which), ("--max-running", &most)];
    for (flag, value) in named {
        words.extend(value.iter().flat_map(|value| [flag, value.as_str()]));
    }
    if input.newest_first {
        words.push("--newest-first");
    }
    Call::post("/backfills".to_owned()).with(json!(input)).commands(visitor, &words)
}

/// The launches of a backfill, counted; nothing is changed.
pub(crate) async fn plan(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    let (input, request) = request(&state, &form).await?;
    let mut plan: BackfillPlanView = state.engine().scheduler().plan_backfill(&request).await?.into();
    let commands = commands(&visitor, &input);
    let frame = Frame::new("Backfill", "schedules", visitor);
    let which = input.which.clone().unwrap_or_default();
    let all = plan.fires.len();
    plan.fires.truncate(FIRES);
    page(&PlanPage { frame, input, which, plan, all, commands })
}

/// Begins a backfill.
pub(crate) async fn start(State(state): State<AppState>, form: Form) -> Result<Response, Problem> {
    let (_, request) = request(&state, &form).await?;
    state.engine().scheduler().start_backfill(&request).await?;
    Ok(Redirect::to("/ui/backfills").into_response())
}

/// Cancels what a backfill has not launched yet.
pub(crate) async fn cancel(State(state): State<AppState>, PathId(id): PathId, _: Form) -> Result<Response, Problem> {
    state.engine().scheduler().cancel_backfill(BackfillId(id)).await?;
    Ok(Redirect::to("/ui/backfills").into_response())
}
