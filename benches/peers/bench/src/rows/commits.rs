//! Row 8 on PostgreSQL: commits of chunks of one item that only move the checkpoint.

use super::{Program, Row};
use crate::check::Output;

pub(super) const ROW: Row = Row {
    name: "commits",
    title: "Row 8 on PostgreSQL: chunks of one item, checkpoint only",
    work: "commits",
    chunk: 1,
    items: 200_000,
    reads_trades: false,
    on_postgres: true,
    parts: &[],
    in_chart: &[],
    programs: || {
        Ok(vec![
            Program::oxbatch()?,
            Program::side("hand", "UPDATE + COMMIT by hand, same driver")?.to_reach(0.85, None),
        ])
    },
    output: |_, answer, _, _| {
        let checksum = answer.checksum.ok_or("no count was answered")?;
        Ok(Output { rows: checksum, checksum: checksum.to_string() })
    },
};
