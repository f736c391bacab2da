//! A job that skips a quarter of its items until a file named `fixed` is there.

use std::io::{BufWriter, Write};
use std::path::Path;

use oxbatch::item::{CsvReader, CsvWriter, FunctionProcessor};
use oxbatch::sqlite::SqliteWriter;
use oxbatch::{ChunkStep, ItemError, Job, JobRegistry, SkipPolicy};
use serde::{Deserialize, Serialize};

pub(crate) const ROWS: u64 = 8_000;
/// Of those that both steps skip.
pub(crate) const SKIPPED: u64 = ROWS / 4;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    id: u64,
    amount: f64,
}

fn check(order: Order) -> Result<Option<Order>, ItemError> {
    match order.id.is_multiple_of(4) && !Path::new("fixed").exists() {
        true => Err(ItemError::validation("the customer is unknown").at(format!("order {}", order.id))),
        false => Ok(Some(order)),
    }
}

pub(crate) fn registry() -> JobRegistry {
    let import = ChunkStep::builder("Import")
        .reader(|_| Ok(CsvReader::<Order>::new("input.csv")))
        .skip(SkipPolicy::new(SKIPPED))
        .processor(|_| Ok(FunctionProcessor::new(check)))
        // No key: a doubled row would be there and be seen.
        .writer(|_| {
            Ok(SqliteWriter::<Order>::new("orders")
                .create("CREATE TABLE IF NOT EXISTS orders (id INTEGER, amount REAL) STRICT"))
        })
        .control_total("amount", |order| order.amount)
        .chunk_size(5)
        .rerun_skips();
    let export = ChunkStep::builder("Export")
        .reader(|_| Ok(CsvReader::<Order>::new("input.csv")))
        .skip(SkipPolicy::new(SKIPPED))
        .processor(|_| Ok(FunctionProcessor::new(check)))
        .writer(|context| Ok(CsvWriter::<Order>::new(context, "orders.csv")))
        .control_total("amount", |order| order.amount)
        .chunk_size(5)
        .rerun_skips();
    JobRegistry::new(Job::builder("Orders").step(import).step(export).build()).unwrap_or_default()
}

/// Writes the input.
pub(crate) fn generate(path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(path)?);
    writeln!(out, "id,amount")?;
    for id in 0..ROWS {
        writeln!(out, "{id},{}.{:02}", id % 977, id % 100)?;
    }
    out.flush()
}
