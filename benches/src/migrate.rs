//! A repository with a million executions is migrated, while somebody reads and writes: time, waits, and the disk that
//! it takes.
//!
//! ```text
//! cargo run --release -p oxbatch-benches -- migrate
//! scripts/postgres run cargo run --release -p oxbatch-benches -- migrate     # on PostgreSQL
//! ```

mod undo;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oxbatch_storage::{PostgresRepository, PostgresSettings, SqliteRepository};
use rusqlite::{Connection, OpenFlags};

use crate::BoxError;
use crate::rows::history::Store;
use crate::rows::server;

const EXECUTIONS: u64 = 1_000_000;
/// The migration that the repository is at: that of the first release with several nodes.
const FROM: i64 = 6;
const DATABASE: &str = "oxbatch_migrate";
/// Longer than any migration.
const PATIENCE: Duration = Duration::from_secs(600);
/// Poll interval for the size of files.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
const READ: &str = "SELECT count(*) FROM oxbatch_job_execution WHERE id BETWEEN 1 AND 20";
const MIB: f64 = 1024.0 * 1024.0;

/// The longest wait of somebody who asks again and again.
#[derive(Default)]
struct Longest(AtomicU64);

impl Longest {
    fn ask(&self, question: impl FnOnce() -> Result<(), BoxError>) -> Result<(), BoxError> {
        let start = Instant::now();
        question()?;
        let micros = u64::try_from(start.elapsed().as_micros())?;
        self.0.fetch_max(micros, Ordering::Relaxed);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a time for people")]
    fn millis(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e3
    }
}

/// Measures on SQLite, or on PostgreSQL where a server is named.
pub(crate) fn measure(executions: Option<u64>) -> Result<(), BoxError> {
    let executions = i64::try_from(executions.unwrap_or(EXECUTIONS))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match server::url() {
        Ok(url) => runtime.block_on(postgres(&url, executions)),
        Err(_) => sqlite(&runtime, executions),
    }
}

fn sqlite(runtime: &tokio::runtime::Runtime, executions: i64) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("oxbatch.db");
    runtime.block_on(async { Store::sqlite(&path, executions).await?.close().await })?;
    let newest = undo::sqlite(&path)?;
    println!("\n{executions} executions on SQLite, migrations {} to {newest}", FROM + 1);
    let before = size(&path)?;
    let (ends, reads, writes, peak) =
        (AtomicBool::new(false), Longest::default(), Longest::default(), AtomicU64::new(0));
    let took = std::thread::scope(|scope| {
        let reading = scope.spawn(|| others(&path, &ends, &reads, READ));
        let writing = scope.spawn(|| others(&path, &ends, &writes, "BEGIN IMMEDIATE; ROLLBACK"));
        let looking = scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                peak.fetch_max(size(&path).unwrap_or_default(), Ordering::Relaxed);
                std::thread::sleep(POLL_INTERVAL);
            }
        });
        let start = Instant::now();
        let opened = SqliteRepository::open(&path);
        let took = start.elapsed();
        ends.store(true, Ordering::Relaxed);
        for asking in [reading, writing] {
            asking.join().map_err(|_| "somebody who asked panicked")??;
        }
        looking.join().map_err(|_| "the look at the files panicked")?;
        opened?;
        Ok::<_, BoxError>(took)
    })?;
    told(took, &reads, &writes);
    let peak = peak.load(Ordering::Relaxed).max(before);
    println!(
        "  disk: {} before, {} more at most meanwhile, {} more afterwards",
        mib(before),
        mib(peak - before),
        mib(size(&path)?.saturating_sub(before))
    );
    Ok(())
}

/// Asks the file again and again, as others do who work on it.
fn others(path: &Path, ends: &AtomicBool, longest: &Longest, statement: &str) -> Result<(), BoxError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    while !ends.load(Ordering::Relaxed) {
        longest.ask(|| Ok(connection.execute_batch(statement)?))?;
    }
    Ok(())
}

/// The bytes of the file and its log.
fn size(path: &Path) -> Result<u64, BoxError> {
    let log = PathBuf::from(format!("{}-wal", path.display()));
    let log = std::fs::metadata(log).map_or(0, |file| file.len());
    Ok(std::fs::metadata(path)?.len() + log)
}

async fn postgres(url: &str, executions: i64) -> Result<(), BoxError> {
    Store::postgres(url, DATABASE, executions).await?.close().await?;
    let newest = undo::postgres(url, DATABASE).await?;
    println!("\n{executions} executions on PostgreSQL, migrations {} to {newest}", FROM + 1);
    let settings = PostgresSettings::from_url(&Store::database_url(url, DATABASE)?)?;
    let watch = settings.connect().await?;
    let sizes = "SELECT pg_database_size(current_database()), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
    let sizes = async || Ok::<_, BoxError>(watch.query_one(sizes, &[]).await.map(|row| (row.get(0), row.get(1)))?);
    let before: (i64, i64) = sizes().await?;
    let ends = AtomicBool::new(false);
    let ask = async |statement: &str| {
        let client = settings.connect().await?;
        let mut longest = Duration::ZERO;
        while !ends.load(Ordering::Relaxed) {
            let start = Instant::now();
            client.batch_execute(statement).await?;
            longest = longest.max(start.elapsed());
        }
        Ok::<_, BoxError>(longest)
    };
    let migrate = async {
        let start = Instant::now();
        let opened = PostgresRepository::open(settings.clone()).await;
        ends.store(true, Ordering::Relaxed);
        opened?;
        Ok::<_, BoxError>(start.elapsed())
    };
    let write = "UPDATE oxbatch_job_execution SET priority = priority WHERE id = 1";
    let (took, reads, writes) = tokio::join!(migrate, ask(READ), ask(write));
    let (reads, writes) = (longest(reads?)?, longest(writes?)?);
    told(took?, &reads, &writes);
    let after = sizes().await?;
    let more = |before: i64, after: i64| u64::try_from(after - before).unwrap_or_default();
    println!(
        "  disk: {} before, {} more afterwards, {} of log",
        mib(u64::try_from(before.0)?),
        mib(more(before.0, after.0)),
        mib(more(before.1, after.1))
    );
    Ok(())
}

fn longest(time: Duration) -> Result<Longest, BoxError> {
    Ok(Longest(AtomicU64::new(u64::try_from(time.as_micros())?)))
}

fn told(took: Duration, reads: &Longest, writes: &Longest) {
    println!("  time: {:.0} ms, with the opening of the repository", took.as_secs_f64() * 1e3);
    println!("  longest wait of others: reading {:.0} ms, writing {:.0} ms", reads.millis(), writes.millis());
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MIB)
}
