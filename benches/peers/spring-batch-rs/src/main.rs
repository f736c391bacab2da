//! The work of the comparison by spring-batch-rs, as its own benchmark and examples write it: `WORK ROWS CHUNK FOLDER`.

mod files;
mod memory;
mod postgres;
mod sqlite;

use std::process::ExitCode;

use peer_trades::{Answer, BoxError, Task};
use spring_batch_rs::core::item::{ItemProcessor, ItemReader, ItemWriter};
use spring_batch_rs::core::job::{Job, JobBuilder};
use spring_batch_rs::core::step::{Step, StepBuilder};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// Its database items block on the runtime that they are called from.
#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments).await.and_then(|answer| answer.line()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("spring-batch-rs: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<Answer, BoxError> {
    let task = Task::from_arguments(arguments)?;
    match task.work.as_str() {
        "engine" => memory::run(&task),
        "csv" => files::run(&task),
        "sqlite" => sqlite::run(&task).await,
        "pipeline" => postgres::run(&task).await,
        other => Err(format!("no work '{other}'").into()),
    }
}

/// Runs one step as a job to its end. Read and write errors that it tolerates are errors here.
fn run_step<I, O>(
    chunk: usize,
    reader: &dyn ItemReader<I>,
    processor: &dyn ItemProcessor<I, O>,
    writer: &dyn ItemWriter<O>,
) -> Result<(), BoxError> {
    let step = StepBuilder::new("step")
        .chunk::<I, O>(u16::try_from(chunk)?)
        .reader(reader)
        .processor(processor)
        .writer(writer)
        .build();
    run_job(&step)
}

/// The same without a processor.
fn run_copy<I>(chunk: usize, reader: &dyn ItemReader<I>, writer: &dyn ItemWriter<I>) -> Result<(), BoxError> {
    let step = StepBuilder::new("step").chunk::<I, I>(u16::try_from(chunk)?).reader(reader).writer(writer).build();
    run_job(&step)
}

fn run_job(step: &dyn Step) -> Result<(), BoxError> {
    let job = JobBuilder::new().start(step).build();
    job.run()?;
    let execution = job.get_step_execution("step").ok_or("the step was not recorded")?;
    match execution.read_error_count + execution.process_error_count + execution.write_error_count {
        0 => Ok(()),
        faults => Err(format!("{faults} faults").into()),
    }
}
