//! Row 1: the engine alone, items from memory into a sum, against the same loop without a repository. Once with a save
//! for each chunk, once with the saves of chunks joined, as a step asks for whose chunks are quicker than a save.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oxbatch_bench_work::{sum, work};
use oxbatch_core::item::{FunctionProcessor, FunctionWriter, IteratorReader};
use oxbatch_core::{ChunkStep, Job};

use super::{Row, nothing_to_prepare};
use crate::measure::{Outcome, Side};
use crate::{BoxError, ours};

pub(super) const ROW: Row = Row {
    name: "engine",
    title: "row 1: engine alone, in-memory items, chunk 1,000, durable repository, saves joined; against the loop by hand",
    goal: 0.95,
    items: 1_000_000_000,
    prepare: nothing_to_prepare,
    side: |side, items, folder| run(side, items, Some(SAVES), folder),
};

pub(super) const EACH: Row = Row {
    name: "engine-each",
    title: "row 1 with a save for each chunk",
    items: 100_000_000,
    side: |side, items, folder| run(side, items, None, folder),
    ..ROW
};

const CHUNK: usize = 1_000;
/// Time between two saves.
const SAVES: Duration = Duration::from_millis(100);

fn run(side: Side, items: u64, saves: Option<Duration>, folder: &Path) -> Result<Outcome, BoxError> {
    match side {
        Side::Oxbatch => {
            let total = Arc::new(AtomicU64::new(0));
            let shared = Arc::clone(&total);
            let mut step = ChunkStep::builder("Sum")
                .reader(move |_| Ok(IteratorReader::new(0..items)))
                .processor(|_| Ok(FunctionProcessor::new(|item: u64| Ok(work(item)))))
                .writer(move |_| {
                    let total = Arc::clone(&shared);
                    Ok(FunctionWriter::new(move |chunk: &[u64]| {
                        total.fetch_add(sum(chunk), Ordering::Relaxed);
                        Ok(())
                    }))
                })
                .chunk_size(1_000);
            if let Some(saves) = saves {
                step = step.commit_every(saves);
            }
            let time = ours::run(Job::builder("EngineAlone").step(step).build()?, folder)?;
            Ok(Outcome { time, checksum: total.load(Ordering::Relaxed) })
        }
        Side::Hand => {
            let start = Instant::now();
            let mut source = black_box(0..items);
            let mut chunk = Vec::with_capacity(CHUNK);
            let mut total = 0_u64;
            loop {
                chunk.clear();
                let mut read = 0;
                for item in source.by_ref().take(CHUNK) {
                    read += 1;
                    chunk.extend(work(item));
                }
                if read == 0 {
                    break;
                }
                total = total.wrapping_add(sum(black_box(&chunk)));
            }
            Ok(Outcome { time: start.elapsed(), checksum: total })
        }
    }
}
