//! CSV into a table of PostgreSQL, and from there into XML: a service with a job of two steps.
//!
//! ```text
//! cargo run -p oxbatch --example csv_postgres_xml --features xml -- run Trades --database postgres://me@localhost/jobs
//! ```

use std::process::ExitCode;

use oxbatch::item::{CsvReader, XmlWriter};
use oxbatch::postgres::{PostgresReader, PostgresWriter};
use oxbatch::serde::{Deserialize, Serialize};
use oxbatch::{ChunkStep, Job, JobRegistry, RegistryError};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(crate = "oxbatch::serde")]
struct Trade {
    transaction_id: String,
    /// Text, of which `numeric` loses no digit.
    amount: String,
    currency: String,
}

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS trades (transaction_id text PRIMARY KEY, amount numeric NOT NULL, currency text)";

fn registry() -> Result<JobRegistry, RegistryError> {
    let import = ChunkStep::builder("Import")
        .reader(|_| Ok(CsvReader::<Trade>::new("trades.csv")))
        .writer(|context| Ok(PostgresWriter::<Trade>::new(context, "trades").create(TABLE).upsert(["transaction_id"])))
        .chunk_size(1_000);
    let export = ChunkStep::builder("Export")
        .reader(|context| {
            let query = "SELECT transaction_id, amount, currency FROM trades";
            Ok(PostgresReader::<Trade>::new(context, query, ["transaction_id"]).copy())
        })
        .writer(|context| Ok(XmlWriter::<Trade>::new(context, "trades.xml").elements("trades", "trade")))
        .chunk_size(1_000);
    JobRegistry::new([Job::builder("Trades").step(import).step(export).build()?])
}

fn main() -> ExitCode {
    oxbatch::run(registry())
}
