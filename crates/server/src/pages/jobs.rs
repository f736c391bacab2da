//! The jobs that the service knows, with what runs of each and how the last runs ended.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use oxbatch_core::execution::Status;
use oxbatch_core::repository::{ExecutionFilter, PageRequest};

use super::form::Form;
use super::frame::{Frame, Visitor, page};
use super::launches::{Launches, Note};
use super::names::Names;
use super::parts::{Badge, Moment};
use super::text::shorten;
use crate::error::Problem;
use crate::state::AppState;

/// The executions among which the last of each job are looked for.
const RECENT: u32 = 500;
/// Most characters of a description.
const DESCRIPTION_CHARS: usize = 120;

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    jobs: Names<JobRow>,
    launches: Launches,
}

struct JobRow {
    name: String,
    description: String,
    steps: usize,
    running: i64,
    waiting: i64,
    /// Its own launches are paused.
    is_paused: bool,
    last: Option<(i64, Badge, Moment)>,
}

/// The list; `text=` searches it.
pub(crate) async fn show(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    let engine = state.engine();
    let recent = PageRequest { before: None, limit: RECENT };
    let recent = engine.repository().executions(ExecutionFilter::default(), recent).await?.executions;
    let mut last = BTreeMap::new();
    for execution in &recent {
        last.entry(execution.job_name.as_str()).or_insert(execution);
    }
    let workload = engine.repository().workload().await?;
    let counted = |name: &str, waits: bool| {
        let fits = workload.iter().filter(|load| load.job_name == name && (load.status == Status::Starting) == waits);
        fits.map(|load| load.count).sum()
    };
    let pauses = Note::all(engine).await?;
    let jobs = engine.registry().iter().map(|job| JobRow {
        name: job.name().to_owned(),
        description: shorten(job.description(), DESCRIPTION_CHARS),
        steps: job.steps().len(),
        running: counted(job.name(), false),
        waiting: counted(job.name(), true),
        is_paused: pauses.iter().any(|pause| pause.job == job.name()),
        last: last.get(job.name()).map(|run| (run.id.0, Badge(run.status.into()), Moment::at(run.create_time))),
    });
    let launches = Launches::read(engine, &visitor, None).await?;
    let jobs = Names::of(jobs, &form, |job| [&job.name, &job.description]);
    page(&JobsPage { jobs, launches, frame: Frame::new("Jobs", "jobs", visitor).live("all") })
}
