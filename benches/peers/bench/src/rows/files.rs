//! Rows 2 and 3: CSV to structs, filter and transformation, to CSV.

use super::{Program, Row};
use crate::check;

pub(super) const ROW: Row = Row {
    name: "csv",
    title: "Rows 2 and 3: CSV → struct → filter + transform → CSV",
    work: "csv",
    chunk: 1_000,
    items: 10_000_000,
    reads_trades: true,
    on_postgres: false,
    parts: &[],
    in_chart: &[(None, "CSV → struct → filter and transformation → CSV")],
    programs: || {
        Ok(vec![
            Program::oxbatch()?,
            Program::side("hand", "csv + serde by hand")?.to_reach(1.60, None),
            Program::spring_batch_rs()?.to_reach(2.6, None),
            Program::installed("duckdb", "DuckDB 2.0.1, one statement", "BENCH_DUCKDB")?,
        ])
    },
    output: |program, _, folder, _| check::file(&folder.join(format!("{}.csv", program.id))),
};

pub(super) const SMALL_CHUNKS: Row = Row {
    name: "csv10",
    title: "Rows 2 and 3 with small chunks: CSV → struct → filter + transform → CSV",
    chunk: 10,
    in_chart: &[],
    programs: || {
        Ok(vec![Program::oxbatch()?, Program::side("hand", "csv + serde by hand")?, Program::spring_batch_rs()?])
    },
    ..ROW
};
