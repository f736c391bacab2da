//! `RetryJob`: a step fails twice in each execution and is repeated until it succeeds.

use std::time::Duration;

use oxbatch::{BoxError, BuildError, Job, StepContext, TaskStep};
use tracing::info;

/// The number of failures of the step in each execution.
const FAILURES: u32 = 2;

pub(super) fn job() -> Result<Job, BuildError> {
    Job::builder("RetryJob")
        .description("A flaky step is repeated until it succeeds")
        .step(TaskStep::builder("Step1", |_| Ok(())))
        .step(TaskStep::builder("FlakyStep", flaky).max_retries(3).retry_delay(Duration::from_secs(1)))
        .step(TaskStep::builder("Step2", |_| Ok(())))
        .build()
}

/// Counts in the step's context, which belongs to this execution alone: a static would be shared by all of the process.
fn flaky(context: &StepContext) -> Result<(), BoxError> {
    let execution = context.execution_id().0;
    // A restart gets the context of the attempt before it: what that one counted is not this execution's.
    let (of, failures) = context.get::<(i64, u32)>("failures")?.unwrap_or((execution, 0));
    let failures = if of == execution { failures } else { 0 };
    if failures < FAILURES {
        context.put("failures", (execution, failures + 1))?;
        return Err(format!("failure {} of {FAILURES}, as planned", failures + 1).into());
    }
    info!(failures, "worked at last");
    Ok(())
}
