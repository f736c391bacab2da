//! `WildlifeStrikes`: imports the records of the wildlife strike database into a table and reports on them.

mod record;
mod report;

use std::path::Path;

use oxbatch::item::{CsvReader, CsvWriter, FunctionProcessor, ItemReaderExt, TableWriter};
use oxbatch::step::MAX_CHUNK_SIZE;
use oxbatch::{BoxError, BuildError, ChunkStep, Job, ParameterDeclaration, Schedule, StepContext};

use record::{Record, Strike};

/// Name of the report in the folder `output`.
const REPORT: &str = "wildlife-report.csv";

/// The statements that create the table, with the types that the two databases name differently and what ends it.
///
/// Each row knows its source and its number there: a row that were written twice would be refused by the key, and a
/// forced import replaces the rows of its source alone.
fn statements(integer: &str, date: &str, end: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS wildlife_strikes (
             source          TEXT NOT NULL,
             record          {integer} NOT NULL CHECK (record >= 1),
             airport         TEXT,
             aircraft        TEXT,
             damage          TEXT,
             flight_date     {date},
             operator        TEXT,
             origin_state    TEXT,
             phase_of_flight TEXT,
             wildlife_size   TEXT,
             species         TEXT,
             time_of_day     TEXT,
             cost_other      {integer} CHECK (cost_other >= 0),
             cost_repair     {integer} CHECK (cost_repair >= 0),
             cost_total      {integer} CHECK (cost_total >= 0),
             speed_knots     {integer} CHECK (speed_knots >= 0),
             PRIMARY KEY (source, record)
         ) {end};
         CREATE INDEX IF NOT EXISTS wildlife_strikes_species_phase ON wildlife_strikes (species, phase_of_flight);
         CREATE INDEX IF NOT EXISTS wildlife_strikes_flight_date ON wildlife_strikes (flight_date);"
    )
}

fn table(context: &StepContext) -> Result<TableWriter<Strike>, BoxError> {
    let source = context.parameters().string("input")?.to_owned();
    Ok(TableWriter::new(context, "wildlife_strikes")
        .create(statements(
            "INTEGER",
            "TEXT NOT NULL CHECK (flight_date IS date(flight_date))",
            "STRICT, WITHOUT ROWID",
        ))
        .create_on_postgres(statements("BIGINT", "DATE NOT NULL", ""))
        .replace("DELETE FROM wildlife_strikes WHERE source = $1", [source]))
}

pub(super) fn job() -> Result<Job, BuildError> {
    let import = ChunkStep::builder("ImportStrikes")
        .reader(|context| Ok(CsvReader::<Record>::new(context.parameters().string("input")?).numbered()))
        .processor(|context| {
            let source = context.parameters().string("input")?.to_owned();
            Ok(FunctionProcessor::new(move |(number, record): (u64, Record)| Ok(Some(record.clean(&source, number)))))
        })
        .preview()
        .writer(table)
        // What arrives in the table is counted against what was read before the step may end.
        .control_total_read("records", |_| 1)
        .control_total_written("records", |_| 1)
        .control_total_read("cost_total", |(_, record)| record.cost_total)
        .control_total_written("cost_total", |strike| strike.cost_total)
        .chunk_size_from(|context| Ok(u32::try_from(context.parameters().integer("chunk_size")?)?));
    let report = ChunkStep::builder("WriteReport").reader(report::reader).writer(|context| {
        let path = Path::new(context.parameters().string("output")?).join(REPORT);
        Ok(CsvWriter::<report::Line>::new(context, path).headers(report::Line::COLUMNS))
    });
    Job::builder("WildlifeStrikes")
        .description(
            "Imports wildlife strikes into a table and reports strikes, cost and speed per species and phase of flight",
        )
        .parameter(
            ParameterDeclaration::string("input")
                .default_value("data/birdstrikes.csv")
                .description("CSV file to import"),
        )
        .parameter(
            // The rows belong to the input: two runs of one input must not write side by side.
            ParameterDeclaration::string("output")
                .default_value(".")
                .non_identifying()
                .description("folder of wildlife-report.csv"),
        )
        .parameter(
            ParameterDeclaration::integer("chunk_size")
                .default_value(500)
                .between(1, i64::from(MAX_CHUNK_SIZE))
                .non_identifying()
                .description("rows in one transaction"),
        )
        .step(import)
        .step(report)
        .schedule(
            Schedule::cron("30 2 * * *")
                .zone("Europe/Berlin")
                .new_run()
                .off("a sample: resume it to import every night"),
        )
        .build()
}
