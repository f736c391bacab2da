//! A job: its flow, the form of a launch with a preview, the trend of its durations, its last runs, its schedules.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use oxbatch_core::JobExecution;
use oxbatch_core::execution::{ExecutionId, Status};
use oxbatch_core::repository::{ExecutionFilter, PageRequest, StatusCounts};

use super::flow;
use super::form::Form;
use super::frame::{Frame, Visitor, page_with};
use super::launch_form::LaunchForm;
use super::launches::Launches;
use super::parts::{Badge, Markup, Moment};
use super::preview::PreviewPart;
use super::rows::Row;
use super::trend;
use crate::api::executions::shown;
use crate::api::jobs::known;
use crate::error::Problem;
use crate::extract::PathName;
use crate::state::AppState;
use crate::view::{ExecutionView, GraphView, JobView, KindView};

/// The last runs that are listed.
const LISTED: usize = 10;

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    frame: Frame,
    view: JobView,
    flow: Markup,
    form: LaunchForm,
    preview: Option<PreviewPart>,
    has_preview: bool,
    trend: Markup,
    /// The last runs by status.
    counts: Vec<(Badge, usize)>,
    runs: Vec<Row>,
    schedules: Vec<(String, Option<Moment>, bool)>,
    launches: Launches,
}

/// The parts of the page of a job besides the job.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) form: Form,
    pub(super) problem: Option<Problem>,
    pub(super) preview: Option<PreviewPart>,
    /// The execution whose parameters fill the form.
    pub(super) from: Option<ExecutionView>,
}

impl JobPage {
    fn has_large_flow(&self) -> bool {
        self.flow.0.is_empty()
    }
}

/// The page of a job; with `from=ID` its form has the parameters of that execution.
pub(crate) async fn show(
    State(state): State<AppState>,
    PathName(name): PathName,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    let from = match form.get("from").and_then(|id| id.parse().ok()) {
        Some(id) => {
            let execution = state.engine().execution(ExecutionId(id)).await?;
            Some(shown(state.engine(), execution, &visitor.sight).await?)
        }
        None => None,
    };
    answer(&state, &name, visitor, Shown { form, from, ..Shown::default() }).await
}

/// The page of a job, with what was sent and what came of it.
pub(super) async fn answer(state: &AppState, name: &str, visitor: Visitor, shown: Shown) -> Result<Response, Problem> {
    let engine = state.engine();
    let job = known(engine, name)?;
    let Shown { form, problem, preview, from } = shown;
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.kind.status());
    let mut launch = LaunchForm::new(job, &form, from.as_ref());
    if let Some(problem) = &problem {
        launch = launch.with_problem(problem);
    }
    let filter = ExecutionFilter { job_name: Some(name.to_owned()), ..ExecutionFilter::default() };
    let limit = u32::try_from(trend::RUNS).unwrap_or(u32::MAX);
    let recent = engine.repository().executions(filter, PageRequest { before: None, limit }).await?.executions;
    let trend = trend::picture(&recent);
    let counts = counts(&recent);
    let mut runs = Vec::new();
    for execution in recent.into_iter().take(LISTED) {
        runs.push(Row::listed(engine, execution).await?);
    }
    let schedules = engine.scheduler().list(1).await?.into_iter().filter(|it| it.stored.job_name == name);
    let schedules = schedules
        .map(|it| (it.stored.name, it.next.first().map(|next| Moment::at(*next)), !it.pauses.is_empty()))
        .collect();
    // Without the counts of all its executions, which take as long as there are many.
    let view = JobView::new(job, StatusCounts::default(), None);
    let launches = Launches::read(engine, &visitor, Some(name)).await?;
    let frame = Frame::new(name, "jobs", visitor);
    // What a form was answered with cannot be asked for again.
    let is_answer = problem.is_some() || preview.is_some();
    let page = JobPage {
        frame: if is_answer { frame } else { frame.live("all") },
        flow: flow::picture(&GraphView::new(job, None, &Default::default())),
        has_preview: view.steps.iter().any(|step| step.kind == KindView::Chunk),
        view,
        form: launch,
        preview,
        trend,
        counts,
        runs,
        schedules,
        launches,
    };
    page_with(status, &page)
}

/// The number of runs by status, of those that there are.
fn counts(runs: &[JobExecution]) -> Vec<(Badge, usize)> {
    let of = |status: Status| (Badge(status.into()), runs.iter().filter(|run| run.status == status).count());
    Status::ALL.into_iter().map(of).filter(|(_, count)| *count > 0).collect()
}
