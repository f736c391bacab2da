//! An attempt to run a job instance, and how far it is.

use std::collections::BTreeMap;

use oxbatch_core::engine::{Forecast, LiveStep};
use oxbatch_core::{JobExecution, JobRegistry, Status, StepExecution};
use serde::Serialize;
use utoipa::ToSchema;

use super::value::{ValueView, parameters, time};
use super::{ForecastView, StatusView};

/// One attempt to run a job instance.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Execution)]
pub struct ExecutionView {
    #[schema(minimum = 1)]
    pub(crate) id: i64,
    #[schema(minimum = 1)]
    pub(crate) job_instance_id: i64,
    pub(crate) job_name: String,
    pub(crate) status: StatusView,
    /// The moment at which the launch was accepted.
    #[schema(format = DateTime)]
    pub(crate) create_time: String,
    /// The moment at which a node began to run it.
    #[schema(format = DateTime, required)]
    pub(crate) start_time: Option<String>,
    /// The moment of its end.
    #[schema(format = DateTime, required)]
    pub(crate) end_time: Option<String>,
    /// The moment at which its status changed last.
    #[schema(format = DateTime)]
    pub(crate) change_time: String,
    /// Free text, by default the name of the final status.
    #[schema(required)]
    pub(crate) exit_code: Option<String>,
    /// The message of the end; for a failure the whole chain of causes.
    #[schema(required)]
    pub(crate) exit_message: Option<String>,
    /// The parameters of the launch by name; secrets are `***`.
    pub(crate) parameters: BTreeMap<String, ValueView>,
    /// `true` if every step was forced to run from its start.
    pub(crate) forced: bool,
    /// Rank in the queue: higher ones go first.
    #[schema(minimum = -1000, maximum = 1000)]
    pub(crate) priority: i32,
    /// Node that runs or ran it.
    #[schema(required)]
    pub(crate) node: Option<String>,
    /// Share of the work that is done: 1 when COMPLETED, null when it ended otherwise.
    #[schema(minimum = 0, maximum = 1, required)]
    pub(crate) progress: Option<f64>,
    /// The time that is left while it runs: where it is shown by itself, and something is known. Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) seconds_left: Option<ForecastView>,
    /// The reason why it waits, where launches are paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) held_up_by: Option<String>,
    /// The execution whose skipped items it runs again; null for any other.
    #[schema(minimum = 1, required)]
    pub(crate) rerun_of: Option<i64>,
    /// The newest execution that has run its skipped items again.
    #[schema(minimum = 1, required)]
    pub(crate) rerun_by: Option<i64>,
    /// The span of the caller of its launch, as the header traceparent had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    pub(crate) traceparent: Option<String>,
}

/// The progress of the newest step of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct NewestStep {
    pub(crate) name: String,
    pub(crate) share: f64,
}

impl From<&LiveStep> for NewestStep {
    fn from(step: &LiveStep) -> Self {
        Self { name: step.step_name.clone(), share: step.live.progress().unwrap_or(0.0) }
    }
}

impl From<&StepExecution> for NewestStep {
    fn from(step: &StepExecution) -> Self {
        let share = if step.status == Status::Completed { 1.0 } else { step.progress.unwrap_or(0.0) };
        Self { name: step.step_name.clone(), share }
    }
}

impl ExecutionView {
    /// The shape of an execution. Its progress needs its `newest` step where [`needs_newest_step`] says so, and its
    /// job, which `registry` need not have.
    ///
    /// [`needs_newest_step`]: Self::needs_newest_step
    pub fn new(execution: JobExecution, registry: &JobRegistry, newest: Option<&NewestStep>) -> Self {
        let progress = progress(&execution, registry, newest);
        Self {
            id: execution.id.0,
            job_instance_id: execution.instance_id.0,
            job_name: execution.job_name,
            status: execution.status.into(),
            create_time: time(execution.create_time),
            start_time: execution.start_time.map(time),
            end_time: execution.end_time.map(time),
            change_time: time(execution.change_time),
            exit_code: execution.exit_code,
            exit_message: execution.exit_message,
            parameters: parameters(&execution.parameters),
            forced: execution.forced,
            priority: execution.priority,
            node: execution.node,
            progress,
            seconds_left: None,
            held_up_by: None,
            rerun_of: execution.rerun_of.map(|id| id.0),
            rerun_by: execution.rerun_by.map(|id| id.0),
            traceparent: execution.trace_parent.map(|parent| parent.to_string()),
        }
    }

    /// The same with the reason why it waits.
    #[must_use]
    pub fn with_pause(mut self, reason: Option<String>) -> Self {
        self.held_up_by = reason;
        self
    }

    /// The same with the time that is left.
    #[must_use]
    pub fn with_forecast(mut self, forecast: Option<Forecast>) -> Self {
        self.seconds_left = forecast.map(Into::into);
        self
    }

    /// `true` if the status alone does not give the progress of an execution: of the others nobody need read the steps.
    pub const fn needs_newest_step(status: Status) -> bool {
        matches!(status, Status::Started | Status::Stopping)
    }
}

/// Steps that are done, plus the share of the one that runs, of all steps of the job.
///
/// Steps run in their order, and a restart has no rows for those that are complete already: so the position of the
/// newest step shows how many are done.
fn progress(execution: &JobExecution, registry: &JobRegistry, newest: Option<&NewestStep>) -> Option<f64> {
    match execution.status {
        Status::Completed => return Some(1.0),
        Status::Starting => return Some(0.0),
        Status::Started | Status::Stopping => {}
        Status::Stopped | Status::Failed | Status::Abandoned => return None,
    }
    let job = registry.get(&execution.job_name)?;
    let Some(newest) = newest else { return Some(0.0) };
    if execution.rerun_of.is_some() {
        // Which steps it runs is not known here.
        return Some(newest.share.clamp(0.0, 1.0));
    }
    let position = job.steps().iter().position(|step| step.name() == newest.name)?;
    #[expect(clippy::cast_precision_loss, reason = "a job has few steps")]
    let done = (position as f64 + newest.share.clamp(0.0, 1.0)) / job.steps().len() as f64;
    Some(done)
}
