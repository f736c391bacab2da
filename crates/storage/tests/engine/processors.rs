//! Processors that remember: opened, asked for what they remember with each chunk, closed, and resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oxbatch_core::item::{Checkpoint, ListReader, ListWriter};
use oxbatch_core::{ChunkStep, ItemError, ItemProcessor, Job, Status};

use crate::harness::{Shared, TestStore, contents, launch, list, run, steps};

/// Makes running sums, fails at a number until it is mended, and fails where it is reported to.
struct Sums {
    sum: u64,
    fails_on: Option<u64>,
    at: &'static str,
}

impl Sums {
    fn point(&self, name: &str) -> Result<(), ItemError> {
        if self.at == name { Err(ItemError::other(format!("no {name} today"))) } else { Ok(()) }
    }
}

impl ItemProcessor<u64> for Sums {
    type Output = u64;

    const NEEDS_ALL_ITEMS: bool = true;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.point("open")?;
        if let Some(checkpoint) = checkpoint {
            self.sum = checkpoint.read()?;
        }
        Ok(())
    }

    async fn process(&mut self, item: u64) -> Result<Option<u64>, ItemError> {
        if self.fails_on == Some(item) {
            return Err(ItemError::other("stumbles"));
        }
        self.sum += item;
        Ok(Some(self.sum))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.point("checkpoint")?;
        Checkpoint::new(&self.sum).map(Some)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.point("close")
    }
}

fn job(out: &Shared<u64>, mended: &Arc<AtomicBool>, at: &'static str) -> Job {
    let (out, mended) = (Arc::clone(out), Arc::clone(mended));
    Job::builder("Sums")
        .step(
            ChunkStep::builder("Sum")
                .reader(|_| Ok(ListReader::new(1..=20)))
                .processor(move |_| {
                    let fails_on = (!mended.load(Ordering::SeqCst)).then_some(15);
                    Ok(Sums { sum: 0, fails_on, at })
                })
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&out))))
                .chunk_size(4),
        )
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_processor_remembers_is_committed_with_its_chunk_and_given_back_on_restart() {
    let (place, out, mended) = (TestStore::new(), list(), Arc::new(AtomicBool::new(false)));
    let engine = place.node([job(&out, &mended, "")]).await;
    assert_eq!(launch(&engine, "Sums").await.status, Status::Failed);
    assert_eq!(contents(&out).last(), Some(&78), "three chunks, up to 12");
    mended.store(true, Ordering::SeqCst);
    assert_eq!(launch(&engine, "Sums").await.status, Status::Completed);
    let sums: Vec<u64> = (1..=20).map(|n| n * (n + 1) / 2).collect();
    assert_eq!(contents(&out), sums, "13 and 14 of the chunk that failed are not counted twice");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_a_processors_open_checkpoint_or_close_fails_the_step() {
    for (at, told) in [
        ("open", "failed to open the processor: no open today"),
        ("checkpoint", "failed to take the processor's checkpoint: no checkpoint today"),
        ("close", "failed to close the processor: no close today"),
    ] {
        let place = TestStore::new();
        let engine = place.node([job(&list(), &Arc::new(AtomicBool::new(true)), at)]).await;
        let execution = launch(&engine, "Sums").await;
        assert_eq!(execution.status, Status::Failed);
        let message = steps(&engine, execution.id).await[0].exit_message.clone().unwrap();
        assert_eq!(message, told);
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_a_step_come_one_behind_the_other() {
    for threads in [1, 3] {
        let out = list();
        let shared = Arc::clone(&out);
        let step = ChunkStep::builder("Map")
            .reader(|_| Ok(ListReader::new(0..20_u64)))
            .filter(|n: &u64| n.is_multiple_of(2))
            .map(|n: u64| n.to_string())
            .try_map(|text: String| match text.as_str() {
                "12" => Err(ItemError::validation("twelve")),
                text => text.parse::<u64>().map_err(ItemError::parse),
            })
            .map_async(|n: u64| async move {
                tokio::task::yield_now().await;
                Ok(n + 1)
            })
            .skip(oxbatch_core::SkipPolicy::unlimited())
            .writer(move |_| Ok(ListWriter::new(Arc::clone(&shared))))
            .processing_threads(threads)
            .chunk_size(4);
        let ended = run(step).await;
        assert_eq!(ended.execution.status, Status::Completed, "{}", ended.message());
        assert_eq!(contents(&out), [1, 3, 5, 7, 9, 11, 15, 17, 19]);
        let counters = ended.step.counters;
        assert_eq!((counters.read, counters.filter, counters.process_skip), (20, 10, 1));
    }
}
