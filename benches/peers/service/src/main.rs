//! An Oxbatch service whose one job has one step that does nothing.

use std::process::ExitCode;

use oxbatch::{Job, JobRegistry, RegistryError, TaskStep};

// As the service of the project itself has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn registry() -> Result<JobRegistry, RegistryError> {
    JobRegistry::new([Job::builder("OneStep").step(TaskStep::builder("Nothing", |_| Ok(()))).build()?])
}

fn main() -> ExitCode {
    oxbatch::run(registry())
}
