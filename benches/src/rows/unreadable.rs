//! The memory of a step whose input cannot be read at all, every record skipped, and how soon it hears a stop.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::item::FunctionWriter;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::Node;
use oxbatch_core::{ChunkStep, Engine, EngineConfig, Job, JobRegistry, SkipPolicy, Status};
use oxbatch_formats::CsvReader;
use oxbatch_storage::SqliteRepository;
use serde::{Deserialize, Serialize};

use crate::BoxError;
use crate::measure::{memory_kib, mib, peak_kib};

/// Records, when the command line does not say otherwise.
const RECORDS: u64 = 10_000_000;
const CHUNK: u32 = 1_000;
const MOST_MIB: f64 = 64.0;
const SOON: Duration = Duration::from_secs(1);
/// The step works for so long before it is asked to stop.
const BEFORE_THE_STOP: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(7_200);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    id: u64,
}

/// Measures both, each on a repository of its own.
pub(crate) fn measure(records: Option<u64>) -> Result<(), BoxError> {
    let records = records.unwrap_or(RECORDS);
    println!("\n{records} records that cannot be read, skipped by SkipPolicy::unlimited(), chunks of {CHUNK}, SQLite");
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("input.csv");
    prepare(&input, records)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let start = memory_kib("self", "VmRSS:")?;
        let took = stop(&input, folder.path()).await?;
        println!("  a stop is heard after {took:.0?}; to reach less than {SOON:?}: {}", verdict(took < SOON));
        let took = run(&input, folder.path(), records).await?;
        let peak = mib(peak_kib("self")?);
        println!(
            "  all of them in {:.0} s, peak {peak:.1} MiB ({:.1} before); to reach less than {MOST_MIB:.0} MiB: {}",
            took.as_secs_f64(),
            mib(start),
            verdict(peak < MOST_MIB)
        );
        Ok(())
    })
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

fn prepare(path: &Path, records: u64) -> Result<(), BoxError> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "id")?;
    for record in 0..records {
        writeln!(file, "no number {record}")?;
    }
    Ok(file.flush()?)
}

async fn engine(input: &Path, database: &Path) -> Result<Engine, BoxError> {
    let input = input.to_owned();
    let step = ChunkStep::builder("Read")
        .reader(move |_| Ok(CsvReader::<Record>::new(&input)))
        .skip(SkipPolicy::unlimited())
        .writer(|_| Ok(FunctionWriter::new(|_: &[Record]| Ok(()))))
        .chunk_size(CHUNK);
    let mut config = EngineConfig::new(Node::new("bench"));
    config.take_work = false;
    let registry = JobRegistry::new([Job::builder("Read").step(step).build()?])?;
    Ok(Engine::start(registry, Arc::new(SqliteRepository::open(database)?), config).await?)
}

async fn stop(input: &Path, folder: &Path) -> Result<Duration, BoxError> {
    let engine = engine(input, &folder.join("stopped.db")).await?;
    let launched = engine.launch_here("Read", GivenParameters::default(), LaunchOptions::default()).await?;
    tokio::time::sleep(BEFORE_THE_STOP).await;
    let asked = Instant::now();
    engine.stop(launched.execution.id).await?;
    let status = engine.wait(launched.execution.id, LONG).await?.status;
    let took = asked.elapsed();
    engine.shutdown().await;
    if status == Status::Stopped { Ok(took) } else { Err(format!("the stopped step is {status}").into()) }
}

async fn run(input: &Path, folder: &Path, records: u64) -> Result<Duration, BoxError> {
    let engine = engine(input, &folder.join("whole.db")).await?;
    let begun = Instant::now();
    let launched = engine.launch_here("Read", GivenParameters::default(), LaunchOptions::default()).await?;
    let execution = engine.wait(launched.execution.id, LONG).await?;
    let took = begun.elapsed();
    let steps = engine.repository().steps(execution.id).await?;
    engine.shutdown().await;
    let skipped = steps.iter().map(|step| step.counters.read_skip).sum::<i64>();
    if execution.status != Status::Completed || u64::try_from(skipped)? != records {
        return Err(format!("{}, {skipped} skipped: {:?}", execution.status, execution.exit_message).into());
    }
    Ok(took)
}
