//! Runs one job by the engine on a fresh, durable repository.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::{JobRepository, Node};
use oxbatch_core::{Engine, EngineConfig, Job, JobRegistry, Status};
use oxbatch_storage::{PostgresRepository, PostgresSettings, SqliteRepository};

use crate::BoxError;

/// Runs `job` to its end and answers how long that took, from launch to the recorded end.
pub(crate) fn run(job: Job, folder: &Path) -> Result<Duration, BoxError> {
    let database = folder.join("oxbatch.db");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("oxbatch.db{suffix}")));
    }
    on_runtime(async || run_on(job, Arc::new(SqliteRepository::open(&database)?)).await)
}

/// The same on PostgreSQL, as a forced launch: an earlier one may have left its instance.
pub(crate) fn run_on_postgres(job: Job, settings: PostgresSettings) -> Result<Duration, BoxError> {
    on_runtime(async || run_on(job, Arc::new(PostgresRepository::open(settings).await?)).await)
}

fn on_runtime(work: impl AsyncFnOnce() -> Result<Duration, BoxError>) -> Result<Duration, BoxError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(work())
}

async fn run_on(job: Job, repository: Arc<dyn JobRepository>) -> Result<Duration, BoxError> {
    let mut config = EngineConfig::new(Node::new("bench"));
    config.take_work = false;
    let name = job.name().to_owned();
    let engine = Engine::start(JobRegistry::new([job])?, repository, config).await?;
    let start = Instant::now();
    let options = LaunchOptions { force: true, ..LaunchOptions::default() };
    let launched = engine.launch_here(&name, GivenParameters::default(), options).await?;
    let execution = engine.wait(launched.execution.id, Duration::from_secs(3600)).await?;
    let time = start.elapsed();
    engine.shutdown().await;
    if execution.status != Status::Completed {
        return Err(format!("{}: {}", execution.status, execution.exit_message.unwrap_or_default()).into());
    }
    Ok(time)
}
