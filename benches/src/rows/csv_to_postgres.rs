//! Row 4: CSV into a table of the repository's own PostgreSQL, exactly once, against `\copy` of the ready file by psql.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use oxbatch_bench_work::Trade;
use oxbatch_core::{ChunkStep, Job};
use oxbatch_formats::CsvReader;
use oxbatch_storage::{PostgresSettings, PostgresWriter};

use super::Row;
use super::server::{checksum, execute, url};
use crate::measure::{Outcome, Side};
use crate::trades::generate;
use crate::{BoxError, ours};

pub(super) const ROW: Row = Row {
    name: "postgres",
    title: "row 4: CSV → PostgreSQL table in the repository's database, exactly once, chunk 1,000, a commit for each; against \\copy by psql",
    goal: 0.60,
    items: 1_000_000,
    prepare: generate,
    side,
};

/// The same with saves that are joined.
pub(super) const JOINED: Row = Row {
    name: "postgres-joined",
    title: "row 4 with commit_every(50 ms); against \\copy by psql",
    goal: 0.90,
    items: 1_000_000,
    prepare: generate,
    side: joined,
};

const TABLE: &str =
    "DROP TABLE IF EXISTS trades; CREATE TABLE trades (transaction_id text, amount float8, currency text,
                     timestamp timestamptz, account_from text, account_to text, status text)";

fn side(side: Side, _: u64, folder: &Path) -> Result<Outcome, BoxError> {
    copy(side, folder, Duration::ZERO)
}

fn joined(side: Side, _: u64, folder: &Path) -> Result<Outcome, BoxError> {
    copy(side, folder, Duration::from_millis(50))
}

fn copy(side: Side, folder: &Path, saves: Duration) -> Result<Outcome, BoxError> {
    let (input, url) = (folder.join("trades.csv"), url()?);
    execute(&url, TABLE)?;
    execute(&url, "CHECKPOINT")?;
    let time = match side {
        Side::Oxbatch => {
            let job = Job::builder("CsvToPostgres")
                .step(
                    ChunkStep::builder("Import")
                        .reader(move |_| Ok(CsvReader::<Trade>::new(&input)))
                        .writer(|context| Ok(PostgresWriter::<Trade>::new(context, "trades")))
                        .chunk_size(1_000)
                        .commit_every(saves),
                )
                .build()?;
            ours::run_on_postgres(job, PostgresSettings::from_url(&url)?)?
        }
        Side::Hand => {
            let start = Instant::now();
            let copy = format!("\\copy trades from '{}' with (format csv, header)", input.display());
            let done = Command::new("psql").args(["--quiet", "--no-psqlrc", "--command", &copy, &url]).status()?;
            if !done.success() {
                return Err("psql failed".into());
            }
            start.elapsed()
        }
    };
    Ok(Outcome { time, checksum: checksum(&url)? })
}
