//! The jobs that are killed: one for each kind of output, each an import of the same file.

use std::io::{BufWriter, Write};
use std::path::Path;

use oxbatch::item::{
    Align, BoxError, Compression, CsvEncoder, CsvReader, CsvWriter, DistinctProcessor, FileWriter, FixedWidthWriter,
    FunctionProcessor, ItemWriter, ItemWriterExt, JsonArrayWriter, JsonLinesWriter, OnExisting, RecordEncoder, Reject,
    XmlWriter,
};
use oxbatch::postgres::{PostgresReader, PostgresWriter};
use oxbatch::sqlite::SqliteWriter;
use oxbatch::{
    BuildError, ChunkStep, ItemError, Job, JobRegistry, ParameterDeclaration, SkipPolicy, Step, StepContext,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::output::{Output, rejected_in};

const CHUNK: u32 = 200;

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    id: u64,
    name: String,
    cents: i64,
}

/// A row of the table: no key, so that a doubled row would be there and be seen.
#[derive(Debug, Serialize)]
struct TableRow {
    round: u64,
    id: u64,
    name: String,
    cents: i64,
}

pub(crate) fn registry() -> JobRegistry {
    JobRegistry::new(Output::ALL.into_iter().filter_map(|output| job(output).ok())).unwrap_or_default()
}

fn job(output: Output) -> Result<Job, BuildError> {
    let step = match output {
        Output::Table => into_table(|_| {
            Ok(SqliteWriter::<TableRow>::new("crash_rows").create(
                "CREATE TABLE IF NOT EXISTS crash_rows (round INTEGER, id INTEGER, name TEXT, cents INTEGER) STRICT",
            ))
        }),
        Output::PostgresTable => into_table(|context| {
            Ok(PostgresWriter::<TableRow>::new(context, "crash_rows")
                .create("CREATE TABLE IF NOT EXISTS crash_rows (round BIGINT, id BIGINT, name TEXT, cents BIGINT)"))
        }),
        Output::CsvOfPostgres => out_of_table(output),
        Output::Csv => into_files(output, |writer: CsvWriter<Row>| writer),
        Output::Appended => into_files(output, |writer: CsvWriter<Row>| writer.on_existing(OnExisting::Append)),
        Output::FixedWidth => into_files(output, |writer: FixedWidthWriter<Row>| {
            let writer = writer.column("id", 8, Align::Right).column("name", 14, Align::Left);
            writer.column("cents", 8, Align::Right)
        }),
        Output::JsonLines => into_files(output, |writer: JsonLinesWriter<Row>| writer),
        Output::JsonArray => into_files(output, |writer: JsonArrayWriter<Row>| writer),
        Output::Xml => into_files(output, |writer: XmlWriter<Row>| writer),
        Output::Distinct => distinct_into_files(output),
        Output::Rejects => with_rejects(output),
    };
    Job::builder(output.job()).parameter(ParameterDeclaration::integer("round").required()).step(step?).build()
}

/// Another number in most processes: an attempt goes on with what another number of workers has left.
fn workers() -> u32 {
    [1, 2, 7, 3][std::process::id() as usize % 4]
}

fn round(context: &StepContext) -> Result<u64, BoxError> {
    Ok(context.parameters().integer("round")?.unsigned_abs())
}

fn into_table<W>(
    writer: impl Fn(&StepContext) -> Result<W, BoxError> + Send + Sync + 'static,
) -> Result<Step, BuildError>
where
    W: ItemWriter<TableRow> + 'static,
{
    ChunkStep::builder("Write")
        .reader(|_| Ok(CsvReader::<Row>::new("input.csv")))
        .processor(|context| {
            let round = round(context)?;
            Ok(FunctionProcessor::new(move |Row { id, name, cents }: Row| {
                Ok(Some(TableRow { round, id, name, cents }))
            }))
        })
        .writer(writer)
        .chunk_size(CHUNK)
        .workers(workers())
        .try_into()
}

/// The rounds go through the three ways in which rows come.
fn out_of_table(output: Output) -> Result<Step, BuildError> {
    ChunkStep::builder("Write")
        .reader(|context| {
            let reader = PostgresReader::<Row>::new(context, "SELECT id, name, cents FROM crash_source", ["id"]);
            Ok(match round(context)? % 3 {
                0 => reader.pages(500),
                1 => reader.cursor(500),
                _ => reader.copy(),
            })
        })
        .writer(move |context| files::<CsvEncoder>(output, context))
        .chunk_size(CHUNK)
        .try_into()
}

/// Makes the table that is read.
pub(crate) fn source() -> String {
    format!(
        "CREATE TABLE crash_source (id BIGINT PRIMARY KEY, name TEXT NOT NULL, cents BIGINT NOT NULL);
         INSERT INTO crash_source SELECT id, 'Müller, ' || id % 977, (id % 10007) * 37 - 100000
         FROM generate_series(0, {} - 1) AS id",
        crate::ROWS
    )
}

/// Compressed and rolled over as the round has it.
fn into_files<E>(output: Output, set: fn(FileWriter<E, Row>) -> FileWriter<E, Row>) -> Result<Step, BuildError>
where
    E: RecordEncoder<Row> + Default + 'static,
{
    ChunkStep::builder("Write")
        .reader(|_| Ok(CsvReader::<Row>::new("input.csv")))
        .writer(move |context| Ok(set(files(output, context)?)))
        .chunk_size(CHUNK)
        .workers(workers())
        .try_into()
}

/// The files of the round.
fn files<E>(output: Output, context: &StepContext) -> Result<FileWriter<E, Row>, BoxError>
where
    E: RecordEncoder<Row> + Default,
{
    let round = round(context)?;
    let variant = output.variant(round);
    let compression = [Compression::None, Compression::Gzip, Compression::Zstd][variant.compression];
    let writer = FileWriter::new(context, output.path(round)).compression(compression);
    Ok(if variant.rolls { writer.roll_after_items(crate::output::ROLL_ITEMS as u64) } else { writer })
}

/// The first row of each key.
fn distinct_into_files(output: Output) -> Result<Step, BuildError> {
    ChunkStep::builder("Write")
        .reader(|_| Ok(CsvReader::<Row>::new("input.csv")))
        .processor(move |context| {
            let path = output.path_of_keys(round(context)?);
            Ok(DistinctProcessor::new(context, path, |row: &Row, key| {
                key.push(&crate::output::key(row.id));
            }))
        })
        .writer(move |context| files::<CsvEncoder>(output, context))
        .chunk_size(CHUNK)
        .workers(workers())
        .try_into()
}

/// A row of which some cannot be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CheckedRow {
    #[serde(deserialize_with = "readable")]
    id: u64,
    name: String,
    cents: i64,
}

fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let id = u64::deserialize(deserializer)?;
    match rejected_in(id) {
        Some("READ") => Err(D::Error::custom("it cannot be read")),
        _ => Ok(id),
    }
}

/// A reject with what does not depend on words.
#[derive(Debug, Serialize)]
struct RejectedRow {
    phase: &'static str,
    line: Option<u64>,
}

/// The rows without those that cannot be read or are refused, which go to a file of their own.
fn with_rejects(output: Output) -> Result<Step, BuildError> {
    let check = |CheckedRow { id, name, cents }: CheckedRow| match rejected_in(id) {
        Some(_) => Err(ItemError::validation("it is refused")),
        None => Ok(Some(Row { id, name, cents })),
    };
    ChunkStep::builder("Write")
        .reader(|_| Ok(CsvReader::<CheckedRow>::new("input.csv")))
        .processor(move |_| Ok(FunctionProcessor::new(check)))
        .writer(move |context| files::<CsvEncoder>(output, context))
        .chunk_size(CHUNK)
        .skip(SkipPolicy::new(crate::ROWS))
        .rejects(move |context| rejects(output, context))
        .workers(workers())
        .try_into()
}

/// The file of the round's rejects.
fn rejects(output: Output, context: &StepContext) -> Result<impl ItemWriter<Reject> + use<>, BoxError> {
    let writer = CsvWriter::<RejectedRow>::new(context, output.path_of_rejects(round(context)?));
    Ok(writer.map_input(|reject: &Reject| RejectedRow { phase: reject.phase, line: reject.line }))
}

/// Writes the input, in the very form in which the CSV writer writes it.
pub(crate) fn generate(path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(path)?);
    out.write_all(Output::Csv.text(&Output::Csv.ids()).as_bytes())?;
    out.flush()
}
