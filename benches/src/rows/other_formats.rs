//! JSON Lines to JSON Lines, and compressed CSV to compressed CSV; against loops by hand on one thread.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use oxbatch_bench_work::{Trade, transform};
use oxbatch_core::item::FunctionProcessor;
use oxbatch_core::{ChunkStep, Job};
use oxbatch_formats::{Compression, CsvReader, CsvWriter, JsonLinesReader, JsonLinesWriter};

use super::Row;
use crate::measure::{Outcome, Side};
use crate::trades::{checksum, checksum_of, generate};
use crate::{BoxError, ours};

pub(super) const JSON: Row = Row {
    name: "jsonl",
    title: "JSON Lines → struct → filter + transform → JSON Lines, chunk 1,000; against serde_json by hand",
    goal: 1.5,
    items: 1_000_000,
    prepare: generate_json,
    side: json_side,
};

pub(super) const PACKED: Row = Row {
    name: "packed",
    title: "CSV.gz → struct → filter + transform → CSV.zst, chunk 1,000; against flate2, csv, serde and zstd by hand",
    goal: 1.5,
    items: 1_000_000,
    prepare: generate_packed,
    side: packed_side,
};

fn trades(folder: &Path) -> Result<csv::DeserializeRecordsIntoIter<File, Trade>, BoxError> {
    Ok(csv::Reader::from_path(folder.join("trades.csv"))?.into_deserialize())
}

fn generate_json(rows: u64, folder: &Path) -> Result<(), BoxError> {
    generate(rows, folder)?;
    let mut out = BufWriter::new(File::create(folder.join("trades.jsonl"))?);
    for trade in trades(folder)? {
        serde_json::to_writer(&mut out, &trade?)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

fn json_side(side: Side, _: u64, folder: &Path) -> Result<Outcome, BoxError> {
    let (input, output) = (folder.join("trades.jsonl"), folder.join(format!("{side:?}.jsonl")));
    let time = match side {
        Side::Oxbatch => {
            let target = output.clone();
            let job = Job::builder("JsonToJson")
                .step(
                    ChunkStep::builder("Convert")
                        .reader(move |_| JsonLinesReader::<Trade>::new(&input))
                        .processor(|_| FunctionProcessor::new(|trade: Trade| Ok(transform(trade))))
                        .writer(move |context| JsonLinesWriter::<Trade>::new(context, &target))
                        .chunk_size(1_000),
                )
                .build()?;
            ours::run(job, folder)?
        }
        Side::Hand => {
            let start = Instant::now();
            let mut reader = BufReader::with_capacity(1 << 16, File::open(&input)?);
            let mut writer = BufWriter::with_capacity(1 << 16, File::create(&output)?);
            let mut line = String::new();
            while reader.read_line(&mut line)? > 0 {
                if let Some(trade) = transform(serde_json::from_str(&line)?) {
                    serde_json::to_writer(&mut writer, &trade)?;
                    writer.write_all(b"\n")?;
                }
                line.clear();
            }
            writer.flush()?;
            start.elapsed()
        }
    };
    Ok(Outcome { time, checksum: checksum(&output)? })
}

fn generate_packed(rows: u64, folder: &Path) -> Result<(), BoxError> {
    generate(rows, folder)?;
    let out = BufWriter::new(File::create(folder.join("trades.csv.gz"))?);
    let mut packed = flate2::write::GzEncoder::new(out, flate2::Compression::default());
    std::io::copy(&mut File::open(folder.join("trades.csv"))?, &mut packed)?;
    Ok(packed.finish()?.flush()?)
}

fn packed_side(side: Side, _: u64, folder: &Path) -> Result<Outcome, BoxError> {
    let (input, output) = (folder.join("trades.csv.gz"), folder.join(format!("{side:?}.csv.zst")));
    let time = match side {
        Side::Oxbatch => {
            let target = output.clone();
            let job = Job::builder("PackedToPacked")
                .step(
                    ChunkStep::builder("Convert")
                        .reader(move |_| CsvReader::<Trade>::new(&input))
                        .processor(|_| FunctionProcessor::new(|trade: Trade| Ok(transform(trade))))
                        .writer(move |context| CsvWriter::<Trade>::new(context, &target).compression(Compression::Zstd))
                        .chunk_size(1_000),
                )
                .build()?;
            ours::run(job, folder)?
        }
        Side::Hand => {
            let start = Instant::now();
            let text = flate2::read::MultiGzDecoder::new(BufReader::new(File::open(&input)?));
            let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 16).from_reader(text);
            let packed = zstd::Encoder::new(BufWriter::new(File::create(&output)?), Compression::DEFAULT_ZSTD_LEVEL)?;
            let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(packed);
            for trade in reader.deserialize::<Trade>() {
                if let Some(trade) = transform(trade?) {
                    writer.serialize(trade)?;
                }
            }
            let packed = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
            packed.finish()?.flush()?;
            start.elapsed()
        }
    };
    let text: Box<dyn Read> = Box::new(zstd::Decoder::new(File::open(&output)?)?);
    Ok(Outcome { time, checksum: checksum_of(text)? })
}
