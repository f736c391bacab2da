//! `show --follow`: a line at each change of an execution and its steps, until it has ended.

use std::collections::HashMap;
use std::time::Duration;

use oxbatch_core::execution::{Counters, ExecutionId, StepExecutionId};
use oxbatch_core::{JobExecution, Status, StepExecution};

use crate::colour::{self, paint_word};
use crate::connection::Connection;
use crate::error::CliError;
use crate::output;

/// Time between two polls: at most this often is the progress of a step printed.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Follows an execution to its end.
pub(super) async fn run(connection: &Connection, id: ExecutionId) -> Result<JobExecution, CliError> {
    let mut printed: Option<Status> = None;
    let mut steps: HashMap<StepExecutionId, (Status, Counters)> = HashMap::new();
    loop {
        // The execution before its steps: once it has ended they do not change any more.
        let execution = connection.execution(id).await?;
        for step in connection.steps(id).await? {
            let seen = (step.status, step.counters);
            if steps.insert(step.id, seen) != Some(seen) {
                output::line(line(&step))?;
            }
        }
        if printed.replace(execution.status) != Some(execution.status) {
            let status = paint_word(execution.status.as_str(), colour::on_stdout());
            output::line(format!("execution {id} is {status}"))?;
        }
        if !execution.status.is_running() {
            return Ok(execution);
        }
        connection.wait(id, Some(POLL_EVERY)).await?;
    }
}

fn line(step: &StepExecution) -> String {
    let Counters { read, write, filter, .. } = step.counters;
    let mut parts = vec![step.step_name.clone(), step.status.to_string()];
    parts.push(format!("read {read}  written {write}"));
    let rare = [("filtered", filter), ("skipped", step.counters.skip()), ("retries", step.counters.retry)];
    parts.extend(rare.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")));
    parts.extend(step.progress.filter(|_| step.status.is_running()).map(|share| format!("{:.0} %", share * 100.0)));
    output::one_line(&parts.join("  "))
}
