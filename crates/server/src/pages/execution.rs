//! An execution: how it stands and why, the record it failed at, what restarting it does, its flow, steps, skips, log.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use oxbatch_core::execution::{ExecutionContext, ExecutionId, InstanceId, Status, StepExecutionId};
use oxbatch_core::log::{LogFeed, LogFilter, shown_line};
use oxbatch_core::repository::{ExecutionFilter, PageRequest};
use oxbatch_core::{Engine, JobExecution, StepExecution};

use super::command::{Commands, of_execution, of_launch};
use super::context::ContextPart;
use super::failure::Failure;
use super::flow;
use super::frame::{Frame, Visitor, page};
use super::parts::{Badge, Markup, Moment, between};
use super::plan::PlanPart;
use super::rows::{Row, left, value, whole_percent};
use super::skip_groups::Groups;
use super::steps::{MOST_STEPS, Span, StepPart, balances};
use crate::api::executions::shown_alone;
use crate::error::Problem;
use crate::extract::PathId;
use crate::state::AppState;
use crate::view::{ExecutionView, GraphView, SECRET, StatusView, StepView, ValueView, states};

/// Attempts of the instance that are shown.
const ATTEMPTS: u32 = 20;
/// Lines of the log that are shown.
const LOG_LINES: u32 = 40;

#[derive(Template)]
#[template(path = "execution.html")]
struct ExecutionPage {
    frame: Frame,
    view: ExecutionView,
    status: Badge,
    created: Moment,
    started: Option<Moment>,
    ended: Option<Moment>,
    took: Option<String>,
    percent: Option<u32>,
    left: Option<String>,
    waits: Option<String>,
    failure: Option<Failure>,
    parameters: Vec<(String, String)>,
    /// The context that its steps share.
    context: Option<ContextPart>,
    attempts: Vec<Row>,
    flow: Markup,
    steps: Vec<StepPart>,
    more_steps: usize,
    skips: Option<Groups>,
    skip_count: i64,
    log: Option<Vec<String>>,
    plan: Option<PlanPart>,
    /// The reason why there is no plan.
    no_plan: Option<String>,
    stop: Option<Commands>,
    abandon: Option<Commands>,
    rerun: Option<Commands>,
    launch: Commands,
    knows_job: bool,
}

impl ExecutionPage {
    fn is_running(&self) -> bool {
        self.view.status.status().is_running()
    }

    fn has_failed(&self) -> bool {
        self.view.status == StatusView::Failed
    }
}

/// The page of an execution.
pub(crate) async fn show(
    State(state): State<AppState>,
    PathId(id): PathId,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let engine = state.engine();
    let execution = engine.execution(ExecutionId(id)).await?;
    let parts = Parts::read(engine, &execution, &visitor).await?;
    page(&parts.into_page(engine, execution, visitor).await?)
}

/// The parts of an execution that are read besides its row.
struct Parts {
    live: Vec<oxbatch_core::engine::LiveStep>,
    steps: Vec<StepExecution>,
    attempts: Vec<Row>,
    log: Option<Vec<String>>,
    flow: Markup,
    knows_job: bool,
}

impl Parts {
    async fn read(engine: &Engine, execution: &JobExecution, visitor: &Visitor) -> Result<Self, Problem> {
        // Sampled before the rows are read: a step that ends in between is then shown by its row.
        let live = engine.live_steps(execution.id);
        let steps = engine.repository().steps(execution.id).await?;
        let job = engine.registry().get(&execution.job_name);
        let flow = match job {
            Some(job) => {
                let history = engine.repository().flow_history(execution.id).await?;
                flow::picture(&GraphView::new(job, Some(execution.id), &states(&history, &steps)))
            }
            None => Markup::default(),
        };
        let log = if visitor.sees_data() { Some(log(engine, execution.id).await?) } else { None };
        let attempts = attempts(engine, execution.instance_id).await?;
        Ok(Self { live, steps, attempts, log, flow, knows_job: job.is_some() })
    }

    async fn into_page(
        self,
        engine: &Engine,
        execution: JobExecution,
        visitor: Visitor,
    ) -> Result<ExecutionPage, Problem> {
        let (id, now) = (execution.id, engine.config().clock.now());
        let (plan, no_plan) = plan(engine, &execution, &visitor).await?;
        let waits = waits(engine, &execution).await?;
        let has_ended = !execution.status.is_running();
        let view = shown_alone(engine, execution, &visitor.sight).await?;
        let all: Vec<(StepView, Vec<Option<bool>>)> = self
            .steps
            .into_iter()
            .map(|step| (balances(&step), step))
            .map(|(balances, step)| (StepView::new(step, &self.live, now), balances))
            .collect();
        let views: Vec<StepView> = all.iter().map(|(view, _)| view.clone()).collect();
        let skip_count = views.iter().map(|step| step.skip_count).sum();
        let skips = skips(engine, &views, &visitor).await?;
        let span = Span::new(view.start_time.as_deref(), view.end_time.as_deref(), now);
        let more_steps = all.len().saturating_sub(MOST_STEPS);
        let chosen = chosen(all);
        let (context, mut contexts) = contexts(engine, id, &chosen, &visitor).await?;
        let step = |(view, balances): (StepView, Vec<_>)| StepPart::new(view, &balances, &span, now);
        let steps = chosen.into_iter().map(step).map(|step| step.with(&mut contexts)).collect();
        let of = |action| of_execution(&visitor, id.0, action);
        let can_rerun = has_ended && skips.as_ref().is_some_and(|skips| skips.pending > 0) && visitor.operates();
        let can_stop = matches!(view.status, StatusView::Starting | StatusView::Started);
        let can_abandon = matches!(view.status, StatusView::Failed | StatusView::Stopped);
        Ok(ExecutionPage {
            stop: can_stop.then(|| of("stop")),
            abandon: can_abandon.then(|| of("abandon")),
            rerun: can_rerun.then(|| of("rerun")),
            launch: launch(&visitor, &view),
            failure: view.exit_message.as_deref().filter(|_| has_ended).map(Failure::of),
            created: Moment::of(&view.create_time),
            started: view.start_time.as_deref().map(Moment::of),
            ended: view.end_time.as_deref().map(Moment::of),
            took: view.start_time.as_deref().and_then(|start| between(start, view.end_time.as_deref(), now)),
            percent: view.progress.filter(|_| !has_ended).map(whole_percent),
            left: view.seconds_left.as_ref().map(left),
            waits: view.held_up_by.clone().or(waits),
            parameters: view.parameters.iter().map(|(name, it)| (name.clone(), value(it))).collect(),
            status: Badge(view.status),
            frame: frame(&view, has_ended, visitor),
            attempts: self.attempts,
            flow: self.flow,
            knows_job: self.knows_job,
            log: self.log,
            view,
            context,
            steps,
            more_steps,
            skips,
            skip_count,
            plan,
            no_plan,
        })
    }
}

fn frame(view: &ExecutionView, has_ended: bool, visitor: Visitor) -> Frame {
    let frame = Frame::new(format!("{} #{} {}", view.job_name, view.id, view.status.word()), "executions", visitor);
    if has_ended { frame } else { frame.live(view.id) }
}

/// The steps that a page shows: those that failed or run, and the newest.
fn chosen(mut all: Vec<(StepView, Vec<Option<bool>>)>) -> Vec<(StepView, Vec<Option<bool>>)> {
    if all.len() > MOST_STEPS {
        let first = all.len() - MOST_STEPS;
        let mut index = 0;
        all.retain(|(step, _)| {
            index += 1;
            index > first || step.status == StatusView::Failed
        });
        all.truncate(MOST_STEPS);
    }
    all
}

/// The context of an execution, and those of its steps by their ids, for those who may see data.
async fn contexts(
    engine: &Engine,
    id: ExecutionId,
    steps: &[(StepView, Vec<Option<bool>>)],
    visitor: &Visitor,
) -> Result<(Option<ContextPart>, HashMap<i64, ContextPart>), Problem> {
    if !visitor.sees_data() {
        return Ok((None, HashMap::new()));
    }
    let steps = steps.iter().map(|(view, _)| StepExecutionId(view.id)).collect();
    let found = engine.repository().contexts(id, steps).await?;
    let part = |context: ExecutionContext, step| {
        ContextPart::new(&visitor.sight.mask().entries(context.into_entries()), id, step)
    };
    let of_step = |(step, context): (StepExecutionId, _)| Some((step.0, part(context, Some(step))?));
    let steps = found.steps.into_iter().filter_map(of_step).collect();
    Ok((found.job.and_then(|context| part(context, None)), steps))
}

async fn attempts(engine: &Engine, instance: InstanceId) -> Result<Vec<Row>, Problem> {
    let filter = ExecutionFilter { instance_id: Some(instance), ..ExecutionFilter::default() };
    let found = engine.repository().executions(filter, PageRequest { before: None, limit: ATTEMPTS }).await?;
    let mut rows = Vec::new();
    for execution in found.executions {
        rows.push(Row::listed(engine, execution).await?);
    }
    Ok(rows)
}

async fn log(engine: &Engine, id: ExecutionId) -> Result<Vec<String>, Problem> {
    let mut feed = LogFeed::new(id, LogFilter::default(), None);
    let lines = feed.tail(engine.repository().as_ref(), LOG_LINES).await?;
    Ok(lines.iter().map(|kept| shown_line(&kept.line)).collect())
}

/// The groups of skipped items, for those who may see them.
async fn skips(engine: &Engine, steps: &[StepView], visitor: &Visitor) -> Result<Option<Groups>, Problem> {
    let has_skips = steps.iter().any(|step| step.skip_count > 0);
    if !has_skips || !visitor.sees_data() {
        return Ok(None);
    }
    Groups::of(engine, steps, visitor.sight.mask()).await.map(Some)
}

/// The reason why an execution waits, where it does.
async fn waits(engine: &Engine, execution: &JobExecution) -> Result<Option<String>, Problem> {
    match execution.status {
        Status::Starting => Ok(Some(engine.waiting().await?.reason(&execution.job_name).to_string())),
        _ => Ok(None),
    }
}

/// The plan of a restart, or the reason why there is none.
async fn plan(
    engine: &Engine,
    execution: &JobExecution,
    visitor: &Visitor,
) -> Result<(Option<PlanPart>, Option<String>), Problem> {
    if !execution.status.is_restartable() || execution.rerun_of.is_some() {
        return Ok((None, None));
    }
    match engine.restart_plan(execution.id).await {
        Ok(plan) => Ok((Some(PlanPart::new(plan.into(), visitor)), None)),
        Err(error) => match Problem::from(error) {
            problem if problem.kind.status().is_server_error() => Err(problem),
            problem => Ok((None, Some(problem.detail))),
        },
    }
}

fn launch(visitor: &Visitor, view: &ExecutionView) -> Commands {
    let json = |it: &ValueView| match it {
        ValueView::Text(text) if text == SECRET => "$SECRET".into(),
        ValueView::Text(text) => text.clone().into(),
        ValueView::Integer(number) => (*number).into(),
        ValueView::Float(number) => (*number).into(),
        ValueView::Reference(reference) => serde_json::json!({"secret": reference.secret}),
    };
    let parameters = view.parameters.iter().map(|(name, it)| (name.clone(), json(it))).collect();
    of_launch(visitor, &view.job_name, &parameters)
}
