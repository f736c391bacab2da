//! An attempt to run a step, with what it counted.

use jiff::Timestamp;
use oxbatch_core::engine::LiveStep;
use oxbatch_core::execution::ControlTotal;
use oxbatch_core::{Decimal, StepExecution};
use serde::Serialize;
use utoipa::ToSchema;

use super::value::time;
use super::{PhaseSharesView, StatusView};

/// One attempt to run a step.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = StepExecution)]
pub struct StepView {
    #[schema(minimum = 1)]
    pub(crate) id: i64,
    #[schema(minimum = 1)]
    pub(crate) job_execution_id: i64,
    pub(crate) step_name: String,
    /// Number of the round of a cycle.
    #[schema(minimum = 1)]
    pub(crate) iteration: u32,
    pub(crate) status: StatusView,
    /// The moment of its start.
    #[schema(format = DateTime)]
    pub(crate) start_time: String,
    /// The moment of its end.
    #[schema(format = DateTime, required)]
    pub(crate) end_time: Option<String>,
    /// Free text, by default the name of the final status.
    #[schema(required)]
    pub(crate) exit_code: Option<String>,
    /// The message of the end; for a failure the whole chain of causes.
    #[schema(required)]
    pub(crate) exit_message: Option<String>,
    /// Additional attempts made.
    #[schema(minimum = 0)]
    pub(crate) retry_count: i64,
    /// Items read.
    #[schema(minimum = 0)]
    pub(crate) read_count: i64,
    /// Items written in committed chunks.
    #[schema(minimum = 0)]
    pub(crate) write_count: i64,
    /// Items that the processor left out.
    #[schema(minimum = 0)]
    pub(crate) filter_count: i64,
    /// Committed chunks.
    #[schema(minimum = 0)]
    pub(crate) commit_count: i64,
    /// Items skipped in reading, processing and writing.
    #[schema(minimum = 0)]
    pub(crate) skip_count: i64,
    /// Chunks that were rolled back.
    #[schema(minimum = 0)]
    pub(crate) rollback_count: i64,
    /// Items that could not be read.
    #[schema(minimum = 0)]
    pub(crate) read_skip_count: i64,
    /// Items that could not be processed.
    #[schema(minimum = 0)]
    pub(crate) process_skip_count: i64,
    /// Items that could not be written.
    #[schema(minimum = 0)]
    pub(crate) write_skip_count: i64,
    /// Items read per second so far.
    #[schema(minimum = 0, required)]
    pub(crate) items_per_second: Option<f64>,
    /// Share of the input that is done, where the reader knows it.
    #[schema(minimum = 0, maximum = 1, required)]
    pub(crate) progress: Option<f64>,
    /// Seconds that are left of the step, forecast from the share of its input that is done; null where that is not
    /// known, or not on this node.
    #[schema(minimum = 0, required)]
    pub(crate) seconds_left: Option<f64>,
    /// The shares of the time that reading, processing, writing and committing take; null for a task, and while it runs
    /// on another node.
    #[schema(required)]
    pub(crate) phases: Option<PhaseSharesView>,
    /// The step's control totals as of its last commit, over all attempts since it began anew; empty where it takes
    /// none.
    pub(crate) control_totals: Vec<ControlTotalView>,
}

/// A named sum over the items of a step; exact decimal numbers as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ControlTotal)]
pub struct ControlTotalView {
    pub(crate) name: String,
    /// Over the items read; null where only what is written is summed.
    #[schema(required, pattern = "^-?[0-9]+(\\.[0-9]+)?$", example = "1234.50")]
    pub(crate) read: Option<String>,
    /// Over the outputs written; null where only what is read is summed.
    #[schema(required, pattern = "^-?[0-9]+(\\.[0-9]+)?$")]
    pub(crate) written: Option<String>,
    /// Over the items that the processor left out, as they were read; null where that is not summed.
    #[schema(required, pattern = "^-?[0-9]+(\\.[0-9]+)?$")]
    pub(crate) filtered: Option<String>,
    /// Over the items skipped in processing and writing, as they were read; null where that is not summed.
    #[schema(required, pattern = "^-?[0-9]+(\\.[0-9]+)?$")]
    pub(crate) skipped: Option<String>,
}

impl From<&ControlTotal> for ControlTotalView {
    fn from(total: &ControlTotal) -> Self {
        let text = |sum: Option<Decimal>| sum.map(|sum| sum.to_string());
        Self {
            name: total.name.clone(),
            read: text(total.read),
            written: text(total.written),
            filtered: text(total.filtered),
            skipped: text(total.skipped),
        }
    }
}

impl StepView {
    /// The shape of a step as of `now`. One that runs is shown by its sample among `live`, the steps of its execution
    /// that run on this node, and without one by its row.
    ///
    /// Sample before the rows are read: a step that ends in between is then shown by its row.
    pub fn new(step: StepExecution, live: &[LiveStep], now: Timestamp) -> Self {
        let sample = live.iter().find(|live| step.status.is_running() && live.step_id == step.id);
        let (counters, progress, shares) = match sample {
            Some(sample) => (sample.live.counters(), sample.live.progress(), sample.live.shares()),
            None => (step.counters, step.progress, step.shares),
        };
        let left = sample.and_then(|sample| sample.live.time_left());
        let seconds = step.end_time.unwrap_or(now).duration_since(step.start_time).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let rate = (seconds > 0.0).then(|| counters.read as f64 / seconds);
        Self {
            id: step.id.0,
            job_execution_id: step.execution_id.0,
            step_name: step.step_name,
            iteration: step.iteration,
            status: step.status.into(),
            start_time: time(step.start_time),
            end_time: step.end_time.map(time),
            exit_code: step.exit_code,
            exit_message: step.exit_message,
            retry_count: counters.retry,
            read_count: counters.read,
            write_count: counters.write,
            filter_count: counters.filter,
            commit_count: counters.commit,
            skip_count: counters.skip(),
            rollback_count: counters.rollback,
            read_skip_count: counters.read_skip,
            process_skip_count: counters.process_skip,
            write_skip_count: counters.write_skip,
            items_per_second: rate,
            progress: progress.map(|share| share.clamp(0.0, 1.0)),
            seconds_left: left.map(|left| left.as_secs_f64()),
            phases: shares.map(Into::into),
            control_totals: step.control_totals.iter().map(Into::into).collect(),
        }
    }
}
