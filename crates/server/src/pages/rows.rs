//! A row of a list of executions.

use jiff::Timestamp;
use oxbatch_core::{Engine, JobExecution};

use super::parts::{Badge, Moment, between, duration};
use super::text::shorten;
use crate::access::Sight;
use crate::api::executions::{shown, shown_alone};
use crate::error::Problem;
use crate::view::{ExecutionView, ForecastView, ValueView};

/// Most characters of a message in a row.
const MESSAGE_CHARS: usize = 160;
/// Most parameters in a row.
const PARAMETERS: usize = 4;

/// A row of a list of executions.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) job: String,
    pub(super) status: Badge,
    pub(super) created: Moment,
    pub(super) ended: Option<Moment>,
    /// The time that it has taken, or takes by now.
    pub(super) took: Option<String>,
    pub(super) message: Option<String>,
    pub(super) parameters: String,
    /// The share that is done in percent, while it runs.
    pub(super) percent: Option<u32>,
    pub(super) left: Option<String>,
    pub(super) node: Option<String>,
    pub(super) waits: Option<String>,
    pub(super) rerun_of: Option<i64>,
}

impl Row {
    pub(super) fn new(view: ExecutionView, now: Timestamp) -> Self {
        let took = view.start_time.as_deref().and_then(|start| between(start, view.end_time.as_deref(), now));
        let message = view.exit_message.as_deref().map(|message| shorten(message, MESSAGE_CHARS));
        let is_running = view.progress.filter(|_| view.end_time.is_none());
        Self {
            id: view.id,
            status: Badge(view.status),
            created: Moment::of(&view.create_time),
            ended: view.end_time.as_deref().map(Moment::of),
            took,
            message,
            parameters: parameters_of(&view),
            percent: is_running.map(whole_percent),
            left: view.seconds_left.as_ref().map(left),
            node: view.node,
            waits: view.held_up_by,
            rerun_of: view.rerun_of,
            job: view.job_name,
        }
    }

    /// The row of an execution as it is listed: without the raw text of its record, whoever looks.
    pub(super) async fn listed(engine: &Engine, execution: JobExecution) -> Result<Self, Problem> {
        Ok(Self::new(shown(engine, execution, &Sight::default()).await?, engine.config().clock.now()))
    }

    /// The row with the time that is left.
    pub(super) async fn watched(engine: &Engine, execution: JobExecution) -> Result<Self, Problem> {
        Ok(Self::new(shown_alone(engine, execution, &Sight::default()).await?, engine.config().clock.now()))
    }
}

/// A share as a whole number of percent.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
pub(super) fn whole_percent(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * 100.0).round() as u32
}

/// A value as text.
pub(super) fn value(value: &ValueView) -> String {
    match value {
        ValueView::Text(text) => text.clone(),
        ValueView::Integer(number) => number.to_string(),
        ValueView::Float(number) => number.to_string(),
        ValueView::Reference(reference) => format!("the secret {}", reference.secret),
    }
}

fn parameters_of(view: &ExecutionView) -> String {
    let mut words: Vec<String> = view
        .parameters
        .iter()
        .take(PARAMETERS)
        .map(|(name, it)| format!("{name}={}", shorten(&value(it), 40)))
        .collect();
    if view.parameters.len() > PARAMETERS {
        words.push(format!("and {} more", view.parameters.len() - PARAMETERS));
    }
    words.join("  ")
}

/// The time that is left in words.
pub(super) fn left(forecast: &ForecastView) -> String {
    match forecast.runs {
        None => format!("{} left", duration(forecast.low)),
        Some(_) if forecast.high < 1.0 => "about to end, by recent runs".to_owned(),
        Some(runs) => format!("{} to {} left, by {runs} recent runs", duration(forecast.low), duration(forecast.high)),
    }
}
