//! Row 7: CSV into a SQLite table.

use super::{Program, Row};
use crate::check;

pub(super) const ROW: Row = Row {
    name: "sqlite",
    title: "Row 7: CSV → SQLite table; Oxbatch into the repository's own file, exactly once",
    work: "sqlite",
    chunk: 1_000,
    items: 10_000_000,
    reads_trades: true,
    on_postgres: false,
    parts: &[],
    in_chart: &[(None, "CSV → SQLite table; Oxbatch exactly once")],
    programs: || {
        Ok(vec![
            Program::oxbatch()?,
            Program::side("hand", "prepared inserts by hand")?.to_reach(1.40, None),
            Program::spring_batch_rs()?,
        ])
    },
    output: |program, _, folder, _| check::sqlite(&folder.join(format!("{}.db", program.id))),
};

pub(super) const SMALL_CHUNKS: Row = Row {
    name: "sqlite10",
    title: "Row 7 with small chunks: CSV → SQLite table",
    chunk: 10,
    in_chart: &[],
    items: 1_000_000,
    programs: || {
        Ok(vec![Program::oxbatch()?, Program::side("hand", "prepared inserts by hand")?, Program::spring_batch_rs()?])
    },
    ..ROW
};
