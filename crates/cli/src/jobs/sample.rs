//! `SampleJob`: two steps, one after the other.

use oxbatch::{BuildError, Job, TaskStep};
use tracing::info;

pub(super) fn job() -> Result<Job, BuildError> {
    Job::builder("SampleJob")
        .description("Two steps, one after the other")
        .step(TaskStep::builder("Step1", |_| {
            info!("step 1 works");
            Ok(())
        }))
        .step(TaskStep::builder("Step2", |_| {
            info!("step 2 works");
            Ok(())
        }))
        .build()
}
