//! CSV → struct → filter and transformation → CSV.

use std::fs::File;
use std::io::BufReader;
use std::time::Instant;

use peer_trades::{Answer, BoxError, Task, Trade, transform};
use spring_batch_rs::BatchError;
use spring_batch_rs::core::item::ItemProcessor;
use spring_batch_rs::item::csv::csv_reader::{CsvItemReader, CsvItemReaderBuilder};
use spring_batch_rs::item::csv::csv_writer::CsvItemWriterBuilder;

pub(crate) struct Transform;

impl ItemProcessor<Trade, Trade> for Transform {
    fn process(&self, item: Trade) -> Result<Option<Trade>, BatchError> {
        Ok(transform(item))
    }
}

/// The reader with a buffer as large as in its own benchmark.
pub(crate) fn reader(task: &Task) -> Result<CsvItemReader<BufReader<File>>, BoxError> {
    let input = BufReader::with_capacity(1 << 16, File::open(task.input())?);
    Ok(CsvItemReaderBuilder::<Trade>::new().has_headers(true).from_reader(input))
}

pub(crate) fn run(task: &Task) -> Result<Answer, BoxError> {
    let start = Instant::now();
    let reader = reader(task)?;
    let writer =
        CsvItemWriterBuilder::<Trade>::new().has_headers(true).from_path(task.folder.join("spring-batch-rs.csv"));
    crate::run_step(task.chunk, &reader, &Transform, &writer)?;
    Ok(Answer::of(start.elapsed()))
}
