//! The work by Oxbatch, as jobs with a durable repository.

mod pipeline;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::execution::StepExecution;
use oxbatch_core::item::{FunctionProcessor, FunctionWriter, IteratorReader};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::{JobRepository, Node};
use oxbatch_core::{ChunkStep, Engine, EngineConfig, Job, JobRegistry, Status};
use oxbatch_formats::{CsvReader, CsvWriter};
use oxbatch_storage::{PostgresRepository, PostgresSettings, SqliteRepository, SqliteWriter};
use peer_trades::{Answer, BoxError, Task, Trade, sum, transform, work};

use crate::hand::TABLE;

pub(crate) fn run(task: &Task) -> Result<Answer, BoxError> {
    let chunk = u32::try_from(task.chunk)?;
    let database = task.folder.join("oxbatch.db");
    match task.work.as_str() {
        "engine" => {
            let (rows, total) = (task.rows, Arc::new(AtomicU64::new(0)));
            let shared = Arc::clone(&total);
            let step = ChunkStep::builder("Sum")
                .reader(move |_| Ok(IteratorReader::new(0..rows)))
                .processor(|_| Ok(FunctionProcessor::new(|item: u64| Ok(work(item)))))
                .writer(move |_| {
                    let total = Arc::clone(&shared);
                    Ok(FunctionWriter::new(move |chunk: &[u64]| {
                        total.fetch_add(sum(chunk), Ordering::Relaxed);
                        Ok(())
                    }))
                });
            let time = on_sqlite(Job::builder("Engine").step(step.chunk_size(chunk)).build()?, &database)?;
            Ok(Answer { checksum: Some(total.load(Ordering::Relaxed)), ..Answer::of(time) })
        }
        "csv" => {
            let (input, output) = (task.input(), task.folder.join("oxbatch.csv"));
            let step = ChunkStep::builder("Convert")
                .reader(move |_| Ok(CsvReader::<Trade>::new(&input)))
                .processor(|_| Ok(FunctionProcessor::new(|trade: Trade| Ok(transform(trade)))))
                .writer(move |context| Ok(CsvWriter::<Trade>::new(context, &output)));
            let job = Job::builder("CsvToCsv").step(step.chunk_size(chunk)).build()?;
            Ok(Answer::of(on_sqlite(job, &database)?))
        }
        "sqlite" => {
            let input = task.input();
            let step = ChunkStep::builder("Import")
                .reader(move |_| Ok(CsvReader::<Trade>::new(&input)))
                .writer(|_| Ok(SqliteWriter::<Trade>::new("trades").create(TABLE)));
            let job = Job::builder("CsvToSqlite").step(step.chunk_size(chunk)).build()?;
            Ok(Answer::of(on_sqlite(job, &database)?))
        }
        "commits" => {
            let rows = task.rows;
            let step = ChunkStep::builder("Count")
                .reader(move |_| Ok(IteratorReader::new(0..rows)))
                .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))));
            let (time, steps) = on_postgres(Job::builder("Commits").step(step.chunk_size(chunk)).build()?)?;
            let commits = steps.first().map(|step| step.counters.commit);
            Ok(Answer { checksum: Some(u64::try_from(commits.ok_or("no step")?)?), ..Answer::of(time) })
        }
        "pipeline" => pipeline::run(task, chunk),
        other => Err(format!("no work '{other}' by Oxbatch").into()),
    }
}

/// Runs `job` on a fresh SQLite repository and answers how long that took, from launch to the recorded end.
fn on_sqlite(job: Job, database: &Path) -> Result<Duration, BoxError> {
    runtime()?.block_on(async { Ok(run_job(job, Arc::new(SqliteRepository::open(database)?)).await?.0) })
}

/// The same in the database of the environment.
fn on_postgres(job: Job) -> Result<(Duration, Vec<StepExecution>), BoxError> {
    let settings = PostgresSettings::from_url(&std::env::var("DATABASE_URL")?)?;
    runtime()?.block_on(async { run_job(job, Arc::new(PostgresRepository::open(settings).await?)).await })
}

fn runtime() -> Result<tokio::runtime::Runtime, BoxError> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

/// Runs `job` to its end.
async fn run_job(job: Job, repository: Arc<dyn JobRepository>) -> Result<(Duration, Vec<StepExecution>), BoxError> {
    let mut config = EngineConfig::new(Node::new("bench"));
    config.take_work = false;
    let name = job.name().to_owned();
    let engine = Engine::start(JobRegistry::new([job])?, Arc::clone(&repository), config).await?;
    let start = Instant::now();
    // A repository that is not fresh knows the instance already.
    let options = LaunchOptions { force: true, ..LaunchOptions::default() };
    let launched = engine.launch_here(&name, GivenParameters::default(), options).await?;
    let execution = engine.wait(launched.execution.id, Duration::from_secs(3600)).await?;
    let time = start.elapsed();
    let steps = repository.steps(execution.id).await?;
    engine.shutdown().await;
    if execution.status != Status::Completed {
        return Err(format!("{}: {}", execution.status, execution.exit_message.unwrap_or_default()).into());
    }
    Ok((time, steps))
}
