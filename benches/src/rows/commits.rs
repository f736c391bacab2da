//! Row 8: commits of chunks of one item that only move the checkpoint, against a bare UPDATE and COMMIT.

use std::path::Path;
use std::time::Instant;

use oxbatch_core::item::{FunctionWriter, IteratorReader};
use oxbatch_core::{ChunkStep, Job};
use rusqlite::{Connection, params};

use super::{Row, nothing_to_prepare};
use crate::measure::{Outcome, Side};
use crate::{BoxError, ours};

pub(super) const ROW: Row = Row {
    name: "commits",
    title: "row 8: chunks of 1, checkpoint only, SQLite; against UPDATE + COMMIT with the same driver and settings",
    goal: 0.85,
    items: 200_000,
    prepare: nothing_to_prepare,
    side,
};

fn side(side: Side, items: u64, folder: &Path) -> Result<Outcome, BoxError> {
    let time = match side {
        Side::Oxbatch => {
            let job = Job::builder("Commits")
                .step(
                    ChunkStep::builder("Count")
                        .reader(move |_| Ok(IteratorReader::new(0..items)))
                        .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))))
                        .chunk_size(1),
                )
                .build()?;
            ours::run(job, folder)?
        }
        Side::Hand => by_hand(items, &folder.join("hand.db"))?,
    };
    Ok(Outcome { time, checksum: items })
}

/// One row of the same kind of columns, rewritten by a prepared statement in a transaction each.
fn by_hand(items: u64, path: &Path) -> Result<std::time::Duration, BoxError> {
    let _ = std::fs::remove_file(path);
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(
        "CREATE TABLE step (id INTEGER PRIMARY KEY, state TEXT, reads INTEGER, writes INTEGER, commits INTEGER) STRICT;
         INSERT INTO step VALUES (1, '', 0, 0, 0);",
    )?;
    let mut begin = connection.prepare("BEGIN IMMEDIATE")?;
    let mut update =
        connection.prepare("UPDATE step SET state = ?2, reads = ?3, writes = ?3, commits = ?3 WHERE id = ?1")?;
    let mut commit = connection.prepare("COMMIT")?;
    let start = Instant::now();
    for item in 1..=i64::try_from(items)? {
        begin.execute([])?;
        update.execute(params![1, format!("{{\"v\":1,\"reader\":{item}}}"), item])?;
        commit.execute([])?;
    }
    Ok(start.elapsed())
}
