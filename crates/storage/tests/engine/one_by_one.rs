//! Writers that cannot roll back: an output that is skipped costs the others of its chunk one more write, and no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use oxbatch_core::item::{AsyncFunctionWriter, ErrorKind, FunctionWriter, ListReader, ListWriter, TeeWriter};
use oxbatch_core::{ChunkStep, ItemError, Job, RetryPolicy, SkipPolicy, Status, Step, StepContext};

use crate::harness::{TestStore, contents, launch, list, run, steps};

/// Number of times that each was sent, and the passing errors that are yet to come.
#[derive(Clone, Default)]
struct Post {
    sent: Arc<Mutex<BTreeMap<u64, u32>>>,
    passes: Arc<Mutex<Vec<u64>>>,
}

impl Post {
    /// Sends in order, up to one that is refused.
    fn send(&self, chunk: &[u64], context: Option<&StepContext>) -> Result<(), ItemError> {
        if let Some(context) = context {
            context.put_into_job("sent", context.get_from_job::<usize>("sent")?.unwrap_or(0) + chunk.len())?;
        }
        for letter in chunk {
            let mut passes = self.passes.lock().unwrap();
            if let Some(at) = passes.iter().position(|passes| passes == letter) {
                // Twice when it stands there twice.
                passes.remove(at);
                return Err(ItemError::transient("the line dropped"));
            }
            *self.sent.lock().unwrap().entry(*letter).or_default() += 1;
            if letter % 100 == 63 {
                return Err(ItemError::validation("no such address"));
            }
        }
        Ok(())
    }

    fn most(&self) -> u32 {
        *self.sent.lock().unwrap().values().max().unwrap()
    }
}

async fn posted(step: Step, sum: Option<u64>) -> oxbatch_core::execution::Counters {
    let told = list();
    let tells = Arc::clone(&told);
    let tell = oxbatch_core::TaskStep::builder("Tell", move |context| {
        tells.lock().unwrap().push(context.get_from_job::<u64>("sent")?);
        Ok(())
    });
    let place = TestStore::new();
    let engine = place.node([Job::builder("Post").step(step).step(tell).build().unwrap()]).await;
    let execution = launch(&engine, "Post").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let counters = steps(&engine, execution.id).await[0].counters;
    assert_eq!((counters.read, counters.write, counters.write_skip), (300, 297, 3));
    assert_eq!(contents(&told), [sum]);
    engine.shutdown().await;
    counters
}

#[tokio::test]
async fn a_bad_letter_makes_the_others_of_its_chunk_go_out_twice_at_most() {
    for is_async in [false, true] {
        let post = Post::default();
        let sends = post.clone();
        let step = ChunkStep::builder("Post")
            .reader(|_| Ok(ListReader::new(0..300_u64)))
            .skip(SkipPolicy::new(3))
            .chunk_size(100);
        let step = match is_async {
            false => Step::try_from(step.writer(move |context| {
                let (sends, context) = (sends.clone(), context.clone());
                Ok(FunctionWriter::new(move |chunk: &[u64]| sends.send(chunk, Some(&context))))
            })),
            true => Step::try_from(step.writer(move |context| {
                let (sends, context) = (sends.clone(), context.clone());
                Ok(AsyncFunctionWriter::new(move |chunk: &[u64]| {
                    let (sends, context, chunk) = (sends.clone(), context.clone(), chunk.to_vec());
                    Box::pin(async move { sends.send(&chunk, Some(&context)) })
                }))
            })),
        };
        posted(step.unwrap(), Some(297)).await;
        assert_eq!((post.most(), post.sent.lock().unwrap().len()), (2, 300));
    }
}

#[tokio::test]
async fn a_fault_that_passes_among_them_is_repeated_for_its_letter_alone() {
    let post = Post::default();
    // After the chunk was sent up to 63, the letters go out one by one; 70 meets it twice.
    *post.passes.lock().unwrap() = vec![70, 70];
    let sends = post.clone();
    let step = ChunkStep::builder("Post")
        .reader(|_| Ok(ListReader::new(0..300_u64)))
        .skip(SkipPolicy::new(3))
        .retry(RetryPolicy::new(2))
        .writer(move |_| {
            let sends = sends.clone();
            Ok(FunctionWriter::new(move |chunk: &[u64]| sends.send(chunk, None)))
        })
        .chunk_size(100);
    let counters = posted(step.try_into().unwrap(), None).await;
    assert_eq!((counters.retry, post.most()), (2, 2));
}

/// An output that can be rolled back would hold letters twice: the others are sent by parts, as their docs say.
#[tokio::test]
async fn a_list_beside_the_letters_holds_each_once() {
    for both_cannot in [false, true] {
        let (post, other, out) = (Post::default(), Post::default(), list());
        let (sends, others, shared) = (post.clone(), other.clone(), Arc::clone(&out));
        let step = ChunkStep::builder("Post")
            .reader(|_| Ok(ListReader::new(0..300_u64)))
            .skip(SkipPolicy::new(3))
            .chunk_size(100);
        let step = match both_cannot {
            false => Step::try_from(step.writer(move |_| {
                let sends = sends.clone();
                let letters = FunctionWriter::new(move |chunk: &[u64]| sends.send(chunk, None));
                Ok(TeeWriter::new(ListWriter::new(Arc::clone(&shared)), letters))
            })),
            true => Step::try_from(step.writer(move |_| {
                let (sends, others) = (sends.clone(), others.clone());
                let copies = FunctionWriter::new(move |chunk: &[u64]| others.send(chunk, None));
                Ok(TeeWriter::new(copies, FunctionWriter::new(move |chunk: &[u64]| sends.send(chunk, None))))
            })),
        };
        posted(step.unwrap(), None).await;
        if both_cannot {
            assert_eq!((other.most(), post.most()), (2, 1), "the first of them refuses");
        } else {
            assert_eq!(contents(&out), (0..300).filter(|n| n % 100 != 63).collect::<Vec<_>>());
        }
    }
}

/// Refuses 5, and has two errors that pass when it is written for the third time.
#[tokio::test]
async fn faults_of_the_data_are_not_repeated_and_use_up_no_retries_of_others() {
    for asks_for_them in [false, true] {
        let calls = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&calls);
        let policy = RetryPolicy::new(2);
        let policy =
            if asks_for_them { policy.retry_on([ErrorKind::Constraint, ErrorKind::Transient]) } else { policy };
        // The first trial: behind one write, or three.
        let trial = if asks_for_them { 4 } else { 2 };
        let out = list();
        let shared = Arc::clone(&out);
        let step = ChunkStep::builder("Copy")
            .reader(|_| Ok(ListReader::new(0..16_u64)))
            .skip(SkipPolicy::new(1))
            .retry(policy)
            .writer(move |_| {
                let counted = Arc::clone(&counted);
                let refuses = FunctionWriter::new(move |chunk: &[u64]| {
                    let mut calls = counted.lock().unwrap();
                    *calls += 1;
                    match *calls {
                        call if call == trial => Err(ItemError::transient("the line dropped")),
                        _ if chunk.contains(&5) => Err(ItemError::new(ErrorKind::Constraint, "refused")),
                        _ => Ok(()),
                    }
                });
                Ok(TeeWriter::new(ListWriter::new(Arc::clone(&shared)), refuses))
            });
        let ended = run(step).await;
        assert_eq!(ended.execution.status, Status::Completed, "{}", ended.message());
        assert_eq!(ended.step.counters.retry, if asks_for_them { 3 } else { 1 });
        assert_eq!(contents(&out), (0..16).filter(|n| *n != 5).collect::<Vec<_>>());
    }
}
