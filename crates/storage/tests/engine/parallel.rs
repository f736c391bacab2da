//! Several processors at once: what comes of it is what comes of one, whatever fails, stops or panics.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

use oxbatch_core::execution::Counters;
use oxbatch_core::item::{Checkpoint, FunctionProcessor, ListReader, ListWriter};
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{ChunkStep, Engine, ItemError, ItemProcessor, Job, RetryPolicy, SkipPolicy, Status, Step};

use crate::harness::{Events, Numbers, TestStore, begin, contents, ended, launch, list, steps};

/// The result of a step that meets bad items of all kinds.
#[derive(Debug, PartialEq)]
struct Outcome {
    written: Vec<u64>,
    counters: Counters,
    /// Phase, item and error of each skipped item, in their order.
    skips: Vec<(String, Option<String>, String)>,
    message: Option<String>,
}

async fn outcome(threads: u32, in_flight: u32, limit: u64) -> Outcome {
    let out = list();
    let (list, stumbled) = (Arc::clone(&out), Arc::new(AtomicBool::new(false)));
    let job = Job::builder("Mixed")
        .step(
            ChunkStep::builder("Mixed")
                .reader(|_| Ok(Numbers::skipping(1000, |n| n % 97 == 5)))
                .processor(move |_| {
                    let stumbled = Arc::clone(&stumbled);
                    Ok(FunctionProcessor::new(move |n: u64| match n {
                        _ if n % 89 == 7 => Err(ItemError::validation("too odd").at(format!("number {n}"))),
                        333 if !stumbled.swap(true, Ordering::SeqCst) => Err(ItemError::transient("stumbles")),
                        _ => Ok((!n.is_multiple_of(5)).then_some(n * 2)),
                    }))
                })
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&list))))
                .chunk_size(64)
                .retry(RetryPolicy::new(2))
                .skip(SkipPolicy::new(limit))
                .processing_threads(threads)
                .concurrency(in_flight),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Mixed").await;
    let step = steps(&engine, execution.id).await.remove(0);
    let skips = engine.repository().skips(step.id, None, 1000).await.unwrap().skips;
    let skips = skips.into_iter().map(|skip| (skip.item.phase.to_string(), skip.item.item, skip.item.error)).collect();
    engine.shutdown().await;
    Outcome { written: contents(&out), counters: step.counters, skips, message: step.exit_message }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processors_give_what_one_gives() {
    // All of it, and up to the skip that is one too many, whether it is read or processed.
    for limit in [100, 11, 12] {
        let one = outcome(1, 1, limit).await;
        assert_eq!(one.message.is_some(), limit < 100, "{one:?}");
        for (threads, in_flight) in [(2, 1), (5, 1), (1, 2), (1, 100), (3, 4)] {
            assert_eq!(outcome(threads, in_flight, limit).await, one, "{threads} threads, {in_flight} in flight");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_threads_process_at_the_same_time() {
    let (out, barrier) = (list(), Arc::new(Barrier::new(3)));
    let list = Arc::clone(&out);
    let job = Job::builder("Together")
        .step(
            ChunkStep::builder("Together")
                .reader(|_| Ok(ListReader::new(0..30_u64)))
                .processor(move |_| {
                    let barrier = Arc::clone(&barrier);
                    Ok(FunctionProcessor::new(move |n: u64| {
                        // Nobody passes until three are here.
                        barrier.wait();
                        Ok(Some(n))
                    }))
                })
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&list))))
                .chunk_size(10)
                .processing_threads(3),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    assert_eq!(launch(&engine, "Together").await.status, Status::Completed);
    assert_eq!(contents(&out), (0..30).collect::<Vec<_>>());
    engine.shutdown().await;
}

/// Waits until so many are in flight, and remembers how many there were at most.
struct Flight {
    barrier: Arc<tokio::sync::Barrier>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl ItemProcessor<u64> for Flight {
    type Output = u64;

    async fn process(&mut self, item: u64) -> Result<Option<u64>, ItemError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.barrier.wait().await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Ok(Some(item))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_items_are_in_flight_and_not_more_and_come_out_in_order() {
    for (threads, in_flight) in [(1_u32, 16_u32), (2, 8)] {
        let (out, most) = (list(), Arc::new(AtomicUsize::new(0)));
        let (list, seen) = (Arc::clone(&out), Arc::clone(&most));
        let (barrier, now) = (Arc::new(tokio::sync::Barrier::new(16)), Arc::new(AtomicUsize::new(0)));
        let job = Job::builder("Flight")
            .step(
                ChunkStep::builder("Flight")
                    .reader(|_| Ok(ListReader::new(0..160_u64)))
                    .processor(move |_| {
                        let (barrier, now, most) = (Arc::clone(&barrier), Arc::clone(&now), Arc::clone(&seen));
                        Ok(Flight { barrier, now, most })
                    })
                    .writer(move |_| Ok(ListWriter::new(Arc::clone(&list))))
                    .chunk_size(40)
                    .processing_threads(threads)
                    .concurrency(in_flight),
            )
            .build()
            .unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        assert_eq!(launch(&engine, "Flight").await.status, Status::Completed);
        assert_eq!(contents(&out), (0..160).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 16);
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_one_of_several_processors_fails_the_step_with_its_message() {
    for in_flight in [1, 4] {
        let (out, mended) = (list(), Arc::new(AtomicBool::new(false)));
        let (list, is_mended) = (Arc::clone(&out), Arc::clone(&mended));
        let job = Job::builder("Panics")
            .step(
                ChunkStep::builder("Panics")
                    .reader(|_| Ok(ListReader::new(0..100_u64)))
                    .processor(move |_| {
                        let mended = Arc::clone(&is_mended);
                        Ok(FunctionProcessor::new(move |n: u64| {
                            assert!(n != 57 || mended.load(Ordering::SeqCst), "57 is too many");
                            Ok(Some(n))
                        }))
                    })
                    .writer(move |_| Ok(ListWriter::new(Arc::clone(&list))))
                    .chunk_size(10)
                    .processing_threads(2)
                    .concurrency(in_flight),
            )
            .build()
            .unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let execution = launch(&engine, "Panics").await;
        assert_eq!(execution.exit_message.as_deref(), Some("step 'Panics' failed: panicked: 57 is too many"));
        assert_eq!(contents(&out), (0..50).collect::<Vec<_>>(), "the chunks before it are committed");
        mended.store(true, Ordering::SeqCst);
        assert_eq!(launch(&engine, "Panics").await.status, Status::Completed);
        assert_eq!(contents(&out), (0..100).collect::<Vec<_>>());
        engine.shutdown().await;
    }
}

/// Counts what it is reported.
#[derive(Clone, Default)]
struct Told {
    opened: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    fails: bool,
}

impl ItemProcessor<u64> for Told {
    type Output = u64;

    async fn open(&mut self, _: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn process(&mut self, item: u64) -> Result<Option<u64>, ItemError> {
        if self.fails && item == 15 { Err(ItemError::other("no 15 today")) } else { Ok(Some(item)) }
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.closed.fetch_add(1, Ordering::SeqCst);
        Err(ItemError::other("no close today"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_processors_is_opened_and_closed_and_a_fault_of_closing_is_told() {
    for fails in [false, true] {
        let told = Told { fails, ..Told::default() };
        let one = told.clone();
        let job = Job::builder("Told")
            .step(
                ChunkStep::builder("Told")
                    .reader(|_| Ok(ListReader::new(0..30_u64)))
                    .processor(move |_| Ok(one.clone()))
                    .writer(|_| Ok(ListWriter::new(list())))
                    .chunk_size(10)
                    .processing_threads(2)
                    .concurrency(3),
            )
            .build()
            .unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let message = launch(&engine, "Told").await.exit_message.unwrap();
        let fault =
            if fails { "failed to process: no 15 today" } else { "failed to close the processor: no close today" };
        assert_eq!(message, format!("step 'Told' failed: {fault}"));
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        assert_eq!((count(&told.opened), count(&told.closed)), (6, 6));
        engine.shutdown().await;
    }
}

/// Waits for ever at one number, until it is reported not to.
struct Waits {
    patient: Arc<AtomicBool>,
}

impl ItemProcessor<u64> for Waits {
    type Output = u64;

    async fn process(&mut self, item: u64) -> Result<Option<u64>, ItemError> {
        if item == 25 && !self.patient.load(Ordering::SeqCst) {
            return pending().await;
        }
        Ok(Some(item))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_honoured_while_items_are_in_flight_and_nothing_of_their_chunk_is_committed() {
    let (out, patient) = (list(), Arc::new(AtomicBool::new(false)));
    let (list, is_patient) = (Arc::clone(&out), Arc::clone(&patient));
    let (tell, written) = channel();
    let tell = Mutex::new(tell);
    let job = Job::builder("Waits")
        .step(
            ChunkStep::builder("Waits")
                .reader(|_| Ok(ListReader::new(0..60_u64)))
                .processor(move |_| Ok(Waits { patient: Arc::clone(&is_patient) }))
                .writer(move |_| {
                    let (list, tell) = (Arc::clone(&list), tell.lock().unwrap().clone());
                    let second = oxbatch_core::item::FunctionWriter::new(move |chunk: &[u64]| Ok(tell.send(chunk[0])?));
                    Ok(oxbatch_core::item::TeeWriter::new(ListWriter::new(list), second))
                })
                .chunk_size(10)
                .concurrency(4),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node_with([job], |config| config.stop_grace = Duration::from_secs(3600)).await;
    let id = begin(&engine, "Waits").await;
    tokio::task::block_in_place(|| while written.recv().unwrap() < 10 {});
    engine.stop(id).await.unwrap();
    assert_eq!(ended(&engine, id).await.status, Status::Stopped);
    assert_eq!(steps(&engine, id).await[0].counters.read, 20);
    patient.store(true, Ordering::SeqCst);
    assert_eq!(launch(&engine, "Waits").await.status, Status::Completed);
    assert_eq!(contents(&out), (0..60).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processing_thread_that_goes_on_is_said_to_be_left_behind() {
    let ((tell, reached), (open, gate)) = (channel(), channel::<()>());
    let (tell, gate) = (Arc::new(Mutex::new(tell)), Arc::new(Mutex::new(gate)));
    let job = Job::builder("Blocks")
        .step(
            ChunkStep::builder("Blocks")
                .reader(|_| Ok(ListReader::new(0..60_u64)))
                .processor(move |_| {
                    let (tell, gate) = (Arc::clone(&tell), Arc::clone(&gate));
                    Ok(FunctionProcessor::new(move |n: u64| {
                        if n == 25 {
                            tell.lock().unwrap().send(())?;
                            let _ = gate.lock().unwrap().recv();
                        }
                        Ok(Some(n))
                    }))
                })
                .writer(|_| Ok(ListWriter::new(list())))
                .chunk_size(10)
                .processing_threads(2),
        )
        .build()
        .unwrap();
    let (place, events) = (TestStore::new(), Arc::new(Events::default()));
    let consumer = Arc::clone(&events);
    let engine = place
        .node_with([job], |config| {
            config.stop_grace = Duration::from_millis(100);
            config.consumers.push(consumer);
        })
        .await;
    let id = begin(&engine, "Blocks").await;
    tokio::task::block_in_place(|| reached.recv().unwrap());
    engine.stop(id).await.unwrap();
    assert_eq!(ended(&engine, id).await.status, Status::Stopped);
    let message = steps(&engine, id).await[0].exit_message.clone().unwrap();
    assert!(message.contains("left behind"), "{message}");
    drop(open);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reader_is_ahead_of_slow_processors_by_a_bound() {
    let (read, gate) = (Arc::new(AtomicU64::new(0)), Arc::new((Mutex::new(false), Condvar::new())));
    let (reads, wait) = (Arc::clone(&read), Arc::clone(&gate));
    let (tell, stalled) = channel();
    let tell = Mutex::new(tell);
    let job = Job::builder("Slow")
        .step(
            ChunkStep::builder("Slow")
                .reader(move |_| {
                    let (reads, tell) = (Arc::clone(&reads), tell.lock().unwrap().clone());
                    Ok(Numbers::new(100_000, move |n| {
                        reads.store(n + 1, Ordering::SeqCst);
                        // As far as it gets before the first item is processed, but for what is not told.
                        if n == 100 { Ok(tell.send(())?) } else { Ok(()) }
                    }))
                })
                .processor(move |_| {
                    let wait = Arc::clone(&wait);
                    Ok(FunctionProcessor::new(move |n: u64| {
                        let (open, changed) = &*wait;
                        drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
                        Ok(Some(n))
                    }))
                })
                .writer(|_| Ok(ListWriter::new(list())))
                .chunk_size(100)
                .processing_threads(2),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let id = begin(&engine, "Slow").await;
    tokio::task::block_in_place(|| stalled.recv().unwrap());
    // It cannot be seen that it has come to rest: what it has read by any moment is within the bound.
    assert!(read.load(Ordering::SeqCst) <= 4 * 100 + 2 * 128);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(ended(&engine, id).await.status, Status::Completed);
    engine.shutdown().await;
}

/// Sees all items, or only keeps a checkpoint without saying so.
struct Remembers<const ALL: bool>;

impl<const ALL: bool> ItemProcessor<u64> for Remembers<ALL> {
    type Output = u64;

    const NEEDS_ALL_ITEMS: bool = ALL;

    async fn process(&mut self, item: u64) -> Result<Option<u64>, ItemError> {
        Ok(Some(item))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&1).map(Some)
    }
}

#[test]
fn a_processor_that_must_see_all_items_and_contradictions_are_refused_when_the_step_is_built() {
    let all = || {
        ChunkStep::builder("Step")
            .reader(|_| Ok(ListReader::new(0..3_u64)))
            .processor(|_| Ok(Remembers::<true>))
            .writer(|_| Ok(ListWriter::new(list())))
    };
    let some = || all().processor(|_| Ok(Remembers::<false>));
    let told = |step: Result<Step, oxbatch_core::BuildError>| step.unwrap_err().to_string();
    assert!(Step::try_from(all().processing_threads(1).concurrency(1)).is_ok());
    for step in [all().processing_threads(2), all().concurrency(2)] {
        assert!(told(step.try_into()).contains("its processor must see all items in their order"));
    }
    for (step, problem) in [
        (some().processing_threads(0), "0 processing threads with 1 items in flight on each are not within 1 to 4096"),
        (some().processing_threads(65).concurrency(64), "65 processing threads with 64 items in flight"),
        (some().concurrency(2).read_ahead(ReadAhead::Never), "several processors at once need a reader that is ahead"),
        (
            some().chunk_time(Duration::from_secs(1)).read_ahead(ReadAhead::Never),
            "a chunk time needs a reader that is ahead",
        ),
        (some().chunk_time(Duration::ZERO), "a chunk time of zero"),
        (some().chunk_bytes(0, |_| 1), "a chunk of 0 bytes"),
    ] {
        let told = told(step.try_into());
        assert!(told.contains(problem), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_keeps_a_checkpoint_or_puts_entries_is_refused_among_several() {
    let keeps = ChunkStep::builder("Keeps")
        .reader(|_| Ok(ListReader::new(0..3_u64)))
        .processor(|_| Ok(Remembers::<false>))
        .writer(|_| Ok(ListWriter::new(list())))
        .processing_threads(2);
    let puts = ChunkStep::builder("Puts")
        .reader(|_| Ok(ListReader::new(0..3_u64)))
        .processor(|context| {
            let context = context.clone();
            Ok(FunctionProcessor::new(move |n: u64| {
                context.put("last", n)?;
                Ok(Some(n))
            }))
        })
        .writer(|_| Ok(ListWriter::new(list())))
        .processing_threads(2);
    let jobs = [Job::builder("Keeps").step(keeps).build().unwrap(), Job::builder("Puts").step(puts).build().unwrap()];
    let place = TestStore::new();
    let engine: Engine = place.node(jobs).await;
    for (job, problem) in [
        ("Keeps", "the processor keeps a checkpoint, so one instance must see all items"),
        ("Puts", "entry 'last' of the execution context cannot be set by one of several processors at once"),
    ] {
        let execution = launch(&engine, job).await;
        let message = execution.exit_message.unwrap();
        assert!(message.contains(problem), "{message}");
    }
    engine.shutdown().await;
}
