//! `ChunkJob`: squares fifty numbers and keeps the even ones, ten at a time.

use oxbatch::item::{FunctionProcessor, FunctionWriter, ListReader};
use oxbatch::{BuildError, ChunkStep, Job};
use tracing::info;

pub(super) fn job() -> Result<Job, BuildError> {
    let step = ChunkStep::builder("ProcessNumbers")
        .reader(|_| Ok(ListReader::new(1..=50_i64)))
        .processor(|_| {
            Ok(FunctionProcessor::new(|number: i64| {
                let square = number * number;
                Ok((square % 2 == 0).then_some(square))
            }))
        })
        .writer(|_| {
            Ok(FunctionWriter::new(|squares: &[i64]| {
                info!(?squares, "wrote a chunk");
                Ok(())
            }))
        })
        .chunk_size(10)
        .preview();
    Job::builder("ChunkJob")
        .description("Squares 1 to 50 and keeps the even squares, in chunks of 10")
        .step(step)
        .build()
}
