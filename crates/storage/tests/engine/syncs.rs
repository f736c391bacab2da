//! Durable output before each save: a checkpoint never outlives what it counts on.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::execution::{Counters, ExecutionId};
use oxbatch_core::item::{
    ChainProcessor, Checkpoint, ClassifyingProcessor, ClassifyingWriter, FunctionProcessor, IteratorReader, ListWriter,
    PassThrough, Syncer, TeeWriter,
};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{
    ChunkStep, Engine, ItemError, ItemProcessor, ItemWriter, Job, RetryPolicy, Status, Step, StepContext,
};

use crate::harness::{Shared, TestStore, begin, contents, ended, launch, list, steps};

const NEVER: Duration = Duration::from_secs(3600);

/// A list of which a part is durable; it keeps what it was called.
#[derive(Clone)]
struct Disk {
    out: Shared<u64>,
    calls: Shared<&'static str>,
    durable: Arc<AtomicUsize>,
    syncs: Arc<AtomicU32>,
    /// The number of the call of `sync` that fails.
    fails_at: u32,
    interval: Option<Duration>,
}

impl Disk {
    fn new(fails_at: u32, interval: Option<Duration>) -> Self {
        let (out, calls, durable, syncs) = (list(), list(), Arc::default(), Arc::default());
        Self { out, calls, durable, syncs, fails_at, interval }
    }

    fn called(&self, name: &'static str) {
        self.calls.lock().unwrap().push(name);
    }
}

/// The writer over a disk.
struct DiskWriter {
    disk: Disk,
    committed: usize,
    flushed: usize,
}

impl DiskWriter {
    fn new(disk: &Disk) -> Self {
        Self { disk: disk.clone(), committed: 0, flushed: 0 }
    }

    fn cut(&mut self, length: usize) {
        let mut out = self.disk.out.lock().unwrap();
        assert!(length <= self.disk.durable.load(Ordering::SeqCst).max(self.committed), "cut to what is not there");
        out.truncate(length);
        (self.committed, self.flushed) = (length, length);
        self.disk.durable.fetch_min(length, Ordering::SeqCst);
    }
}

impl ItemWriter<u64> for DiskWriter {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.cut(checkpoint.map_or(Ok(0), Checkpoint::read)?);
        Ok(())
    }

    async fn write(&mut self, outputs: &[u64], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.disk.called("write");
        self.disk.out.lock().unwrap().extend(outputs);
        Ok(())
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.disk.called("flush");
        self.flushed = self.disk.out.lock().unwrap().len();
        Checkpoint::new(&self.flushed).map(Some)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        self.disk.called("sync");
        if self.disk.syncs.fetch_add(1, Ordering::SeqCst) + 1 == self.disk.fails_at {
            return Err(ItemError::other("the disk is broken"));
        }
        self.disk.durable.store(self.flushed, Ordering::SeqCst);
        Ok(())
    }

    fn save_interval(&self) -> Option<Duration> {
        self.disk.interval
    }

    fn committed(&mut self) {
        self.disk.called("committed");
        self.committed = self.flushed;
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.disk.called("rolled back");
        self.cut(self.committed);
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        self.disk.called("publish");
        Ok(())
    }
}

async fn counters(engine: &Engine, id: ExecutionId) -> Counters {
    steps(engine, id).await[0].counters
}

/// Thirty numbers, ten a chunk.
fn job(disk: &Disk, commit_every: Option<Duration>, retries: u32) -> Job {
    let disk = disk.clone();
    let step = ChunkStep::builder("Copy")
        .reader(|_| Ok(IteratorReader::new(0..30_u64)))
        .writer(move |_| Ok(DiskWriter::new(&disk)))
        .chunk_size(10)
        .retry(RetryPolicy::new(retries));
    let step = match commit_every {
        Some(time) => step.commit_every(time),
        None => step,
    };
    Job::builder("Copy").step(step).build().unwrap()
}

#[tokio::test]
async fn each_save_is_preceded_by_a_sync_of_all_that_it_counts_on() {
    let chunk = ["write", "flush", "sync", "committed"];
    let waits = ["write", "flush", "committed"];
    let each = [&chunk[..], &chunk, &chunk, &["flush", "sync", "committed", "publish"]].concat();
    let joined = [&waits[..], &waits, &waits, &["sync", "flush", "sync", "committed", "publish"]].concat();
    for (interval, commit_every, expected) in [
        (None, None, &each),
        (None, Some(NEVER), &joined),
        // The writer asks for it; what the author says wins.
        (Some(NEVER), None, &joined),
        (Some(NEVER), Some(Duration::ZERO), &each),
    ] {
        let (place, disk) = (TestStore::new(), Disk::new(0, interval));
        let engine = place.node([job(&disk, commit_every, 0)]).await;
        let execution = launch(&engine, "Copy").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        assert_eq!(&contents(&disk.calls), expected, "{interval:?} {commit_every:?}");
        assert_eq!(counters(&engine, execution.id).await.commit, 3);
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn a_chunk_that_cannot_be_made_durable_is_rolled_back_and_written_again_where_that_is_allowed() {
    for retries in [0, 1] {
        let (place, disk) = (TestStore::new(), Disk::new(2, None));
        let engine = place.node([job(&disk, None, retries)]).await;
        let execution = launch(&engine, "Copy").await;
        let counted = counters(&engine, execution.id).await;
        if retries == 0 {
            assert_eq!(execution.exit_message.unwrap(), "step 'Copy' failed: failed to sync: the disk is broken");
            assert_eq!((counted.read, counted.commit, counted.rollback), (10, 1, 1));
            assert_eq!(contents(&disk.out).len(), 10);
            assert_eq!(launch(&engine, "Copy").await.status, Status::Completed);
        } else {
            assert_eq!(execution.status, Status::Completed, "{execution:?}");
            assert_eq!((counted.read, counted.commit, counted.rollback, counted.retry), (30, 3, 1, 1));
        }
        assert_eq!(contents(&disk.out), (0..30).collect::<Vec<_>>());
        engine.shutdown().await;
    }
}

/// A disk that has refused a write once may claim to hold it the second time: no save counts on that.
#[tokio::test]
async fn chunks_that_waited_for_a_save_are_lost_when_they_cannot_be_made_durable_and_come_again() {
    for fails_at in [1, 2] {
        let (place, disk) = (TestStore::new(), Disk::new(fails_at, None));
        let engine = place.node([job(&disk, Some(NEVER), 3)]).await;
        let execution = launch(&engine, "Copy").await;
        let message = execution.exit_message.unwrap();
        let counted = counters(&engine, execution.id).await;
        // The first sync is that of three chunks; the second is that of the end, where nothing waits.
        let read = if fails_at == 1 { 0 } else { 30 };
        assert_eq!(message, "step 'Copy' failed: failed to sync: the disk is broken");
        assert_eq!((counted.read, counted.write), (read, read));
        let again = launch(&engine, "Copy").await;
        assert_eq!(again.status, Status::Completed, "{again:?}");
        assert_eq!(counters(&engine, again.id).await.read, 30 - read);
        assert_eq!(contents(&disk.out), (0..30).collect::<Vec<_>>());
        engine.shutdown().await;
    }
}

type Gate = Arc<Mutex<(Sender<()>, Receiver<()>)>>;

/// Says that it has come to 25, and waits there for the gate to open.
fn waits_at_25(gate: &Gate) -> impl FnMut(u64) -> Result<Option<u64>, ItemError> + use<> {
    let gate = Arc::clone(gate);
    move |n| {
        if n == 25 {
            let gate = gate.lock().unwrap();
            gate.0.send(())?;
            let _ = gate.1.recv();
        }
        Ok(Some(n))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_over_writers_pass_on_that_saves_are_joined_and_each_sync() {
    for classifies in [false, true] {
        let (place, disk) = (TestStore::new(), Disk::new(0, Some(NEVER)));
        let ((tell, reached), (open, opened)) = (channel(), channel());
        let (gate, written) = (Gate::new(Mutex::new((tell, opened))), disk.clone());
        let step = ChunkStep::builder("Copy")
            .reader(|_| Ok(IteratorReader::new(0..30_u64)))
            .processor(move |_| Ok(FunctionProcessor::new(waits_at_25(&gate))))
            .chunk_size(10);
        let step = match classifies {
            false => oxbatch_core::Step::try_from(
                step.writer(move |_| Ok(TeeWriter::new(ListWriter::new(list()), DiskWriter::new(&written)))),
            ),
            true => oxbatch_core::Step::try_from(step.writer(move |_| {
                let other = ListWriter::new(list());
                Ok(ClassifyingWriter::new(|_: &u64| "all")
                    .route("other", other)
                    .route("all", DiskWriter::new(&written)))
            })),
        };
        let engine = place.node([Job::builder("Copy").step(step.unwrap()).build().unwrap()]).await;
        let id = begin(&engine, "Copy").await;
        tokio::task::block_in_place(|| reached.recv().unwrap());
        assert_eq!(contents(&disk.calls).iter().filter(|call| **call == "committed").count(), 2);
        assert_eq!(disk.durable.load(Ordering::SeqCst), 0);
        drop(open);
        assert_eq!(ended(&engine, id).await.status, Status::Completed);
        assert_eq!(disk.durable.load(Ordering::SeqCst), 30);
        engine.shutdown().await;
    }
}

/// Counts what it has seen in a place of its own, of which a part is durable.
#[derive(Clone, Default)]
struct Counting {
    seen: Arc<AtomicUsize>,
    durable: Arc<AtomicUsize>,
    syncs: Arc<AtomicU32>,
    fails_at: u32,
}

impl ItemProcessor<u64> for Counting {
    type Output = u64;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let kept: usize = checkpoint.map_or(Ok(0), Checkpoint::read)?;
        assert!(kept <= self.durable.load(Ordering::SeqCst), "a checkpoint has outlived what it counts on");
        self.seen.store(kept, Ordering::SeqCst);
        Ok(())
    }

    async fn process(&mut self, item: u64) -> Result<Option<u64>, ItemError> {
        self.seen.fetch_add(1, Ordering::SeqCst);
        Ok(Some(item))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.seen.load(Ordering::SeqCst)).map(Some)
    }

    fn syncer(&mut self) -> Result<Option<Syncer>, ItemError> {
        let Self { seen, durable, syncs, fails_at } = self.clone();
        Ok(Some(Syncer::new(move || {
            if syncs.fetch_add(1, Ordering::SeqCst) + 1 == fails_at {
                return Err(ItemError::other("the disk is broken"));
            }
            durable.store(seen.load(Ordering::SeqCst), Ordering::SeqCst);
            Ok(())
        })))
    }
}

/// The processor itself, the second of a chain, and one of two routes, the reader ahead or not.
fn counts(form: u8, ahead: ReadAhead, counting: &Counting) -> Step {
    let step =
        ChunkStep::builder("Copy").reader(|_| Ok(IteratorReader::new(0..30_u64))).chunk_size(10).read_ahead(ahead);
    let counting = counting.clone();
    let writer = |_: &StepContext| Ok(ListWriter::new(list()));
    match form {
        0 => step.processor(move |_| Ok(counting.clone())).writer(writer).try_into(),
        1 => step.processor(move |_| Ok(ChainProcessor::new(PassThrough, counting.clone()))).writer(writer).try_into(),
        _ => step
            .processor(move |_| {
                let routes = ClassifyingProcessor::new(|_: &u64| "all");
                Ok(routes.route("other", PassThrough).route("all", counting.clone()))
            })
            .writer(writer)
            .try_into(),
    }
    .unwrap()
}

#[tokio::test]
async fn what_a_processor_remembers_elsewhere_is_durable_before_each_save() {
    for (form, ahead) in [(0, ReadAhead::Never), (0, ReadAhead::Always), (1, ReadAhead::Auto), (2, ReadAhead::Always)] {
        for fails_at in [0, 1, 2] {
            let counting = Counting { fails_at, ..Counting::default() };
            let place = TestStore::new();
            let engine = place.node([Job::builder("Copy").step(counts(form, ahead, &counting)).build().unwrap()]).await;
            let execution = launch(&engine, "Copy").await;
            if fails_at > 0 {
                let message = execution.exit_message.unwrap();
                assert_eq!(message, "step 'Copy' failed: failed to sync: the disk is broken");
                let kept = i64::from(fails_at - 1) * 10;
                assert_eq!(counters(&engine, execution.id).await.read, kept);
                assert_eq!(launch(&engine, "Copy").await.status, Status::Completed);
            } else {
                assert_eq!(execution.status, Status::Completed, "{execution:?}");
                // Of each chunk, and of the end.
                assert_eq!(counting.syncs.load(Ordering::SeqCst), 4);
            }
            assert_eq!(counting.durable.load(Ordering::SeqCst), 30);
            engine.shutdown().await;
        }
    }
}
