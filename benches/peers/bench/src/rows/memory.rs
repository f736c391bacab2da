//! Row 1: the engine alone, numbers from memory into a sum.

use super::{Program, Row};
use crate::check::Output;

pub(super) const ROW: Row = Row {
    name: "engine",
    title: "Row 1: engine alone, numbers from memory into a sum",
    work: "engine",
    chunk: 1_000,
    items: 100_000_000,
    reads_trades: false,
    on_postgres: false,
    parts: &[],
    in_chart: &[],
    programs: || {
        Ok(vec![
            Program::oxbatch()?,
            Program::side("hand", "loop by hand, no repository")?.to_reach(0.95, None),
            Program::spring_batch_rs()?,
        ])
    },
    output: |_, answer, _, _| {
        let checksum = answer.checksum.ok_or("no checksum was answered")?;
        Ok(Output { rows: 0, checksum: checksum.to_string() })
    },
};

pub(super) const SMALL_CHUNKS: Row = Row {
    name: "engine10",
    title: "Engine alone with small chunks, and the original's",
    chunk: 10,
    items: 1_000_000,
    programs: || {
        Ok(vec![
            Program::oxbatch()?,
            Program::side("hand", "loop by hand, no repository")?,
            Program::spring_batch_rs()?,
            Program::python()?,
        ])
    },
    ..ROW
};
