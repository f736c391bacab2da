//! Rows of a megabyte: CSV to CSV, for the memory that they take.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use oxbatch_core::{ChunkStep, Job};
use oxbatch_formats::{CsvReader, CsvWriter};
use serde::{Deserialize, Serialize};

use super::Row;
use crate::measure::{Outcome, Side};
use crate::trades::checksum;
use crate::{BoxError, ours};

pub(super) const ROW: Row = Row {
    name: "wide",
    title: "CSV → struct → CSV, rows of 1 MB, chunk 10; against csv + serde by hand",
    goal: 1.0,
    items: 1_000,
    prepare,
    side,
};

/// Bytes of the text of a row: a little less than the longest record that a reader takes without being asked.
const TEXT: usize = 1_000_000;

#[derive(Serialize, Deserialize)]
struct Document {
    id: u64,
    text: String,
}

fn prepare(rows: u64, folder: &Path) -> Result<(), BoxError> {
    let mut out = BufWriter::new(File::create(folder.join("documents.csv"))?);
    out.write_all(b"id,text\n")?;
    let words = "a word, a comma; ".repeat(TEXT / 17);
    for id in 0..rows {
        writeln!(out, "{id},\"{words}\"")?;
    }
    Ok(out.flush()?)
}

fn side(side: Side, _: u64, folder: &Path) -> Result<Outcome, BoxError> {
    let (input, output) = (folder.join("documents.csv"), folder.join(format!("{side:?}.csv")));
    let time = match side {
        Side::Oxbatch => {
            let target = output.clone();
            let step = ChunkStep::builder("Copy")
                .reader(move |_| CsvReader::<Document>::new(&input))
                .writer(move |context| CsvWriter::<Document>::new(context, &target))
                .chunk_size(10);
            ours::run(Job::builder("Wide").step(step).build()?, folder)?
        }
        Side::Hand => {
            let start = Instant::now();
            let mut reader = csv::Reader::from_path(&input)?;
            let mut writer = csv::Writer::from_path(&output)?;
            for document in reader.deserialize::<Document>() {
                writer.serialize(document?)?;
            }
            writer.flush()?;
            start.elapsed()
        }
    };
    Ok(Outcome { time, checksum: checksum(&output)? })
}
