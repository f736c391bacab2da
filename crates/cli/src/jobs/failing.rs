//! `FailingJob`: its second step always fails; launched again, its first step is not run again.

use oxbatch::{BuildError, Job, TaskStep};
use tracing::info;

pub(super) fn job() -> Result<Job, BuildError> {
    Job::builder("FailingJob")
        .description("Fails in its second step; a restart skips the first")
        .step(TaskStep::builder("Step1", |_| {
            info!("step 1 works");
            Ok(())
        }))
        .step(TaskStep::builder::<_, ()>("ErrorStep", |_| Err("this step always fails".into())))
        .build()
}
