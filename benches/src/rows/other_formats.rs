//! JSON Lines to JSON Lines, XML to XML, and compressed CSV to compressed CSV; against loops by hand on one thread.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use oxbatch_bench_work::{Trade, transform};
use oxbatch_core::item::FunctionProcessor;
use oxbatch_core::{ChunkStep, Job, StepContext};
use oxbatch_formats::{Compression, CsvReader, CsvWriter, JsonLinesReader, JsonLinesWriter, XmlReader, XmlWriter};
use quick_xml::se::Serializer;
use serde::Serialize;

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

pub(super) const XML: Row = Row {
    name: "xml",
    title: "XML → struct → filter + transform → XML, chunk 1,000; against quick-xml with serde by hand",
    goal: 1.5,
    items: 1_000_000,
    prepare: generate_xml,
    side: xml_side,
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

/// Adds a trade as an element on a line of its own. `text` is memory that is used again: `quick-xml` writes text.
fn write_element(trade: &Trade, text: &mut String, out: &mut impl Write) -> Result<(), BoxError> {
    text.clear();
    trade.serialize(Serializer::with_root(&mut *text, Some("trade"))?)?;
    text.push('\n');
    Ok(out.write_all(text.as_bytes())?)
}

fn generate_xml(rows: u64, folder: &Path) -> Result<(), BoxError> {
    generate(rows, folder)?;
    let (mut out, mut text) = (BufWriter::new(File::create(folder.join("trades.xml"))?), String::new());
    out.write_all(XML_START)?;
    for trade in trades(folder)? {
        write_element(&trade?, &mut text, &mut out)?;
    }
    out.write_all(XML_END)?;
    Ok(out.flush()?)
}

const XML_START: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<trades>\n";
const XML_END: &[u8] = b"</trades>\n";

fn xml_side(side: Side, _: u64, folder: &Path) -> Result<Outcome, BoxError> {
    let (input, output) = (folder.join("trades.xml"), folder.join(format!("{side:?}.xml")));
    let time = match side {
        Side::Oxbatch => {
            let target = output.clone();
            let writer =
                move |context: &StepContext| XmlWriter::<Trade>::new(context, &target).elements("trades", "trade");
            let job = Job::builder("XmlToXml")
                .step(
                    ChunkStep::builder("Convert")
                        .reader(move |_| XmlReader::<Trade>::new(&input, "trade"))
                        .processor(|_| FunctionProcessor::new(|trade: Trade| Ok(transform(trade))))
                        .writer(writer)
                        .chunk_size(1_000),
                )
                .build()?;
            ours::run(job, folder)?
        }
        // Each element is on a line of its own, which this loop knows, so it need not look for their ends.
        Side::Hand => {
            let start = Instant::now();
            let mut reader = BufReader::with_capacity(1 << 16, File::open(&input)?);
            let mut writer = BufWriter::with_capacity(1 << 16, File::create(&output)?);
            let (mut line, mut text) = (String::new(), String::new());
            writer.write_all(XML_START)?;
            while reader.read_line(&mut line)? > 0 {
                if line.starts_with("<trade>")
                    && let Some(trade) = transform(quick_xml::de::from_str(&line)?)
                {
                    write_element(&trade, &mut text, &mut writer)?;
                }
                line.clear();
            }
            writer.write_all(XML_END)?;
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
