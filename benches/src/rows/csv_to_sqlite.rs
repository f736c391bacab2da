//! Row 7: CSV into a table of the repository's own file, exactly once, against prepared inserts by hand.

use std::path::Path;
use std::time::Instant;

use oxbatch_bench_work::Trade;
use oxbatch_core::{ChunkStep, Job};
use oxbatch_formats::CsvReader;
use oxbatch_storage::SqliteWriter;
use rusqlite::{Connection, params};

use super::Row;
use crate::measure::{Outcome, Side};
use crate::trades::generate;
use crate::{BoxError, ours};

pub(super) const ROW: Row = Row {
    name: "sqlite",
    title: "row 7: CSV → SQLite table in the repository's file, exactly once, chunk 1,000; against prepared inserts by hand",
    goal: 0.80,
    items: 1_000_000,
    prepare: generate,
    side,
};

const TABLE: &str = "CREATE TABLE trades (transaction_id TEXT, amount REAL, currency TEXT, timestamp TEXT,
                     account_from TEXT, account_to TEXT, status TEXT) STRICT";

fn side(side: Side, _: u64, folder: &Path) -> Result<Outcome, BoxError> {
    let input = folder.join("trades.csv");
    match side {
        Side::Oxbatch => {
            let job = Job::builder("CsvToSqlite")
                .step(
                    ChunkStep::builder("Import")
                        .reader(move |_| Ok(CsvReader::<Trade>::new(&input)))
                        .writer(|_| Ok(SqliteWriter::<Trade>::new("trades").create(TABLE)))
                        .chunk_size(1_000),
                )
                .build()?;
            let time = ours::run(job, folder)?;
            Ok(Outcome { time, checksum: checksum(&folder.join("oxbatch.db"))? })
        }
        Side::Hand => {
            let database = folder.join("hand.db");
            let time = by_hand(&input, &database)?;
            Ok(Outcome { time, checksum: checksum(&database)? })
        }
    }
}

fn by_hand(input: &Path, database: &Path) -> Result<std::time::Duration, BoxError> {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
    }
    let start = Instant::now();
    let connection = Connection::open(database)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(TABLE)?;
    let mut insert = connection.prepare("INSERT INTO trades VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 16).from_path(input)?;
    let mut trades = reader.deserialize::<Trade>().peekable();
    while trades.peek().is_some() {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for trade in trades.by_ref().take(1_000) {
            let t = trade?;
            insert.execute(params![
                t.transaction_id,
                t.amount,
                t.currency,
                t.timestamp,
                t.account_from,
                t.account_to,
                t.status
            ])?;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(start.elapsed())
}

/// Rows, and a sum over their contents.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a checksum")]
fn checksum(database: &Path) -> Result<u64, BoxError> {
    let connection = Connection::open(database)?;
    let sum: f64 = connection.query_row(
        "SELECT sum(amount + length(transaction_id) + unicode(status) + length(account_to)) FROM trades",
        [],
        |row| row.get(0),
    )?;
    Ok((sum * 100.0).round() as u64)
}
