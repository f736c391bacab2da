//! `ParameterizedJob`: takes any parameters and plans its work by those that it knows.

use oxbatch::job::ParameterError;
use oxbatch::serde::{Deserialize, Serialize};
use oxbatch::{BoxError, BuildError, DateTime, Job, JobParameters, StepContext, TaskStep};
use tracing::info;

/// What the first step makes of the parameters and the last one carries out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(crate = "oxbatch::serde")]
struct Plan {
    start_date: String,
    batch_size: i64,
    threshold: f64,
}

pub(super) fn job() -> Result<Job, BuildError> {
    Job::builder("ParameterizedJob")
        .description("Takes any parameters; knows start_date, batch_size and threshold")
        .step(TaskStep::builder("ParameterizedStep", plan))
        .step(TaskStep::builder("FinalStep", carry_out))
        .build()
}

fn plan(context: &StepContext) -> Result<(), BoxError> {
    let given = context.parameters();
    let plan = Plan {
        start_date: known(given, "start_date", JobParameters::date_time)?
            .map_or_else(|| "the beginning".to_owned(), |date: DateTime| date.to_string()),
        batch_size: known(given, "batch_size", JobParameters::integer)?.unwrap_or(100),
        threshold: known(given, "threshold", JobParameters::float)?.unwrap_or(0.5),
    };
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

/// A parameter that may be missing, but must have its type.
fn known<'a, T>(
    parameters: &'a JobParameters,
    name: &str,
    read: impl Fn(&'a JobParameters, &str) -> Result<T, ParameterError>,
) -> Result<Option<T>, ParameterError> {
    match read(parameters, name) {
        Ok(value) => Ok(Some(value)),
        Err(ParameterError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
