//! Limits that seal a chunk: its items, its bytes, its time; the end of the input alone completes the step.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::item::{Checkpoint, FunctionWriter, ListReader, ListWriter, TeeWriter};
use oxbatch_core::step::Step;
use oxbatch_core::{ChunkStep, ItemError, ItemReader, Job, RetryPolicy, SkipPolicy, Status};

use crate::harness::{Numbers, Shared, TestStore, begin, contents, ended, launch, list, steps, until_step};

/// A writer that keeps what it gets, and tells how many that is.
fn telling(out: &Shared<u64>) -> (impl oxbatch_core::ItemWriter<u64> + use<>, Receiver<usize>) {
    let (tell, told) = channel();
    let count = FunctionWriter::new(move |chunk: &[u64]| Ok(tell.send(chunk.len())?));
    (TeeWriter::new(ListWriter::new(Arc::clone(out)), count), told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_is_sealed_when_it_holds_so_many_bytes() {
    for threads in [1, 3] {
        let out = list();
        let (writer, sizes) = telling(&out);
        let writer = Mutex::new(Some(writer));
        let job = Job::builder("Heavy")
            .step(
                ChunkStep::builder("Heavy")
                    .reader(|_| Ok(ListReader::new([1, 2, 3, 100, 1, 1, 1, 1, 1, 1, 5, 6_u64])))
                    .writer(move |_| Ok(writer.lock().unwrap().take().unwrap()))
                    .chunk_size(5)
                    .chunk_bytes(10, |n| *n)
                    .processing_threads(threads),
            )
            .build()
            .unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let execution = launch(&engine, "Heavy").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        // 1 + 2 + 3 + 100 bytes; five items; 1 + 5 + 6 bytes.
        assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [4, 5, 3]);
        assert_eq!(steps(&engine, execution.id).await[0].counters.commit, 3);
        engine.shutdown().await;
    }
}

/// Numbers that come by a channel; it waits for them, with its thread or without.
struct Slow {
    numbers: Arc<tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<u64>>>,
    done: u64,
    blocks: bool,
}

impl ItemReader for Slow {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.done = checkpoint.map_or(Ok(0), Checkpoint::read)?;
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        let mut numbers = self.numbers.lock().await;
        let number = loop {
            match numbers.try_recv() {
                Ok(number) => break Some(number),
                Err(tokio::sync::mpsc::error::TryRecvError::Disconnected) => break None,
                Err(_) if self.blocks => std::thread::yield_now(),
                Err(_) => break numbers.recv().await,
            }
        };
        if number == Some(13) {
            return Err(ItemError::parse("unlucky"));
        }
        self.done += u64::from(number.is_some());
        Ok(number)
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.done).map(Some)
    }
}

type Stream = tokio::sync::mpsc::UnboundedSender<u64>;

fn slow(blocks: bool, threads: u32, out: &Shared<u64>) -> (Step, Stream, Receiver<usize>) {
    let (send, numbers) = tokio::sync::mpsc::unbounded_channel();
    let numbers = Arc::new(tokio::sync::Mutex::new(numbers));
    let (tell, told): (Sender<usize>, _) = channel();
    let (out, tell) = (Arc::clone(out), Mutex::new(tell));
    let step = ChunkStep::builder("Slow")
        .reader(move |_| Ok(Slow { numbers: Arc::clone(&numbers), done: 0, blocks }))
        .writer(move |_| {
            let tell = tell.lock().unwrap().clone();
            let count = FunctionWriter::new(move |chunk: &[u64]| Ok(tell.send(chunk.len())?));
            Ok(TeeWriter::new(ListWriter::new(Arc::clone(&out)), count))
        })
        .chunk_size(100)
        .chunk_time(Duration::from_millis(20))
        .processing_threads(threads)
        .retry(RetryPolicy::new(1))
        .skip(SkipPolicy::new(10));
    (step.try_into().unwrap(), send, told)
}

/// Waits until so many items were written.
fn written(told: &Receiver<usize>, mut items: usize) {
    tokio::task::block_in_place(|| {
        while items > 0 {
            items -= told.recv().unwrap();
        }
    });
}

/// Traps 8 and 9: input that is not read yet is neither taken for its end nor passed over by a checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stream_commits_what_it_has_while_the_reader_waits_and_completes_at_its_end_alone() {
    for (blocks, threads) in [(false, 1), (true, 1), (false, 2), (true, 2)] {
        let out = list();
        let (step, stream, told) = slow(blocks, threads, &out);
        let place = TestStore::new();
        let engine = place.node([Job::builder("Slow").step(step).build().unwrap()]).await;
        let id = begin(&engine, "Slow").await;
        for n in [1, 2, 13, 3] {
            stream.send(n).unwrap();
        }
        written(&told, 3);
        for n in [4, 5] {
            stream.send(n).unwrap();
        }
        written(&told, 2);
        assert!(engine.execution(id).await.unwrap().status.is_running());
        stream.send(6).unwrap();
        drop(stream);
        assert_eq!(ended(&engine, id).await.status, Status::Completed);
        assert_eq!(contents(&out), [1, 2, 3, 4, 5, 6]);
        let counters = steps(&engine, id).await[0].counters;
        assert_eq!((counters.read, counters.write, counters.read_skip), (6, 6, 1));
        assert!(counters.commit >= 3, "{counters:?}");
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_stream_and_a_restart_loses_nothing_of_it() {
    let out = list();
    let (step, stream, told) = slow(false, 1, &out);
    let place = TestStore::new();
    let engine = place.node_with([Job::builder("Slow").step(step).build().unwrap()], |config| {
        config.stop_grace = Duration::from_millis(50);
    });
    let engine = engine.await;
    let id = begin(&engine, "Slow").await;
    stream.send(1).unwrap();
    written(&told, 1);
    // Written is not yet committed, and the grace of the stop is short.
    until_step(&engine, id, |step| step.counters.commit > 0).await;
    engine.stop(id).await.unwrap();
    assert_eq!(ended(&engine, id).await.status, Status::Stopped);
    assert_eq!(steps(&engine, id).await[0].counters.read, 1);
    stream.send(2).unwrap();
    drop(stream);
    assert_eq!(launch(&engine, "Slow").await.status, Status::Completed);
    assert_eq!(contents(&out), [1, 2]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_or_a_fault_of_a_reader_on_its_own_thread_is_told_with_its_message() {
    let step = |name: &str, fault: fn() -> Result<(), ItemError>| {
        ChunkStep::builder(name)
            .reader(move |_| Ok(Numbers::new(100, move |n| if n == 57 { fault() } else { Ok(()) })))
            .writer(|_| Ok(ListWriter::new(list())))
            .chunk_size(10)
            .chunk_time(Duration::from_secs(3600))
    };
    let jobs = [
        Job::builder("Panics").step(step("Read", || panic!("57 is too many"))).build().unwrap(),
        Job::builder("Fails").step(step("Read", || Err(ItemError::other("no 57 today")))).build().unwrap(),
    ];
    let place = TestStore::new();
    let engine = place.node(jobs).await;
    for (job, message) in [("Panics", "panicked: 57 is too many"), ("Fails", "failed to read: no 57 today")] {
        let execution = launch(&engine, job).await;
        assert_eq!(execution.exit_message.unwrap(), format!("step 'Read' failed: {message}"));
        assert_eq!(steps(&engine, execution.id).await[0].counters.read, 50);
    }
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_on_its_own_thread_puts_is_committed_with_the_chunk_of_its_item() {
    let stored = list();
    let seen = Arc::clone(&stored);
    let job = Job::builder("Puts")
        .step(
            ChunkStep::builder("Puts")
                .reader(|context| {
                    let context = context.clone();
                    Ok(Numbers::new(30, move |n| {
                        if n == 25 && context.get::<u64>("restarts")?.is_none() {
                            context.put("restarts", 1)?;
                            return Err(ItemError::other("no 25 today"));
                        }
                        Ok(context.put("last", n)?)
                    }))
                })
                .writer(move |context| {
                    let (context, seen) = (context.clone(), Arc::clone(&seen));
                    Ok(FunctionWriter::new(move |_: &[u64]| {
                        seen.lock().unwrap().push(context.get::<u64>("last")?);
                        Ok(())
                    }))
                })
                .chunk_size(10)
                .chunk_time(Duration::from_secs(3600)),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    assert_eq!(launch(&engine, "Puts").await.status, Status::Failed);
    let again = launch(&engine, "Puts").await;
    // The mark belonged to the chunk that failed: it is void, so the second attempt fails alike.
    assert_eq!(again.status, Status::Failed);
    assert_eq!(contents(&stored).len(), 2, "two chunks by the first attempt, none by the second");
    engine.shutdown().await;
}
