//! The log of an execution: its last lines by level and step, or those behind a position.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::log::{LogFeed, LogFilter, LogLevel, shown_line};

use super::form::Form;
use super::frame::{Frame, Visitor, page};
use crate::error::{Problem, ProblemKind};
use crate::extract::PathId;
use crate::state::AppState;

/// Lines of a page.
const LINES: u32 = 400;
/// Most bytes of the lines of a page.
const BYTES: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    id: i64,
    job: String,
    /// Level and line.
    lines: Vec<(&'static str, String)>,
    is_cut: bool,
    levels: [&'static str; 5],
    level: &'static str,
    steps: Vec<String>,
    step: String,
}

/// The page of the log.
pub(crate) async fn show(
    State(state): State<AppState>,
    PathId(id): PathId,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    let (engine, id) = (state.engine(), ExecutionId(id));
    // The execution before its lines: those of one that has ended are all there.
    let execution = engine.execution(id).await?;
    let level = form.get("level").map(str::parse::<LogLevel>).transpose();
    let level = level.map_err(|_| Problem::new(ProblemKind::InvalidQuery, "there is no such level of a log"))?;
    let step = form.get("step").map(str::to_owned);
    let mut feed = LogFeed::new(id, LogFilter { level, step: step.clone() }, None);
    let kept = feed.tail(engine.repository().as_ref(), LINES).await?;
    let mut size = 0;
    let mut lines: Vec<_> = kept
        .iter()
        .rev()
        .map(|kept| (kept.line.level.as_str(), shown_line(&kept.line)))
        .take_while(|(_, line)| {
            size += line.len();
            size <= BYTES
        })
        .collect();
    lines.reverse();
    let mut steps: Vec<String> = engine.repository().steps(id).await?.into_iter().map(|step| step.step_name).collect();
    steps.dedup();
    let frame = Frame::new(format!("Log of #{id}"), "executions", visitor);
    page(&LogPage {
        frame: if execution.status.is_running() { frame.live(id) } else { frame },
        id: id.0,
        job: execution.job_name,
        is_cut: lines.len() < kept.len() || kept.len() >= LINES as usize,
        lines,
        levels: LogLevel::ALL.map(LogLevel::as_str),
        level: level.map_or("", LogLevel::as_str),
        steps,
        step: step.unwrap_or_default(),
    })
}
