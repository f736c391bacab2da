//! Row 2 once more, against two threads by hand: blocks of whole lines, each parsed and written by one of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use oxbatch_bench_work::{Trade, transform};

use super::{Row, csv_to_csv};
use crate::BoxError;
use crate::measure::{Outcome, Side};
use crate::trades::{checksum, generate};

pub(super) const ROW: Row = Row {
    name: "csv-two",
    title: "row 2: CSV → struct → filter + transform → CSV, chunk 1,000, durable repository; against two threads by hand",
    goal: 0.90,
    items: 1_000_000,
    prepare: generate,
    side,
};

/// Bytes that a thread parses at once.
const PIECE: usize = 128 * 1024;

fn side(side: Side, rows: u64, folder: &Path) -> Result<Outcome, BoxError> {
    match side {
        Side::Oxbatch => (csv_to_csv::ROW.side)(side, rows, folder),
        Side::Hand => {
            let output = folder.join("two.csv");
            let time = by_hand(&folder.join("trades.csv"), &output)?;
            Ok(Outcome { time, checksum: checksum(&output)? })
        }
    }
}

fn by_hand(input: &Path, output: &Path) -> Result<Duration, BoxError> {
    let start = Instant::now();
    let (mut reader, mut writer) = (BufReader::new(File::open(input)?), File::create(output)?);
    let (pieces, queue) = sync_channel::<(u64, Vec<u8>)>(4);
    let (done, parsed) = sync_channel(4);
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| -> Result<(), BoxError> {
        for _ in 0..2 {
            let (queue, done) = (&queue, done.clone());
            scope.spawn(move || {
                while let Some((number, piece)) = next(queue) {
                    let written = convert(&piece, number == 0);
                    if done.send((number, written)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        scope.spawn(move || {
            let mut rest = Vec::new();
            for number in 0.. {
                let before = rest.len();
                rest.resize(before + PIECE, 0);
                let Ok(read) = reader.read(&mut rest[before..]) else { return };
                rest.truncate(before + read);
                let end = if read == 0 {
                    rest.len()
                } else {
                    rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
                };
                let behind = rest.split_off(end);
                if pieces.send((number, std::mem::replace(&mut rest, behind))).is_err() || read == 0 {
                    return;
                }
            }
        });
        let (mut waiting, mut next) = (BTreeMap::new(), 0);
        for (number, written) in parsed {
            waiting.insert(number, written?);
            while let Some(bytes) = waiting.remove(&next) {
                writer.write_all(&bytes)?;
                next += 1;
            }
        }
        Ok(())
    })?;
    Ok(start.elapsed())
}

fn next(queue: &Mutex<Receiver<(u64, Vec<u8>)>>) -> Option<(u64, Vec<u8>)> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn convert(piece: &[u8], is_first: bool) -> Result<Vec<u8>, csv::Error> {
    let mut reader = csv::ReaderBuilder::new().has_headers(is_first).from_reader(piece);
    let mut writer = csv::WriterBuilder::new().has_headers(is_first).from_writer(Vec::with_capacity(piece.len()));
    for trade in reader.deserialize::<Trade>() {
        if let Some(trade) = transform(trade?) {
            writer.serialize(trade)?;
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}
