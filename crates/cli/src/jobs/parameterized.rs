//! `ParameterizedJob`: takes any parameters and plans its work by those that it knows.

use oxbatch::{BoxError, BuildError, DateTime, Job, StepContext, TaskStep};
use serde::{Deserialize, Serialize};
use tracing::info;

/// The parameters that the job knows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Plan {
    start_date: Option<DateTime>,
    batch_size: i64,
    threshold: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { start_date: None, batch_size: 100, threshold: 0.5 }
    }
}

pub(super) fn job() -> Result<Job, BuildError> {
    Job::builder("ParameterizedJob")
        .description("Takes any parameters; knows start_date, batch_size and threshold")
        .step(TaskStep::builder("ParameterizedStep", plan))
        .step(TaskStep::builder("FinalStep", carry_out))
        .build()
}

fn plan(context: &StepContext) -> Result<(), BoxError> {
    let plan: Plan = context.parameters().read()?;
    if plan.batch_size < 1 {
        return Err(format!("parameter 'batch_size' must be at least 1, not {}", plan.batch_size).into());
    }
    info!(?plan, "planned");
    context.put_into_job("plan", &plan)?;
    Ok(())
}

fn carry_out(context: &StepContext) -> Result<(), BoxError> {
    let plan: Plan = context.get_from_job("plan")?.ok_or("the plan of the first step is missing")?;
    info!(?plan, "carried out");
    Ok(())
}
