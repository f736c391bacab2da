//! A processor that computes for 20 µs an item: two of them at once against one.

use std::path::Path;

use oxbatch_bench_work::Trade;
use oxbatch_core::item::FunctionProcessor;
use oxbatch_core::{ChunkStep, Job};
use oxbatch_formats::{CsvReader, CsvWriter};
use serde::Serialize;

use super::Row;
use super::calibrated::{calibrate, hash, rounds_of_a_microsecond};
use crate::measure::{Outcome, Side};
use crate::trades::{checksum, generate};
use crate::{BoxError, ours};

pub(super) const ROW: Row = Row {
    name: "computing",
    title: "CSV → struct → 20 µs of computing → CSV, chunk 1,000: `processing_threads(2)`; against one ('by hand')",
    goal: 1.9,
    items: 200_000,
    prepare,
    side,
};

const MICROSECONDS: u64 = 20;

/// A trade with what was computed of it.
#[derive(Serialize)]
struct Computed {
    transaction_id: String,
    amount: f64,
    sum: u64,
}

fn prepare(rows: u64, folder: &Path) -> Result<(), BoxError> {
    calibrate(folder)?;
    generate(rows, folder)
}

fn side(side: Side, _: u64, folder: &Path) -> Result<Outcome, BoxError> {
    let (input, output) = (folder.join("trades.csv"), folder.join(format!("{side:?}.csv")));
    let (rounds, target) = (MICROSECONDS * rounds_of_a_microsecond(folder)?, output.clone());
    let threads = if side == Side::Oxbatch { 2 } else { 1 };
    let compute = move |Trade { transaction_id, amount, .. }: Trade| {
        let sum = hash(amount.to_bits(), rounds);
        Ok(Some(Computed { transaction_id, amount, sum }))
    };
    let step = ChunkStep::builder("Compute")
        .reader(move |_| CsvReader::<Trade>::new(&input))
        .processor(move |_| FunctionProcessor::new(compute))
        .writer(move |context| CsvWriter::<Computed>::new(context, &target))
        .chunk_size(1_000)
        .processing_threads(threads);
    let time = ours::run(Job::builder("Computing").step(step).build()?, folder)?;
    Ok(Outcome { time, checksum: checksum(&output)? })
}
