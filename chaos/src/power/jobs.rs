//! The jobs whose machine loses its power: one for each kind of output, each of the same rows.

use std::path::Path;
use std::thread;
use std::time::Duration;

use oxbatch::item::{
    Align, BoxError, Compression, CsvWriter, DistinctProcessor, FixedWidthWriter, FunctionProcessor, ItemWriter,
    JsonArrayWriter, JsonLinesWriter, ListReader, OnExisting, TeeWriter, XmlWriter,
};
use oxbatch::postgres::{PostgresSettings, PostgresWriter};
use oxbatch::sqlite::{SqliteWriter, rusqlite};
use oxbatch::step::TaskStepBuilder;
use oxbatch::{BuildError, ChunkStep, Job, Step, StepContext, TaskStep};
use serde::Serialize;

use crate::database::Database;

/// The rows of a job.
pub(crate) const ROWS: u64 = 360;
const CHUNK: u32 = 40;
/// Time that a chunk takes where saves are joined.
const CHUNK_TIME: Duration = Duration::from_millis(25);
/// Rows between two commits of others that wait for the disk, on the repository's own log.
const ROWS_BETWEEN_OTHERS: u64 = 70;

/// The job with which a database is created.
pub(crate) const FIRST: &str = "first";
/// The database on the disk that is the repository, or is not.
pub(crate) const SQLITE: &str = "oxbatch.db";
/// The file of SQLite that is never the repository.
pub(crate) const TARGET: &str = "target.db";
/// Where the step before the last says that it has ended.
pub(crate) const FACT: &str = "the rows are written in execution ";
/// The URL of the PostgreSQL that is the target of a job.
pub(crate) const TARGET_URL: &str = "OXBATCH_POWER_TARGET";
/// The URL of the repository, when it is PostgreSQL.
const REPOSITORY_URL: &str = "OXBATCH_DATABASE";

const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS power_row (number BIGINT NOT NULL, name TEXT NOT NULL, cents BIGINT NOT NULL)";

/// A row; the table has no key, so that a doubled row would be there and be seen.
#[derive(Debug, Clone, Serialize)]
struct Row {
    number: u64,
    name: String,
    cents: u64,
}

/// The text by which a row is found in any output.
pub(crate) fn name(number: u64) -> String {
    format!("row-{number:05}, a name of some length, so that a file has several pages: Möwe {}", number * 7919 % 1000)
}

fn row(number: u64) -> Row {
    Row { number, name: name(number), cents: number * 37 % 10_007 }
}

/// All of them; a job whose name is that of a case.
pub(crate) fn jobs() -> Result<Vec<Job>, BuildError> {
    Ok(vec![
        Job::builder(FIRST).step(witness()).build()?,
        job("table", into(|_| Ok(SqliteWriter::<Row>::new("power_row").create(CREATE))))?,
        job("postgres-table", into(|context| Ok(PostgresWriter::<Row>::new(context, "power_row").create(CREATE))))?,
        job("sqlite-target", into(|context| Ok(target(context))))?,
        job("sqlite-at-least-once", into(|_| Ok(SqliteWriter::<Row>::to_file(TARGET, "power_row").create(CREATE))))?,
        job(
            "postgres-target",
            into(|context| {
                let settings = PostgresSettings::from_url(&std::env::var(TARGET_URL)?)?;
                Ok(PostgresWriter::<Row>::to(&settings, "power_row").exactly_once(context).create(CREATE))
            }),
        )?,
        job("csv", into(|context| Ok(csv(context, "out/new/rows.csv"))))?,
        job("joined", rows(Pace::Joined, |context| Ok(csv(context, "out/new/rows.csv"))))?,
        job("json-lines", into(|context| Ok(JsonLinesWriter::<Row>::new(context, "out/new/rows.jsonl"))))?,
        job("json-array", into(|context| Ok(JsonArrayWriter::<Row>::new(context, "out/new/rows.json"))))?,
        job("xml", into(|context| Ok(XmlWriter::<Row>::new(context, "out/new/rows.xml"))))?,
        job("fixed-width", into(|context| Ok(fixed_width(context))))?,
        job("gzip", into(|context| Ok(csv(context, "out/new/rows.csv.gz").compression(Compression::Gzip))))?,
        job("zstd", into(|context| Ok(csv(context, "out/new/rows.csv.zst").compression(Compression::Zstd))))?,
        job("sequence", into(|context| Ok(csv(context, "out/new/rows.csv").roll_after_items(100))))?,
        job("append", into(|context| Ok(csv(context, "out/kept.csv").on_existing(OnExisting::Append))))?,
        job("replace", into(|context| Ok(csv(context, "out/kept.csv"))))?,
        job(
            "tee",
            into(|context| {
                let table = SqliteWriter::<Row>::new("power_row").create(CREATE);
                Ok(TeeWriter::new(csv(context, "out/new/rows.csv"), table))
            }),
        )?,
        job("tee-of-targets", into(|context| Ok(TeeWriter::new(csv(context, "out/new/rows.csv"), target(context)))))?,
        job("distinct", distinct())?,
    ])
}

fn csv(context: &StepContext, path: &str) -> CsvWriter<Row> {
    CsvWriter::new(context, path)
}

fn fixed_width(context: &StepContext) -> FixedWidthWriter<Row> {
    let writer = FixedWidthWriter::new(context, "out/new/rows.txt").column("number", 6, Align::Right);
    writer.column("name", 100, Align::Left).column("cents", 6, Align::Right)
}

fn target(context: &StepContext) -> SqliteWriter<Row> {
    SqliteWriter::to_file(TARGET, "power_row").exactly_once(context).create(CREATE)
}

/// When the states of a step are saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// With each chunk.
    EachChunk,
    /// As the writer likes best: files join the saves of a tenth of a second, of which the step takes several.
    Joined,
}

fn into<W>(writer: impl Fn(&StepContext) -> Result<W, BoxError> + Send + Sync + 'static) -> Result<Step, BuildError>
where
    W: ItemWriter<Row> + 'static,
{
    rows(Pace::EachChunk, writer)
}

fn rows<W>(
    pace: Pace,
    writer: impl Fn(&StepContext) -> Result<W, BoxError> + Send + Sync + 'static,
) -> Result<Step, BuildError>
where
    W: ItemWriter<Row> + 'static,
{
    let step = ChunkStep::builder("Write")
        .reader(|_| Ok(ListReader::new(0..ROWS)))
        .processor(move |_| {
            Ok(FunctionProcessor::new(move |number: u64| {
                if number % ROWS_BETWEEN_OTHERS == ROWS_BETWEEN_OTHERS / 2 {
                    let _ = thread::spawn(somebody_else_commits).join();
                }
                if pace == Pace::Joined && number.is_multiple_of(u64::from(CHUNK)) {
                    thread::sleep(CHUNK_TIME);
                }
                Ok(Some(row(number)))
            }))
        })
        .writer(writer)
        .chunk_size(CHUNK);
    match pace {
        Pace::EachChunk => step.commit_every(Duration::ZERO).try_into(),
        Pace::Joined => step.try_into(),
    }
}

/// Each row twice, and of these one.
fn distinct() -> Result<Step, BuildError> {
    ChunkStep::builder("Write")
        .reader(|_| Ok(ListReader::new((0..ROWS).flat_map(|number| [number, number / 2]).map(row))))
        .processor(|context| {
            Ok(DistinctProcessor::new(context, "work/new/keys", |row: &Row, key| {
                key.push(&row.number);
            }))
        })
        .writer(|context| Ok(csv(context, "out/new/rows.csv")))
        .chunk_size(CHUNK)
        .commit_every(Duration::ZERO)
        .try_into()
}

fn job(name: &str, step: Result<Step, BuildError>) -> Result<Job, BuildError> {
    Job::builder(name).step(step?).step(witness()).build()
}

/// Tells the outside what must never be untrue again: that the step before has ended.
fn witness() -> TaskStepBuilder {
    TaskStep::builder("Witness", |context| {
        println!("{FACT}{}", context.execution_id());
        Ok(())
    })
}

/// Whatever else a service commits durably: a lease, a launch. It takes all chunks before it along to the disk.
fn somebody_else_commits() -> Result<(), BoxError> {
    const OTHER: &str = "CREATE TABLE IF NOT EXISTS power_other (number BIGINT); INSERT INTO power_other VALUES (1)";
    match std::env::var(REPOSITORY_URL) {
        Ok(url) => Ok(Database::new(url)?.execute(OTHER)?),
        Err(_) => {
            let connection = rusqlite::Connection::open(Path::new(SQLITE))?;
            connection.busy_timeout(Duration::from_secs(10))?;
            Ok(connection.execute_batch(&format!("PRAGMA synchronous = FULL; {OTHER}"))?)
        }
    }
}
