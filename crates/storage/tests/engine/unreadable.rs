//! Input that cannot be read: it is bounded, committed and stopped as any other, and an error that passes or stays is
//! not skipped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oxbatch_core::item::{Checkpoint, ErrorKind, FunctionProcessor, ListReader, ListWriter};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{
    ChunkStep, Engine, ItemError, ItemReader, ItemWriter, Job, JobExecution, RetryPolicy, SkipPolicy, Status, Step,
};
use oxbatch_formats::JsonArrayReader;

use crate::harness::{TestStore, begin, contents, ended, launch, list, steps, until};

const NEVER: Duration = Duration::from_secs(3600);

/// Nothing of it can be read.
struct Unreadable {
    next: u64,
    end: u64,
    reads: Arc<AtomicU64>,
}

impl ItemReader for Unreadable {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.next = checkpoint.map_or(Ok(0), Checkpoint::read)?;
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        if self.next == self.end {
            return Ok(None);
        }
        self.next += 1;
        self.reads.fetch_add(1, Ordering::SeqCst);
        Err(ItemError::parse("no number").at(format!("line {}", self.next)).with_raw("x"))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.next).map(Some)
    }
}

/// Ways to read: directly, ahead, by several processors, by a thread that is waited for.
const WAYS: usize = 4;

fn unreadable(end: u64, chunk: u32, way: usize, reads: &Arc<AtomicU64>) -> Job {
    let reads = Arc::clone(reads);
    let step = ChunkStep::builder("Read")
        .reader(move |_| Ok(Unreadable { next: 0, end, reads: Arc::clone(&reads) }))
        .skip(SkipPolicy::new(u64::MAX))
        .writer(|_| Ok(ListWriter::new(list())))
        .chunk_size(chunk);
    let step = match way {
        0 => step.read_ahead(ReadAhead::Never),
        1 => step.read_ahead(ReadAhead::Always),
        2 => step.processing_threads(2),
        _ => step.chunk_time(NEVER),
    };
    Job::builder("Read").step(step).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_records_count_for_the_chunk_and_are_committed_with_it() {
    for way in 0..WAYS {
        let place = TestStore::new();
        let engine = place.node([unreadable(1000, 10, way, &Arc::default())]).await;
        let execution = launch(&engine, "Read").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        let counters = steps(&engine, execution.id).await[0].counters;
        assert_eq!((counters.read, counters.read_skip, counters.commit), (0, 1000, 100), "way {way}");
        engine.shutdown().await;
    }
}

/// Without a bound on its memory, and without an end, but for the stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_among_unreadable_records_and_nothing_is_kept_twice() {
    for (way, chunk) in (0..WAYS).map(|way| (way, 100)).chain([(0, 1_000_000)]) {
        let (place, reads) = (TestStore::new(), Arc::new(AtomicU64::new(0)));
        let engine = place.node([unreadable(u64::MAX, chunk, way, &reads)]).await;
        let id = begin(&engine, "Read").await;
        until(async || reads.load(Ordering::SeqCst) >= 2000).await;
        engine.stop(id).await.unwrap();
        let stopped = ended(&engine, id).await;
        assert_eq!(stopped.status, Status::Stopped, "way {way}");
        assert_eq!(stopped.exit_message.unwrap(), "stopped on request in step 'Read'", "way {way}");
        let step = &steps(&engine, id).await[0];
        let kept = engine.repository().skips(step.id, None, 1).await.unwrap().skips;
        assert_eq!(kept[0].item.position.as_deref(), Some("line 1"));
        assert!(step.counters.read_skip > 0, "way {way}");
        engine.shutdown().await;
    }
}

async fn skipped(engine: &Engine, execution: &JobExecution) -> i64 {
    steps(engine, execution.id).await[0].counters.skip()
}

/// Fails once at the number that it is reported, by an error that passes.
struct Stumbles {
    next: u64,
    stumbled: bool,
}

impl ItemReader for Stumbles {
    type Item = u64;

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        if self.next == 3 && !std::mem::replace(&mut self.stumbled, true) {
            return Err(ItemError::transient("the line dropped"));
        }
        self.next += 1;
        Ok((self.next <= 10).then_some(self.next))
    }
}

/// Refuses 5 for good, and has an error that passes at one of its calls.
struct Refuses {
    calls: u64,
    passes_at: u64,
}

impl ItemWriter<u64> for Refuses {
    async fn write(&mut self, outputs: &[u64], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.calls += 1;
        match (self.calls == self.passes_at, outputs.contains(&5)) {
            (true, _) => Err(ItemError::transient("the line dropped")),
            (_, true) => Err(ItemError::new(ErrorKind::Constraint, "refused")),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_fault_that_passes_is_never_skipped_and_fails_the_step_when_it_is_not_repeated() {
    let every = SkipPolicy::new(100).skip_on([ErrorKind::Transient, ErrorKind::Constraint]);
    let (of_read, of_process) = (every.clone(), every.clone());
    let reads = ChunkStep::builder("Step")
        .reader(|_| Ok(Stumbles { next: 0, stumbled: false }))
        .skip(of_read)
        .writer(|_| Ok(ListWriter::new(list())));
    let processes = ChunkStep::builder("Step")
        .reader(|_| Ok(ListReader::new(0..10_u64)))
        .processor(|_| {
            Ok(FunctionProcessor::new(|n: u64| match n {
                3 => Err(ItemError::transient("the line dropped")),
                _ => Ok(Some(n)),
            }))
        })
        .skip(of_process)
        .writer(|_| Ok(ListWriter::new(list())));
    let mut all = vec![Step::try_from(reads).unwrap(), Step::try_from(processes).unwrap()];
    for passes_at in 1..=8 {
        let every = every.clone();
        let writes = ChunkStep::builder("Step")
            .reader(|_| Ok(ListReader::new(0..16_u64)))
            .skip(every)
            .writer(move |_| Ok(Refuses { calls: 0, passes_at }));
        all.push(Step::try_from(writes).unwrap());
    }
    for (index, step) in all.into_iter().enumerate() {
        let place = TestStore::new();
        let engine = place.node([Job::builder("Passes").step(step).build().unwrap()]).await;
        let execution = launch(&engine, "Passes").await;
        assert_eq!((execution.status, skipped(&engine, &execution).await), (Status::Failed, 0), "case {index}");
        let message = execution.exit_message.unwrap();
        assert!(message.ends_with(": the line dropped"), "{message}");
        engine.shutdown().await;
    }
}

/// A document that is broken for good has no item more, and no end.
#[tokio::test]
async fn a_source_that_is_broken_for_good_fails_the_step_whatever_it_skips() {
    let place = TestStore::new();
    let path = place.path("broken.json");
    std::fs::write(&path, "[1, 2, 3} 4, 5]").unwrap();
    let step = ChunkStep::builder("Read")
        .reader(move |_| Ok(JsonArrayReader::<u64>::new(&path)))
        .skip(SkipPolicy::new(100_000).skip_on([ErrorKind::Other, ErrorKind::Parse]))
        .retry(RetryPolicy::new(3))
        .writer(|_| Ok(ListWriter::new(list())))
        .chunk_size(2);
    let engine = place.node([Job::builder("Broken").step(step).build().unwrap()]).await;
    let execution = launch(&engine, "Broken").await;
    let message = execution.exit_message.clone().unwrap();
    assert!(message.starts_with("step 'Read' failed: failed to read: file"), "{message}");
    assert_eq!(skipped(&engine, &execution).await, 0);
    engine.shutdown().await;
}

/// It stays where it is, which nobody says of it.
struct Stays;

impl ItemReader for Stays {
    type Item = u64;

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        Err(ItemError::parse("no number"))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&17).map(Some)
    }
}

#[tokio::test]
async fn a_reader_that_never_gets_past_a_fault_fails_the_step_whatever_it_skips() {
    for threads in [1, 3] {
        let step = ChunkStep::builder("Read")
            .reader(|_| Ok(Stays))
            .skip(SkipPolicy::new(100_000))
            .writer(|_| Ok(ListWriter::new(list())))
            .processing_threads(threads)
            .chunk_size(5);
        let place = TestStore::new();
        let engine = place.node([Job::builder("Stays").step(step).build().unwrap()]).await;
        let message = launch(&engine, "Stays").await.exit_message.unwrap();
        assert!(message.contains("the reader does not get past it: no number"), "{message}");
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn outputs_beside_unreadable_records_are_written_in_their_order() {
    let (place, out) = (TestStore::new(), list());
    let shared = Arc::clone(&out);
    let step = ChunkStep::builder("Read")
        .reader(|_| Ok(crate::harness::Numbers::skipping(100, |n| n % 10 > 2)))
        .skip(SkipPolicy::new(70))
        .writer(move |_| Ok(ListWriter::new(Arc::clone(&shared))))
        .chunk_size(7);
    let engine = place.node([Job::builder("Read").step(step).build().unwrap()]).await;
    let execution = launch(&engine, "Read").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(contents(&out), (0..100).filter(|n| n % 10 <= 2).collect::<Vec<_>>());
    assert_eq!(steps(&engine, execution.id).await[0].counters.commit, 15);
    engine.shutdown().await;
}
