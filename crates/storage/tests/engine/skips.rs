//! Skips: what fails is kept and passed over, the rest of its chunk is written, the limit holds over all phases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use oxbatch_core::execution::{Counters, SkipPhase, SkippedItem};
use oxbatch_core::item::{ErrorKind, FunctionProcessor, IteratorReader, ListWriter};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{ChunkStep, Engine, ItemError, ItemWriter, Job, RetryPolicy, SkipPolicy, Status, StepExecution};

use crate::harness::{Numbers, Shared, TestStore, contents, launch, list, steps};

/// Refuses some outputs, after it has written what stands before them, and counts its calls.
struct Picky {
    inner: ListWriter<u64>,
    refused: fn(u64) -> bool,
    calls: Arc<AtomicU32>,
}

impl ItemWriter<u64> for Picky {
    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match outputs.iter().position(|output| (self.refused)(*output)) {
            Some(bad) => {
                self.inner.write(&outputs[..bad], transaction).await?;
                Err(ItemError::new(ErrorKind::Constraint, format!("{} is refused", outputs[bad])))
            }
            None => self.inner.write(outputs, transaction).await,
        }
    }

    fn committed(&mut self) {
        ItemWriter::<u64>::committed(&mut self.inner);
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        ItemWriter::<u64>::rolled_back(&mut self.inner).await
    }
}

/// Copies numbers; `refused` says which outputs cannot be written.
fn copy(out: &Shared<u64>, items: u64, chunk: u32, limit: u64, refused: fn(u64) -> bool) -> (Job, Arc<AtomicU32>) {
    let (out, calls) = (Arc::clone(out), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&calls);
    let job = Job::builder("Skips")
        .step(
            ChunkStep::builder("Copy")
                .reader(move |_| Ok(IteratorReader::new(0..items)))
                .skip(SkipPolicy::new(limit))
                .writer(move |_| {
                    let inner = ListWriter::new(Arc::clone(&out));
                    Ok(Picky { inner, refused, calls: Arc::clone(&counted) })
                })
                .chunk_size(chunk)
                .read_ahead(ReadAhead::Always),
        )
        .build()
        .unwrap();
    (job, calls)
}

async fn skips(engine: &Engine, step: &StepExecution) -> Vec<SkippedItem> {
    let page = engine.repository().skips(step.id, None, 1000).await.unwrap();
    page.skips.into_iter().map(|skip| skip.item).collect()
}

/// PERFORMANCE row 13, and trap 14: a tolerated bad row drops its whole chunk.
#[tokio::test]
async fn one_bad_output_in_a_chunk_of_a_thousand_costs_at_most_22_writes_and_loses_itself_alone() {
    for bad in [0, 1, 499, 500, 998, 999] {
        static BAD: AtomicU32 = AtomicU32::new(0);
        BAD.store(bad, Ordering::SeqCst);
        let out = list();
        let (job, calls) = copy(&out, 1000, 1000, 1, |n| n == u64::from(BAD.load(Ordering::SeqCst)));
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let execution = launch(&engine, "Skips").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        assert_eq!(contents(&out), (0..1000).filter(|n| *n != u64::from(bad)).collect::<Vec<_>>());
        let calls = calls.load(Ordering::SeqCst);
        assert!(calls <= 22, "{calls} writes for item {bad}");
        let step = &steps(&engine, execution.id).await[0];
        let expected =
            Counters { read: 1000, write: 999, commit: 1, rollback: 1, write_skip: 1, ..Counters::default() };
        assert_eq!(step.counters, expected);
        let kept = SkippedItem::new(SkipPhase::Write, None, Some(bad.to_string()), format!("{bad} is refused"));
        assert_eq!(skips(&engine, step).await, [kept]);
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn many_bad_outputs_are_each_found_and_kept_in_their_order() {
    let out = list();
    let (job, _) = copy(&out, 100, 16, 50, |n| n % 7 == 3 || (32..48).contains(&n));
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Skips").await;
    let bad: Vec<u64> = (0..100).filter(|n| n % 7 == 3 || (32..48).contains(n)).collect();
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(contents(&out), (0..100).filter(|n| !bad.contains(n)).collect::<Vec<_>>());
    let step = &steps(&engine, execution.id).await[0];
    assert_eq!(step.counters.write_skip, i64::try_from(bad.len()).unwrap());
    let kept: Vec<_> = skips(&engine, step).await.into_iter().map(|skip| skip.item.unwrap()).collect();
    assert_eq!(kept, bad.iter().map(ToString::to_string).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn the_skip_after_the_last_allowed_one_fails_the_step_and_a_restart_counts_anew() {
    let out = list();
    let (job, _) = copy(&out, 40, 10, 2, |n| n % 10 == 5);
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let first = launch(&engine, "Skips").await;
    let message = first.exit_message.unwrap();
    let expected =
        "step 'Copy' failed: skip limit exceeded: at most 2 items may be skipped, and one more failed: 25 is refused";
    assert_eq!(message, expected);
    let counters = steps(&engine, first.id).await[0].counters;
    assert_eq!((counters.read, counters.write, counters.write_skip, counters.commit), (20, 18, 2, 2));
    let second = launch(&engine, "Skips").await;
    assert_eq!(second.status, Status::Completed);
    assert_eq!(contents(&out).len(), 36);
    engine.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_read_or_processed_is_kept_with_its_position_and_text() {
    for read_ahead in [ReadAhead::Never, ReadAhead::Always] {
        let out = list();
        let shared = Arc::clone(&out);
        let job = Job::builder("Phases")
            .step(
                ChunkStep::builder("Copy")
                    .reader(|_| Ok(Numbers::skipping(10, |n| n == 2 || n == 9)))
                    .skip(SkipPolicy::new(3))
                    .processor(|_| {
                        Ok(FunctionProcessor::new(|n: u64| match n {
                            4 => Err(ItemError::validation("four is odd here").at("item 4")),
                            5 => Ok(None),
                            _ => Ok(Some(n)),
                        }))
                    })
                    .writer(move |_| Ok(ListWriter::new(Arc::clone(&shared))))
                    .chunk_size(3)
                    .read_ahead(read_ahead),
            )
            .build()
            .unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let execution = launch(&engine, "Phases").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        assert_eq!(contents(&out), [0, 1, 3, 6, 7, 8]);
        let step = &steps(&engine, execution.id).await[0];
        assert_eq!((step.counters.read, step.counters.read_skip, step.counters.process_skip), (8, 2, 1));
        assert!(step.counters.balances());
        let kept = |phase, at: &str, text: &str, error: &str| {
            SkippedItem::new(phase, Some(at.to_owned()), Some(text.to_owned()), error.to_owned())
        };
        let expected = [
            kept(SkipPhase::Read, "line 2", "<2>", "no number"),
            kept(SkipPhase::Process, "item 4", "4", "four is odd here"),
            kept(SkipPhase::Read, "line 9", "<9>", "no number"),
        ];
        assert_eq!(skips(&engine, step).await, expected);
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn faults_of_other_kinds_are_not_skipped() {
    let job = Job::builder("Others")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(IteratorReader::new(0..10_u64)))
                .skip(SkipPolicy::new(100))
                .processor(|_| {
                    Ok(FunctionProcessor::new(
                        |n: u64| if n == 3 { Err(ItemError::other("broken")) } else { Ok(Some(n)) },
                    ))
                })
                .writer(|_| Ok(ListWriter::new(list()))),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Others").await;
    assert_eq!(execution.exit_message.as_deref(), Some("step 'Copy' failed: failed to process: broken"));
    engine.shutdown().await;
}

/// Fails one of its calls with an error that is neither skipped nor repeated.
struct Breaks {
    inner: Picky,
    at: u32,
}

impl ItemWriter<u64> for Breaks {
    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if self.inner.calls.load(Ordering::SeqCst) + 1 == self.at {
            self.inner.calls.fetch_add(1, Ordering::SeqCst);
            return Err(ItemError::other("the line dropped"));
        }
        self.inner.write(outputs, transaction).await
    }

    fn committed(&mut self) {
        ItemWriter::<u64>::committed(&mut self.inner);
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        ItemWriter::<u64>::rolled_back(&mut self.inner).await
    }
}

/// Cannot roll back what it wrote, once.
struct Stuck {
    inner: Picky,
    taken_back: Arc<AtomicU32>,
    at: u32,
}

impl ItemWriter<u64> for Stuck {
    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.inner.write(outputs, transaction).await
    }

    fn committed(&mut self) {
        ItemWriter::<u64>::committed(&mut self.inner);
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        if self.taken_back.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            return Err(ItemError::transient("the disk is away"));
        }
        ItemWriter::<u64>::rolled_back(&mut self.inner).await
    }
}

#[tokio::test]
async fn a_writer_that_cannot_take_a_trial_back_is_never_written_to_again() {
    for at in 1..=6 {
        let (calls, taken_back) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&calls);
        let job = Job::builder("Stuck")
            .step(
                ChunkStep::builder("Copy")
                    .reader(|_| Ok(IteratorReader::new(0..48_u64)))
                    .skip(SkipPolicy::new(1))
                    .retry(RetryPolicy::new(3).retry_on([ErrorKind::Transient]))
                    .writer(move |_| {
                        let inner = ListWriter::new(list());
                        let inner = Picky { inner, refused: |n| n == 21, calls: Arc::clone(&counted) };
                        Ok(Stuck { inner, taken_back: Arc::clone(&taken_back), at })
                    })
                    .chunk_size(16),
            )
            .build()
            .unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let stuck = launch(&engine, "Stuck").await;
        assert_eq!(stuck.status, Status::Failed, "roll-back {at}");
        let message = stuck.exit_message.unwrap();
        assert!(message.contains("failed to roll the output back: the disk is away"), "{message}");
        // The first chunk is write 1; each roll-back follows a write of the second chunk.
        assert_eq!(calls.load(Ordering::SeqCst), at + 1, "roll-back {at}");
        engine.shutdown().await;
    }
}

/// Trap 7: an error in the middle of isolating a bad item loses the items that were not yet tried.
#[tokio::test]
async fn a_fault_at_any_write_of_the_search_for_a_bad_item_loses_none_of_its_chunk() {
    // The first chunk is write 1; the second fails at write 2, is searched, and written as write 12 at the latest.
    for at in 2..=12 {
        let (out, calls) = (list(), Arc::new(AtomicU32::new(0)));
        let list = Arc::clone(&out);
        let job = Job::builder("Breaks")
            .step(
                ChunkStep::builder("Copy")
                    .reader(|_| Ok(IteratorReader::new(0..48_u64)))
                    .skip(SkipPolicy::new(1))
                    .writer(move |_| {
                        let (inner, calls) = (ListWriter::new(Arc::clone(&list)), Arc::clone(&calls));
                        Ok(Breaks { inner: Picky { inner, refused: |n| n == 21, calls }, at })
                    })
                    .chunk_size(16),
            )
            .build()
            .unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let broken = launch(&engine, "Breaks").await;
        if broken.status == Status::Failed {
            let read = steps(&engine, broken.id).await[0].counters.read;
            assert!(read == 16 || read == 32, "write {at}: {read} read");
            assert_eq!(launch(&engine, "Breaks").await.status, Status::Completed);
        }
        assert_eq!(contents(&out), (0..48).filter(|n| *n != 21).collect::<Vec<_>>(), "write {at}");
        engine.shutdown().await;
    }
}
