//! Rows 4, 5 and 6: the public benchmark, CSV → PostgreSQL → XML → PostgreSQL.

use super::{Program, Row, from_environment};
use crate::check::Output;

const FIRST: &str = "csv to postgres";

pub(super) const ROW: Row = Row {
    name: "postgres",
    title: "Rows 4, 5 and 6: the public benchmark, CSV → PostgreSQL → XML → PostgreSQL",
    work: "pipeline",
    chunk: 1_000,
    items: 10_000_000,
    reads_trades: true,
    on_postgres: true,
    parts: &[FIRST, "postgres to xml", "xml to postgres"],
    in_chart: &[
        (Some(FIRST), "CSV → PostgreSQL; Oxbatch exactly once"),
        (None, "The public benchmark: CSV → PostgreSQL → XML → PostgreSQL"),
    ],
    programs: || {
        let java = from_environment("BENCH_SPRING_BATCH")?;
        let spring_batch = |id, name| Program {
            id,
            name,
            command: java.split(' ').map(str::to_owned).chain([id.to_owned()]).collect(),
            goals: Vec::new(),
        };
        Ok(vec![
            Program::oxbatch()?,
            Program::spring_batch_rs()?.to_reach(2.6, Some(FIRST)).to_reach(3.0, None),
            spring_batch("spring-batch", "Spring Batch 6.0.6, batched inserts").to_reach(3.0, None),
            spring_batch("spring-batch-copy", "Spring Batch 6.0.6, COPY").to_reach(3.0, None),
            Program::side("psql", "`\\copy` of the ready file by psql")?.to_reach(0.90, Some(FIRST)),
            Program::installed("sling", "the ready file by Sling 1.4.11", "BENCH_SLING")?,
        ])
    },
    output: |program, _, _, server| {
        let server = server.ok_or("no server")?;
        let (rows, checksum) = server.contents("transactions")?;
        if program.id == "sling" {
            return Ok(Output { rows, checksum: String::new() });
        }
        // The last table holds what went through the XML file: the same rows.
        if program.id != "psql" && server.contents("transactions_import")? != (rows, checksum.clone()) {
            return Err(format!("{}: the two tables differ", program.name).into());
        }
        Ok(Output { rows, checksum })
    },
};
