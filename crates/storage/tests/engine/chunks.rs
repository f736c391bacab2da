//! Chunk steps: counters, resumes, replays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oxbatch_core::execution::Counters;
use oxbatch_core::item::{ErrorKind, FunctionProcessor, FunctionWriter, IteratorReader, ListReader, ListWriter};
use oxbatch_core::step::{Backoff, ReadAhead};
use oxbatch_core::{ChunkStep, ItemError, Job, RetryPolicy, Status, TaskStep};

use crate::harness::{Numbers, Shared, TestStore, contents, force, launch, list, steps};

fn squares(out: &Shared<i64>) -> Job {
    let out = Arc::clone(out);
    Job::builder("Squares")
        .step(
            ChunkStep::builder("ProcessNumbers")
                .reader(|_| Ok(ListReader::new(1..=50_i64)))
                .processor(|_| Ok(FunctionProcessor::new(|n: i64| Ok((n * n % 2 == 0).then_some(n * n)))))
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&out))))
                .chunk_size(10),
        )
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_original_chunk_job_counts_as_it_did() {
    let out = list();
    let place = TestStore::new();
    let engine = place.node([squares(&out)]).await;
    let execution = launch(&engine, "Squares").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let step = &steps(&engine, execution.id).await[0];
    let expected = Counters { read: 50, write: 25, filter: 25, commit: 5, ..Counters::default() };
    assert_eq!((step.counters, step.progress), (expected, Some(1.0)));
    assert_eq!(contents(&out), (1..=25).map(|n| 4 * n * n).collect::<Vec<_>>());
    engine.shutdown().await;
}

/// Trap 18: a reader shared between executions reads nothing the second time.
#[tokio::test]
async fn every_execution_builds_its_reader_anew() {
    let out = list();
    let place = TestStore::new();
    let engine = place.node([squares(&out)]).await;
    launch(&engine, "Squares").await;
    let second = force(&engine, "Squares").await;
    assert_eq!(steps(&engine, second.id).await[0].counters.read, 50);
    assert_eq!(contents(&out).len(), 50);
    engine.shutdown().await;
}

#[tokio::test]
async fn an_empty_source_completes_without_a_commit() {
    let job = Job::builder("Empty")
        .step(
            ChunkStep::builder("Nothing")
                .reader(|_| Ok(ListReader::new(Vec::<u64>::new())))
                .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Err(ItemError::other("called for nothing"))))),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Empty").await;
    assert_eq!(execution.status, Status::Completed);
    assert_eq!(steps(&engine, execution.id).await[0].counters, Counters::default());
    engine.shutdown().await;
}

/// A job that fails at item 37 in its first `failures` attempts.
fn fails_at_37(out: &Shared<u64>, failures: u32) -> Job {
    let (out, left) = (Arc::clone(out), Arc::new(AtomicU32::new(failures)));
    Job::builder("Fails")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(IteratorReader::new(0..100_u64)))
                .processor(move |_| {
                    let left = Arc::clone(&left);
                    Ok(FunctionProcessor::new(move |n: u64| {
                        let fails = n == 37
                            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
                        if fails {
                            Err(ItemError::validation("37 is out of the question").at("item 37"))
                        } else {
                            Ok(Some(n))
                        }
                    }))
                })
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&out))))
                .chunk_size(10),
        )
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_failed_chunk_step_resumes_behind_its_last_commit() {
    let out = list();
    let place = TestStore::new();
    let engine = place.node([fails_at_37(&out, 1)]).await;
    let first = launch(&engine, "Fails").await;
    let message = first.exit_message.unwrap();
    assert_eq!(message, "step 'Copy' failed: failed to process: item 37: 37 is out of the question");
    assert_eq!(contents(&out), (0..30).collect::<Vec<_>>());
    let counters = steps(&engine, first.id).await[0].counters;
    assert_eq!((counters.read, counters.write, counters.commit), (30, 30, 3));
    let second = launch(&engine, "Fails").await;
    assert_eq!(second.status, Status::Completed);
    let counters = steps(&engine, second.id).await[0].counters;
    assert_eq!((counters.read, counters.write, counters.commit), (70, 70, 7));
    assert_eq!(contents(&out), (0..100).collect::<Vec<_>>());
    engine.shutdown().await;
}

/// Trap 19: a retry that goes on after the failed chunk loses its items.
#[tokio::test]
async fn a_failed_write_is_rolled_back_and_replayed_with_all_its_items() {
    let (out, calls) = (list(), Arc::new(AtomicU32::new(0)));
    let shared = Arc::clone(&out);
    let job = Job::builder("Replay")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(IteratorReader::new(0..25_u64)))
                .writer(move |_| {
                    let (out, calls) = (Arc::clone(&shared), Arc::clone(&calls));
                    Ok(FunctionWriter::new(move |chunk: &[u64]| {
                        // The second chunk fails twice.
                        if (1..=2).contains(&calls.fetch_add(1, Ordering::SeqCst)) {
                            return Err(ItemError::transient("busy"));
                        }
                        out.lock().unwrap().extend_from_slice(chunk);
                        Ok(())
                    }))
                })
                .chunk_size(10)
                .retry(RetryPolicy::new(2).backoff(Backoff::Fixed(Duration::from_millis(1)))),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Replay").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(contents(&out), (0..25).collect::<Vec<_>>());
    let expected = Counters { read: 25, write: 25, commit: 3, rollback: 2, retry: 2, ..Counters::default() };
    assert_eq!(steps(&engine, execution.id).await[0].counters, expected);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_transient_read_and_a_failed_process_are_repeated_for_the_same_item() {
    let out = list();
    let shared = Arc::clone(&out);
    let (reads, processed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let job = Job::builder("Again")
        .step(
            ChunkStep::builder("Copy")
                .reader(move |_| {
                    let reads = Arc::clone(&reads);
                    Ok(Numbers::new(10, move |n| {
                        let fails = n == 4 && reads.fetch_add(1, Ordering::SeqCst) < 2;
                        if fails { Err(ItemError::transient("line dropped")) } else { Ok(()) }
                    }))
                })
                .processor(move |_| {
                    let processed = Arc::clone(&processed);
                    Ok(FunctionProcessor::new(move |n: u64| {
                        let fails = n == 7 && processed.fetch_add(1, Ordering::SeqCst) < 1;
                        if fails { Err(ItemError::other("try again")) } else { Ok(Some(n)) }
                    }))
                })
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&shared))))
                .chunk_size(4)
                .retry(RetryPolicy::new(3)),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Again").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(contents(&out), (0..10).collect::<Vec<_>>());
    let counters = steps(&engine, execution.id).await[0].counters;
    assert_eq!((counters.retry, counters.rollback, counters.read), (3, 0, 10));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_parse_fault_is_never_read_over() {
    let job = Job::builder("Parse")
        .step(
            ChunkStep::builder("Read")
                .reader(|_| {
                    Ok(Numbers::new(
                        10,
                        |n| if n == 3 { Err(ItemError::parse("no number").at("line 4")) } else { Ok(()) },
                    ))
                })
                .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))))
                .retry(RetryPolicy::new(5).retry_on([ErrorKind::Parse])),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let message = launch(&engine, "Parse").await.exit_message.unwrap();
    assert_eq!(message, "step 'Read' failed: failed to read: line 4: no number");
    engine.shutdown().await;
}

fn contexts(read_ahead: ReadAhead) -> Job {
    Job::builder("Contexts")
        .step(TaskStep::builder("Before", |context| Ok(context.put_into_job("before", true)?)))
        .step(
            ChunkStep::builder("Count")
                .reader(|_| Ok(IteratorReader::new(0..30_u64)))
                .processor(|context| {
                    let context = context.clone();
                    Ok(FunctionProcessor::new(move |n: u64| {
                        context.put("last", n)?;
                        context.put_into_job("last", n)?;
                        // What was put for an unsettled chunk must not be kept.
                        let first_attempt = context.execution_id().0 == 1;
                        if n == 25 && first_attempt { Err(ItemError::other("stumbles")) } else { Ok(Some(n)) }
                    }))
                })
                .writer(|context| {
                    let resumed = context.execution_id().0 == 2;
                    let last: (Option<u64>, Option<u64>) = (context.get("last")?, context.get_from_job("last")?);
                    let written: (Option<u64>, Option<u64>) =
                        (context.get("written")?, context.get_from_job("written")?);
                    let expected = resumed.then_some(19);
                    assert_eq!((last, written), ((expected, expected), (expected, expected)));
                    let context = context.clone();
                    Ok(FunctionWriter::new(move |chunk: &[u64]| {
                        context.put("written", chunk[chunk.len() - 1])?;
                        context.put_into_job("written", chunk[chunk.len() - 1])?;
                        Ok(())
                    }))
                })
                .chunk_size(10)
                .read_ahead(read_ahead),
        )
        .step(TaskStep::builder("After", |context| {
            let (last, written): (Option<u64>, Option<u64>) =
                (context.get_from_job("last")?, context.get_from_job("written")?);
            assert_eq!((last, written, context.get_from_job("before")?), (Some(29), Some(29), Some(true)));
            Ok(())
        }))
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_contexts_of_a_chunk_step_are_committed_with_its_chunks() {
    for read_ahead in [ReadAhead::Never, ReadAhead::Always] {
        let place = TestStore::new();
        let engine = place.node([contexts(read_ahead)]).await;
        assert_eq!(launch(&engine, "Contexts").await.status, Status::Failed);
        let second = launch(&engine, "Contexts").await;
        assert_eq!(second.status, Status::Completed, "{read_ahead:?}: {second:?}");
        engine.shutdown().await;
    }
}

/// Trap 9: a read-ahead saves the reader's position before the chunk is durable.
#[tokio::test]
async fn what_was_read_ahead_is_not_in_the_checkpoint_of_the_chunk_before() {
    let (out, far) = (list(), Arc::new(AtomicU32::new(0)));
    let (shared, reached) = (Arc::clone(&out), Arc::clone(&far));
    let job = Job::builder("Ahead")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(IteratorReader::new(0..100_u64)))
                .processor(move |_| {
                    let reached = Arc::clone(&reached);
                    Ok(FunctionProcessor::new(move |n: u64| {
                        reached.store(u32::try_from(n)?, Ordering::SeqCst);
                        Ok(Some(n))
                    }))
                })
                .writer(move |context| {
                    let (out, far, first) = (Arc::clone(&shared), Arc::clone(&far), context.execution_id().0 == 1);
                    Ok(FunctionWriter::new(move |chunk: &[u64]| {
                        if first && chunk[0] == 20 {
                            // The reader is ahead by now, or will be in a moment.
                            while far.load(Ordering::SeqCst) < 39 {
                                std::thread::yield_now();
                            }
                            return Err(ItemError::other("refused"));
                        }
                        out.lock().unwrap().extend_from_slice(chunk);
                        Ok(())
                    }))
                })
                .chunk_size(10)
                .read_ahead(ReadAhead::Always),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let first = launch(&engine, "Ahead").await;
    assert_eq!(first.status, Status::Failed);
    let counters = steps(&engine, first.id).await[0].counters;
    assert_eq!((counters.read, counters.write, counters.commit, counters.rollback), (20, 20, 2, 1));
    assert_eq!(launch(&engine, "Ahead").await.status, Status::Completed);
    assert_eq!(contents(&out), (0..100).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn a_panic_of_the_thread_that_reads_ahead_is_told_with_its_message() {
    let job = Job::builder("Panics")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(IteratorReader::new((0..100_u64).inspect(|n| assert!(*n != 42, "not the answer")))))
                .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))))
                .chunk_size(10)
                .read_ahead(ReadAhead::Always),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Panics").await;
    assert_eq!(execution.exit_message.as_deref(), Some("step 'Copy' failed: panicked: not the answer"));
    assert_eq!(steps(&engine, execution.id).await[0].counters.read, 40);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_context_over_the_limit_fails_the_step_and_says_how_large_it_is() {
    let job = Job::builder("Large")
        .step(
            ChunkStep::builder("Grow")
                .reader(|_| Ok(IteratorReader::new(0..3_u64)))
                .processor(|context| {
                    let context = context.clone();
                    Ok(FunctionProcessor::new(move |n: u64| {
                        context.put("large", "x".repeat(70_000))?;
                        Ok(Some(n))
                    }))
                })
                .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(())))),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Large").await;
    assert_eq!(execution.status, Status::Failed);
    let message = execution.exit_message.unwrap();
    assert!(message.contains("over the limit of 65536"), "{message}");
    engine.shutdown().await;
}
