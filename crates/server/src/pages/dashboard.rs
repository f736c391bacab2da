//! The first page: what runs, what failed, what waits and why, what comes next, and how the last runs ended.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use oxbatch_core::execution::Status;
use oxbatch_core::repository::{ExecutionFilter, PageRequest};
use oxbatch_core::{Engine, JobExecution};

use super::frame::{Frame, Visitor, page};
use super::launches::Note;
use super::nodes::NodeRow;
use super::parts::Moment;
use super::problem::accepts_html;
use super::rows::Row;
use crate::error::Problem;
use crate::router::HOME;
use crate::state::AppState;
use crate::view::StatusView;

/// Most rows of a list of the page.
const ROWS: u32 = 20;
/// The executions of which the strips are made.
const RECENT: u32 = 300;
/// Runs of a strip.
const STRIP: usize = 16;
/// Most strips.
const STRIPS: usize = 40;
/// Most pauses of launches.
const PAUSES: usize = 5;
/// The time in which failures are looked at.
const FAILED_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// The time within which those were launched that failed of late.
const LAUNCHED_WITHIN: SignedDuration = SignedDuration::from_hours(24 * 7);

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    frame: Frame,
    running: Vec<Row>,
    failed: Vec<Row>,
    waiting: Vec<Row>,
    next: Vec<NextFire>,
    strips: Vec<Strip>,
    nodes: Vec<NodeRow>,
    jobs: Vec<(String, String)>,
    pauses: Vec<Note>,
    is_new: bool,
}

/// The next fire of a schedule.
struct NextFire {
    schedule: String,
    job: String,
    moment: Moment,
    paused: bool,
}

/// The last runs of a job, the newest last.
struct Strip {
    job: String,
    runs: Vec<Run>,
    failed: usize,
}

struct Run {
    id: i64,
    status: StatusView,
}

impl Strip {
    fn summary(&self) -> String {
        match self.failed {
            0 => format!("none of the last {} failed", self.runs.len()),
            failed => format!("{failed} of the last {} failed", self.runs.len()),
        }
    }
}

/// The page for browsers; programs are led to the documentation.
pub(crate) async fn home(
    State(state): State<AppState>,
    headers: HeaderMap,
    visitor: Visitor,
) -> Result<Response, Problem> {
    if !accepts_html(&headers) {
        return Ok(Redirect::to(HOME).into_response());
    }
    let engine = state.engine();
    let recent = listed(engine, ExecutionFilter::default(), RECENT).await?;
    let jobs = engine.registry().iter().map(|job| (job.name().to_owned(), job.description().to_owned()));
    page(&Dashboard {
        frame: Frame::new("Dashboard", "dashboard", visitor).live("all"),
        running: running(engine).await?,
        failed: failed(engine).await?,
        waiting: waiting(engine).await?,
        next: next_fires(engine).await?,
        is_new: recent.is_empty(),
        strips: strips(&recent),
        nodes: engine.nodes().await?.into_iter().map(|node| NodeRow::new(node.into())).collect(),
        jobs: jobs.take(STRIPS).collect(),
        pauses: Note::all(engine).await?.into_iter().take(PAUSES).collect(),
    })
}

async fn listed(engine: &Engine, filter: ExecutionFilter, limit: u32) -> Result<Vec<JobExecution>, Problem> {
    Ok(engine.repository().executions(filter, PageRequest { before: None, limit }).await?.executions)
}

async fn with_statuses(engine: &Engine, statuses: Vec<Status>) -> Result<Vec<JobExecution>, Problem> {
    listed(engine, ExecutionFilter { statuses, ..ExecutionFilter::default() }, ROWS).await
}

async fn running(engine: &Engine) -> Result<Vec<Row>, Problem> {
    let mut rows = Vec::new();
    for execution in with_statuses(engine, vec![Status::Started, Status::Stopping]).await? {
        rows.push(Row::watched(engine, execution).await?);
    }
    Ok(rows)
}

async fn waiting(engine: &Engine) -> Result<Vec<Row>, Problem> {
    let found = with_statuses(engine, vec![Status::Starting]).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let waiting = engine.waiting().await?;
    let mut rows = Vec::new();
    for execution in found {
        let mut row = Row::listed(engine, execution).await?;
        row.waits = row.waits.or_else(|| Some(waiting.reason(&row.job).to_string()));
        rows.push(row);
    }
    Ok(rows)
}

/// Those that failed of late, also where they were launched earlier.
async fn failed(engine: &Engine) -> Result<Vec<Row>, Problem> {
    let now = engine.config().clock.now();
    let since = |time: SignedDuration| now.checked_sub(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let filter = ExecutionFilter {
        statuses: vec![Status::Failed],
        from: Some(since(LAUNCHED_WITHIN)),
        ..ExecutionFilter::default()
    };
    let earliest = since(FAILED_WITHIN);
    let mut rows = Vec::new();
    for execution in listed(engine, filter, RECENT).await? {
        if execution.end_time.is_some_and(|end| end >= earliest) && rows.len() < ROWS as usize {
            rows.push(Row::listed(engine, execution).await?);
        }
    }
    Ok(rows)
}

async fn next_fires(engine: &Engine) -> Result<Vec<NextFire>, Problem> {
    let mut next: Vec<(Timestamp, NextFire)> = Vec::new();
    for status in engine.scheduler().list(1).await? {
        let Some(moment) = status.next.first().copied() else { continue };
        let (schedule, job, paused) = (status.stored.name, status.stored.job_name, !status.pauses.is_empty());
        next.push((moment, NextFire { schedule, job, moment: Moment::at(moment), paused }));
    }
    next.sort_by_key(|(moment, _)| *moment);
    Ok(next.into_iter().take(ROWS as usize).map(|(_, fire)| fire).collect())
}

fn strips(recent: &[JobExecution]) -> Vec<Strip> {
    let mut by_job: BTreeMap<&str, Vec<Run>> = BTreeMap::new();
    for execution in recent.iter().filter(|execution| execution.rerun_of.is_none()) {
        let runs = by_job.entry(&execution.job_name).or_default();
        if runs.len() < STRIP {
            runs.push(Run { id: execution.id.0, status: execution.status.into() });
        }
    }
    let strip = |(job, mut runs): (&str, Vec<Run>)| {
        runs.reverse();
        let failed = runs.iter().filter(|run| run.status == StatusView::Failed).count();
        Strip { job: job.to_owned(), runs, failed }
    };
    by_job.into_iter().take(STRIPS).map(strip).collect()
}
