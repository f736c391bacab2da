//! A schedule: its next fires in its zone, its pauses and what may be done with it, and what became of its fires.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use oxbatch_core::engine::DEFAULT_NEXT;
use oxbatch_core::repository::{FireId, FireOutcome, PageRequest, PauseScope};
use serde_json::json;

use super::command::{Call, Commands, segment};
use super::form::Form;
use super::frame::{Frame, Visitor, page};
use super::parts::{Badge, Moment};
use super::schedules::{last, when};
use super::text::shorten;
use super::zoned::in_zone;
use crate::access::Sight;
use crate::api::schedules::{begin_pause, end_pause};
use crate::error::{Problem, ProblemKind};
use crate::extract::{PathId, PathName};
use crate::state::AppState;
use crate::view::{FireParameterView, FireView, PauseInput, ScheduleView, ScopeView};

/// Most characters of a message.
const MESSAGE_CHARS: usize = 400;
/// Fires that are listed.
const FIRES: u32 = 30;

#[derive(Template)]
#[template(path = "schedule.html")]
struct SchedulePage {
    frame: Frame,
    when: String,
    next: Vec<(String, Moment)>,
    changes: Vec<String>,
    fires: Vec<FireRow>,
    outcome: &'static str,
    outcomes: Vec<&'static str>,
    last: Option<(i64, Badge)>,
    /// It is paused itself, and not by its job or with all.
    is_paused: bool,
    parameters: Vec<(String, String)>,
    /// The commands of the button that pauses or resumes it.
    pause: Commands,
    run: Commands,
    view: ScheduleView,
}

struct FireRow {
    at: String,
    status: Option<Badge>,
    can_run: bool,
    /// Without the raw text of a record.
    message: Option<String>,
    view: FireView,
}

/// The page of a schedule; `outcome=` chooses among its fires.
pub(crate) async fn show(
    State(state): State<AppState>,
    PathName(name): PathName,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let scheduler = state.engine().scheduler();
    let view: ScheduleView = scheduler.get(&name, DEFAULT_NEXT).await?.into();
    let form = Form::of_query(query.as_deref());
    let outcome = form.get("outcome").map(str::parse::<FireOutcome>).transpose();
    let outcome = outcome.map_err(|_| Problem::new(ProblemKind::InvalidQuery, "there is no such outcome of a fire"))?;
    let fires = scheduler.fires(Some(&name), outcome, PageRequest { before: None, limit: FIRES }).await?.fires;
    let zone = view.zone.as_deref();
    let row = |view: FireView| FireRow {
        at: in_zone(&view.instant, zone),
        status: view.status.map(Badge),
        can_run: visitor.operates() && ["MISSED", "SKIPPED", "REFUSED", "WAITING"].contains(&view.outcome),
        message: view.message.as_deref().map(|message| shorten(message, MESSAGE_CHARS)),
        view,
    };
    let text = |it: &FireParameterView| match (&it.value, &it.expression, &it.secret) {
        (Some(value), ..) => value.clone(),
        (None, Some(expression), _) => format!("= {expression}"),
        (None, None, secret) => format!("the secret {}", secret.as_deref().unwrap_or_default()),
    };
    let is_paused = view.pauses.iter().any(|pause| pause.scope == ScopeView::Schedule);
    let page_of = SchedulePage {
        pause: pause_commands(&visitor, &name, is_paused),
        run: call(&name, "run").commands(&visitor, &["schedules", "run", &name]),
        when: when(&view),
        next: view.next_fires.iter().map(|next| (in_zone(next, zone), Moment::of(next))).collect(),
        changes: view.clock_changes.iter().map(|change| change.effect.clone()).collect(),
        fires: fires.into_iter().map(|fire| row(Sight::default().fire(fire.into()))).collect(),
        outcome: outcome.map_or("", FireOutcome::as_str),
        outcomes: FireOutcome::ALL.iter().map(|outcome| outcome.as_str()).collect(),
        last: last(&view),
        is_paused,
        parameters: view.parameters.iter().map(|(name, it)| (name.clone(), text(it))).collect(),
        view,
        frame: Frame::new(name, "schedules", visitor).live("poll"),
    };
    page(&page_of)
}

fn call(name: &str, action: &str) -> Call {
    Call::post(format!("/schedules/{}/{action}", segment(name)))
}

fn pause_commands(visitor: &Visitor, name: &str, is_paused: bool) -> Commands {
    match is_paused {
        true => call(name, "resume").commands(visitor, &["schedules", "resume", name]),
        false => call(name, "pause")
            .with(json!({"reason": "REASON"}))
            .commands(visitor, &["schedules", "pause", name, "--reason", "REASON"]),
    }
}

fn back(name: &str) -> Response {
    Redirect::to(&format!("/ui/schedules/{}", segment(name))).into_response()
}

/// Pauses a schedule, with a reason and, where it is given, an end.
pub(crate) async fn pause(
    State(state): State<AppState>,
    PathName(name): PathName,
    form: Form,
) -> Result<Response, Problem> {
    let input = PauseInput {
        reason: form.get("reason").unwrap_or_default().to_owned(),
        until: form.get("until").map(str::to_owned),
    };
    begin_pause(&state, PauseScope::Schedule, &name, input).await?;
    Ok(back(&name))
}

/// Lets a schedule go on.
pub(crate) async fn resume(
    State(state): State<AppState>,
    PathName(name): PathName,
    _: Form,
) -> Result<Response, Problem> {
    end_pause(&state, PauseScope::Schedule, &name).await?;
    Ok(back(&name))
}

/// Launches the job of a schedule now.
pub(crate) async fn run(State(state): State<AppState>, PathName(name): PathName, _: Form) -> Result<Response, Problem> {
    state.engine().scheduler().run_now(&name).await?;
    Ok(back(&name))
}

/// Launches a fire that was missed, left out or refused, or that waits.
pub(crate) async fn run_fire(State(state): State<AppState>, PathId(id): PathId, _: Form) -> Result<Response, Problem> {
    let fire = state.engine().scheduler().run_fire(FireId(id)).await?;
    Ok(back(&fire.schedule_name))
}
