//! The time that is left of an execution: from how far its last step is in its input, or from recent runs of its job.

use std::time::Duration;

use super::operator::Operator;
use super::refusal::OperatorError;
use crate::execution::{JobExecution, RecentRuns, Status};
use crate::repository::{ExecutionFilter, PageRequest};

/// The completed executions of a job that count.
const RUNS: u32 = 20;

/// The time that is left of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// At least.
    pub low: Duration,
    /// At most.
    pub high: Duration,
    /// The number of recent runs that say so; `None` when it is forecast from the share of the input that is done.
    pub runs: Option<usize>,
}

impl Operator {
    /// The time that is left of an execution that runs: from the input of its last step where that runs in this process
    /// and knows how much there is, otherwise from the durations of recent completed executions of its job; `None`
    /// where neither says anything.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn forecast(&self, execution: &JobExecution) -> Result<Option<Forecast>, OperatorError> {
        if !matches!(execution.status, Status::Started | Status::Stopping) {
            return Ok(None);
        }
        let last_step = self.registry().get(&execution.job_name).and_then(|job| job.steps().last());
        let live = self.live_steps(execution.id);
        let of_last = live.last().filter(|live| last_step.is_some_and(|last| last.name() == live.step_name));
        if let Some(left) = of_last.and_then(|live| live.live.time_left()) {
            return Ok(Some(Forecast { low: left, high: left, runs: None }));
        }
        let Some(start) = execution.start_time else { return Ok(None) };
        let filter = ExecutionFilter {
            job_name: Some(execution.job_name.clone()),
            statuses: vec![Status::Completed],
            ..ExecutionFilter::default()
        };
        let page = self.repository().executions(filter, PageRequest { before: None, limit: RUNS }).await?;
        let took = |run: &JobExecution| run.end_time?.duration_since(run.start_time?).try_into().ok();
        let Some(recent) = RecentRuns::of(page.executions.iter().filter_map(took).collect()) else { return Ok(None) };
        let elapsed = self.settings().clock.now().duration_since(start).try_into().unwrap_or_default();
        let (low, high) = recent.left(elapsed);
        Ok(Some(Forecast { low, high, runs: Some(recent.runs) }))
    }
}
