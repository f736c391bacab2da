//! Row 2: CSV to typed structs, filter and transformation, to CSV; against a hand-written csv + serde loop.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

use oxbatch_bench_work::{Trade, transform};
use oxbatch_core::item::FunctionProcessor;
use oxbatch_core::{ChunkStep, Job};
use oxbatch_formats::{CsvReader, CsvWriter};

use super::Row;
use crate::measure::{Outcome, Side};
use crate::trades::{checksum, generate};
use crate::{BoxError, ours};

pub(super) const ROW: Row = Row {
    name: "csv",
    title: "row 2: CSV → struct → filter + transform → CSV, chunk 1,000, durable repository; against csv + serde by hand",
    goal: 1.6,
    items: 1_000_000,
    prepare: generate,
    side,
};

fn side(side: Side, _: u64, folder: &Path) -> Result<Outcome, BoxError> {
    let (input, output) = (folder.join("trades.csv"), folder.join(format!("{side:?}.csv")));
    let time = match side {
        Side::Oxbatch => {
            let target = output.clone();
            let job = Job::builder("CsvToCsv")
                .step(
                    ChunkStep::builder("Convert")
                        .reader(move |_| Ok(CsvReader::<Trade>::new(&input)))
                        .processor(|_| Ok(FunctionProcessor::new(|trade: Trade| Ok(transform(trade)))))
                        .writer(move |context| Ok(CsvWriter::<Trade>::new(context, &target)))
                        .chunk_size(1_000),
                )
                .build()?;
            ours::run(job, folder)?
        }
        Side::Hand => {
            let start = Instant::now();
            let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 16).from_path(&input)?;
            let mut writer = csv::Writer::from_writer(BufWriter::with_capacity(1 << 16, File::create(&output)?));
            for trade in reader.deserialize::<Trade>() {
                if let Some(trade) = transform(trade?) {
                    writer.serialize(trade)?;
                }
            }
            writer.flush()?;
            start.elapsed()
        }
    };
    Ok(Outcome { time, checksum: checksum(&output)? })
}
