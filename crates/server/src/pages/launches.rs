//! Pauses of launches, of a job and of all: shown with their reason, begun and ended.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use oxbatch_core::Engine;
use oxbatch_core::repository::LaunchPause;
use serde_json::json;

use super::command::{Call, Commands, segment};
use super::form::Form;
use super::frame::Visitor;
use super::parts::Moment;
use crate::api::launch_pauses::{begin, end};
use crate::error::Problem;
use crate::extract::PathName;
use crate::state::AppState;
use crate::view::LaunchPauseInput;

/// A pause as it is shown.
#[derive(Debug)]
pub(super) struct Note {
    /// The job; empty for all.
    pub(super) job: String,
    pub(super) reason: String,
    pub(super) since: Moment,
}

/// The launches of a job, or of all jobs, on a page.
#[derive(Debug)]
pub(super) struct Launches {
    /// The job; empty for all.
    pub(super) job: String,
    /// The address of its forms, but for its last part.
    pub(super) path: String,
    /// Their own pause.
    pub(super) pause: Option<Note>,
    /// The pause of all, on the page of a job.
    pub(super) by_all: Option<Note>,
    /// The command of the button, on a shell.
    pub(super) commands: Commands,
}

impl Note {
    fn of(pause: &LaunchPause) -> Self {
        let job = pause.job_name.clone().unwrap_or_default();
        Self { job, reason: pause.reason.clone(), since: Moment::at(pause.since) }
    }

    /// All pauses.
    pub(super) async fn all(engine: &Engine) -> Result<Vec<Self>, Problem> {
        Ok(engine.repository().launch_pauses().await?.iter().map(Self::of).collect())
    }
}

impl Launches {
    /// Launches wait.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some() || self.by_all.is_some()
    }

    /// The launches of a job, or of all.
    pub(super) async fn read(engine: &Engine, visitor: &Visitor, job: Option<&str>) -> Result<Self, Problem> {
        let mut pauses = Note::all(engine).await?;
        let mut taken = |job: &str| {
            let at = pauses.iter().position(|pause| pause.job == job)?;
            Some(pauses.swap_remove(at))
        };
        let pause = taken(job.unwrap_or_default());
        let by_all = job.and_then(|_| taken(""));
        Ok(Self {
            commands: commands(visitor, job, pause.is_some()),
            path: format!("/ui{}", path(job)),
            job: job.unwrap_or_default().to_owned(),
            pause,
            by_all,
        })
    }
}

fn path(job: Option<&str>) -> String {
    match job {
        Some(job) => format!("/jobs/{}/launches", segment(job)),
        None => "/launches".to_owned(),
    }
}

/// The commands of the button that is there: the one that ends a pause, or the one that begins it.
fn commands(visitor: &Visitor, job: Option<&str>, is_paused: bool) -> Commands {
    let what = job.unwrap_or("--all");
    match is_paused {
        true => Call::post(format!("{}/resume", path(job))).commands(visitor, &["resume", what]),
        false => Call::post(format!("{}/pause", path(job)))
            .with(json!({"reason": "REASON"}))
            .commands(visitor, &["pause", what, "--reason", "REASON"]),
    }
}

fn input(form: &Form) -> LaunchPauseInput {
    LaunchPauseInput { reason: form.get("reason").unwrap_or_default().to_owned() }
}

fn to_jobs() -> Response {
    Redirect::to("/ui/jobs").into_response()
}

fn to_job(name: &str) -> Response {
    Redirect::to(&format!("/ui/jobs/{}", segment(name))).into_response()
}

/// Pauses all launches.
pub(crate) async fn pause_all(State(state): State<AppState>, form: Form) -> Result<Response, Problem> {
    begin(&state, None, &input(&form)).await?;
    Ok(to_jobs())
}

/// Lets all launches go on.
pub(crate) async fn resume_all(State(state): State<AppState>, _: Form) -> Result<Response, Problem> {
    end(&state, None).await?;
    Ok(to_jobs())
}

/// Pauses the launches of a job.
pub(crate) async fn pause_job(
    State(state): State<AppState>,
    PathName(name): PathName,
    form: Form,
) -> Result<Response, Problem> {
    begin(&state, Some(&name), &input(&form)).await?;
    Ok(to_job(&name))
}

/// Lets the launches of a job go on.
pub(crate) async fn resume_job(
    State(state): State<AppState>,
    PathName(name): PathName,
    _: Form,
) -> Result<Response, Problem> {
    end(&state, Some(&name)).await?;
    Ok(to_job(&name))
}
