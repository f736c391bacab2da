//! The job that is killed: an import into a table, then an export into a file.

use std::io::{BufWriter, Write};
use std::path::Path;

use oxbatch::item::{CsvReader, CsvWriter, FunctionProcessor};
use oxbatch::sqlite::SqliteWriter;
use oxbatch::{ChunkStep, Job, JobRegistry, ParameterDeclaration};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    id: u64,
    name: String,
    amount: f64,
}

/// A row of the table: no key, so that a doubled row would be there and be seen.
#[derive(Debug, Serialize)]
struct TableRow {
    round: i64,
    id: u64,
    name: String,
    amount: f64,
}

pub(crate) fn registry() -> JobRegistry {
    let import = ChunkStep::builder("Import")
        .reader(|_| Ok(CsvReader::<Row>::new("input.csv")))
        .processor(|context| {
            let round = context.parameters().integer("round")?;
            Ok(FunctionProcessor::new(move |Row { id, name, amount }: Row| {
                Ok(Some(TableRow { round, id, name, amount }))
            }))
        })
        .writer(|_| {
            Ok(SqliteWriter::<TableRow>::new("crash_rows").create(
                "CREATE TABLE IF NOT EXISTS crash_rows (round INTEGER, id INTEGER, name TEXT, amount REAL) STRICT",
            ))
        })
        .chunk_size(500);
    let export = ChunkStep::builder("Export")
        .reader(|_| Ok(CsvReader::<Row>::new("input.csv")))
        .writer(|context| {
            let path = format!("output-{}.csv", context.parameters().integer("round")?);
            Ok(CsvWriter::<Row>::new(context, path))
        })
        .chunk_size(500);
    let job = Job::builder("CrashImport")
        .parameter(ParameterDeclaration::integer("round").required())
        .step(import)
        .step(export)
        .build();
    JobRegistry::new(job).unwrap_or_default()
}

/// Writes `rows` generated rows in the very form in which the CSV writer writes them.
pub(crate) fn generate(path: &Path, rows: u64) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(path)?);
    writeln!(out, "id,name,amount")?;
    for id in 0..rows {
        writeln!(out, "{id},\"Müller, {}\",{:?}", id % 977, f64::from(u32::try_from(id % 10_007).unwrap_or(0)) / 8.0)?;
    }
    out.flush()
}
