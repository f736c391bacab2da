//! A stop ends what waits: a quiet source, a hanging processor or writer; nothing is lost by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures_util::StreamExt;
use oxbatch_core::item::{
    AsyncFunctionProcessor, AsyncFunctionWriter, Checkpoint, ListReader, ListWriter, StreamReader, TeeWriter,
};
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{ChunkStep, Engine, ItemError, ItemReader, Job, Status, Step};

use crate::harness::{Shared, TestStore, begin, contents, ended, launch, list, steps};

/// Waits for ever the first time that it is asked.
#[derive(Clone)]
struct Hangs {
    done: Arc<AtomicBool>,
    tell: Sender<()>,
}

impl Hangs {
    fn new() -> (Self, Receiver<()>) {
        let (tell, reached) = channel();
        (Self { done: Arc::default(), tell }, reached)
    }

    async fn here(&self) {
        if !self.done.swap(true, Ordering::SeqCst) {
            self.tell.send(()).unwrap();
            std::future::pending().await
        }
    }
}

/// Begins, stops once it hangs, and begins again; how much was read by the first attempt.
async fn stopped_and_restarted(step: Step, reached: Receiver<()>, out: &Shared<u64>) -> i64 {
    let place = TestStore::new();
    let engine: Engine = place.node([Job::builder("Waits").step(step).build().unwrap()]).await;
    let id = begin(&engine, "Waits").await;
    tokio::task::block_in_place(|| reached.recv().unwrap());
    engine.stop(id).await.unwrap();
    let stopped = ended(&engine, id).await;
    // What the grace of the stop has ended says so.
    assert_eq!(stopped.exit_message.as_deref(), Some("stopped on request in step 'Wait'"));
    let read = steps(&engine, id).await[0].counters.read;
    assert_eq!(launch(&engine, "Waits").await.status, Status::Completed);
    assert_eq!(contents(out), (0..30).collect::<Vec<_>>());
    engine.shutdown().await;
    read
}

/// Reads numbers, and waits at 25; it does not say that it may be dropped there.
struct Quiet {
    next: u64,
    hangs: Hangs,
}

impl ItemReader for Quiet {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.next = checkpoint.map_or(Ok(0), Checkpoint::read)?;
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        // It is behind the number before it has it: dropped here, it would lose it.
        self.next += 1;
        if self.next == 26 {
            self.hangs.here().await;
        }
        Ok((self.next <= 30).then_some(self.next - 1))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.next).map(Some)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_read_that_waits_and_commits_what_is_there_where_the_reader_allows_it() {
    for ahead in [ReadAhead::Never, ReadAhead::Always] {
        let ((hangs, reached), out) = (Hangs::new(), list());
        let shared = Arc::clone(&out);
        let step = ChunkStep::builder("Wait")
            .reader(move |_| {
                let hangs = hangs.clone();
                Ok(StreamReader::starting_at(move |done| {
                    futures_util::stream::iter(done..30).then(move |n| {
                        let hangs = hangs.clone();
                        async move {
                            if n == 25 {
                                hangs.here().await;
                            }
                            Ok(n)
                        }
                    })
                }))
            })
            .writer(move |_| Ok(ListWriter::new(Arc::clone(&shared))))
            .chunk_size(10)
            .read_ahead(ahead);
        let read = stopped_and_restarted(step.try_into().unwrap(), reached, &out).await;
        // A thread that is ahead may be behind with what it hands over.
        assert!(read == 25 || ahead == ReadAhead::Always, "{read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_may_not_be_dropped_loses_nothing_by_it() {
    for way in 0..4 {
        let ((hangs, reached), out) = (Hangs::new(), list());
        let shared = Arc::clone(&out);
        let step = ChunkStep::builder("Wait")
            .reader(move |_| Ok(Quiet { next: 0, hangs: hangs.clone() }))
            .writer(move |_| Ok(ListWriter::new(Arc::clone(&shared))))
            .chunk_size(10);
        let step = match way {
            0 => step.read_ahead(ReadAhead::Never),
            1 => step.read_ahead(ReadAhead::Always),
            2 => step.processing_threads(2),
            // On a thread of its own its position comes with each item.
            _ => step.chunk_time(Duration::from_secs(3600)),
        };
        let read = stopped_and_restarted(step.try_into().unwrap(), reached, &out).await;
        match way {
            0 => assert_eq!(read, 20),
            // It may be ahead of the chunk that is in hand.
            3 => assert!(read <= 25, "{read}"),
            _ => assert!(read <= 20, "way {way}: {read}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_processor_that_waits() {
    let ((hangs, reached), out) = (Hangs::new(), list());
    let shared = Arc::clone(&out);
    let step = ChunkStep::builder("Wait")
        .reader(|_| Ok(ListReader::new(0..30_u64)))
        .processor(move |_| {
            let hangs = hangs.clone();
            Ok(AsyncFunctionProcessor::new(move |n: u64| {
                let hangs = hangs.clone();
                async move {
                    if n == 25 {
                        hangs.here().await;
                    }
                    Ok(Some(n))
                }
            }))
        })
        .writer(move |_| Ok(ListWriter::new(Arc::clone(&shared))))
        .chunk_size(10)
        .read_ahead(ReadAhead::Never);
    assert_eq!(stopped_and_restarted(step.try_into().unwrap(), reached, &out).await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_write_that_hangs_and_takes_it_back() {
    let ((hangs, reached), out) = (Hangs::new(), list());
    let shared = Arc::clone(&out);
    let step = ChunkStep::builder("Wait")
        .reader(|_| Ok(ListReader::new(0..30_u64)))
        .writer(move |_| {
            let hangs = hangs.clone();
            let last = AsyncFunctionWriter::new(move |chunk: &[u64]| {
                let (hangs, hangs_here) = (hangs.clone(), chunk.contains(&25));
                Box::pin(async move {
                    if hangs_here {
                        hangs.here().await;
                    }
                    Ok(())
                })
            });
            Ok(TeeWriter::new(ListWriter::new(Arc::clone(&shared)), last))
        })
        .chunk_size(10);
    assert_eq!(stopped_and_restarted(step.try_into().unwrap(), reached, &out).await, 20);
}
