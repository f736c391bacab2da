//! Entries of the contexts are part of the chunk and of the item: rolled back, repeated and isolated with them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::item::{Checkpoint, ErrorKind, ListReader};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::{ChunkStepBuilder, ReadAhead};
use oxbatch_core::{
    ChunkStep, ItemError, ItemProcessor, ItemReader, ItemWriter, Job, RetryPolicy, SkipPolicy, Status, StepContext,
    TaskStep,
};

use crate::harness::{Shared, TestStore, contents, launch, list};

const NEVER: Duration = Duration::from_secs(3600);

/// Errors that have yet to happen, one for each number.
type Pending = Arc<Mutex<BTreeSet<u64>>>;

fn pending(numbers: &[u64]) -> Pending {
    Arc::new(Mutex::new(numbers.iter().copied().collect()))
}

fn strikes(pending: &Pending, numbers: &[u64]) -> bool {
    let mut pending = pending.lock().unwrap();
    numbers.iter().any(|number| pending.remove(number))
}

fn add(context: &StepContext, key: &str, count: u64) -> Result<(), ItemError> {
    context.put(key, context.get::<u64>(key)?.unwrap_or(0) + count)?;
    context.put_into_job(key, context.get_from_job::<u64>(key)?.unwrap_or(0) + count)?;
    Ok(())
}

/// Counts in both contexts what it writes, before it fails or after; at the end it tells what it has counted.
struct Counts {
    context: StepContext,
    /// Fails once for each.
    once: Pending,
    /// Fails always.
    bad: fn(u64) -> bool,
    told: Shared<(u64, u64)>,
}

impl ItemWriter<u64> for Counts {
    async fn open(&mut self, _: Option<&Checkpoint>) -> Result<(), ItemError> {
        // Of no chunk: it stays whatever becomes of the first.
        add(&self.context, "opened", 1)
    }

    async fn write(&mut self, outputs: &[u64], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        add(&self.context, "written", outputs.len() as u64)?;
        if strikes(&self.once, outputs) {
            return Err(ItemError::other("not now"));
        }
        match outputs.iter().find(|output| (self.bad)(**output)) {
            Some(bad) => Err(ItemError::new(ErrorKind::Constraint, format!("{bad} is refused"))),
            None => Ok(()),
        }
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        for key in ["opened", "written"] {
            let of = |count: Option<u64>| count.unwrap_or(0);
            let both = (of(self.context.get(key)?), of(self.context.get_from_job(key)?));
            self.told.lock().unwrap().push(both);
        }
        Ok(())
    }
}

/// Tells what the job's context holds once the step is complete.
fn tells(job: &'static str, told: &Shared<Option<u64>>, keys: &'static [&'static str]) -> Behind {
    let told = Arc::clone(told);
    let step = TaskStep::builder("Tell", move |context| {
        for key in keys {
            told.lock().unwrap().push(context.get_from_job(key)?);
        }
        Ok(())
    });
    Behind { job, step }
}

struct Behind {
    job: &'static str,
    step: oxbatch_core::step::TaskStepBuilder,
}

impl Behind {
    fn behind(self, step: impl oxbatch_core::step::IntoStep) -> Job {
        Job::builder(self.job).step(step).step(self.step).build().unwrap()
    }
}

type Setting = fn(
    ChunkStepBuilder<ListReader<u64>, oxbatch_core::item::PassThrough, Counts>,
) -> ChunkStepBuilder<ListReader<u64>, oxbatch_core::item::PassThrough, Counts>;

const SETTINGS: [Setting; 4] = [
    |step| step.read_ahead(ReadAhead::Never),
    |step| step.read_ahead(ReadAhead::Always),
    |step| step.processing_threads(3),
    |step| step.commit_every(NEVER),
];

async fn written(once: &[u64], bad: fn(u64) -> bool, set: Setting) -> [(u64, u64); 2] {
    let (once, told, of_job) = (pending(once), list(), list());
    let kept = Arc::clone(&told);
    let step = ChunkStep::builder("Count")
        .reader(|_| Ok(ListReader::new(1..=10_u64)))
        .skip(SkipPolicy::new(5))
        .writer(move |context| {
            let (context, once, told) = (context.clone(), Arc::clone(&once), Arc::clone(&kept));
            Ok(Counts { context, once, bad, told })
        })
        .chunk_size(5)
        .retry(RetryPolicy::new(1).retry_on([ErrorKind::Other]));
    let place = TestStore::new();
    let engine = place.node([tells("Count", &of_job, &["opened", "written"]).behind(set(step))]).await;
    let execution = launch(&engine, "Count").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    engine.shutdown().await;
    let (told, of_job) = (contents(&told), contents(&of_job));
    assert_eq!(of_job, told.iter().map(|(_, of_job)| Some(*of_job)).collect::<Vec<_>>(), "seen and stored");
    told.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_writer_puts_is_rolled_back_with_its_chunk_and_counts_once_when_it_is_repeated() {
    for set in SETTINGS {
        assert_eq!(written(&[3], |_| false, set).await, [(1, 1), (10, 10)], "the first chunk");
        assert_eq!(written(&[8], |_| false, set).await, [(1, 1), (10, 10)], "the second");
        assert_eq!(written(&[1, 6], |_| false, set).await, [(1, 1), (10, 10)], "both");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_that_isolate_a_bad_output_leave_nothing_in_the_contexts() {
    for set in SETTINGS {
        assert_eq!(written(&[], |n| n == 3, set).await, [(1, 1), (9, 9)], "one");
        assert_eq!(written(&[7], |n| n % 4 == 0, set).await, [(1, 1), (8, 8)], "two, beside a fault that passes");
    }
}

/// Counts in both contexts what it processes, then fails once for some items and always for others.
struct Seen {
    context: StepContext,
    once: Pending,
}

impl ItemProcessor<u64> for Seen {
    type Output = u64;

    async fn process(&mut self, n: u64) -> Result<Option<u64>, ItemError> {
        add(&self.context, "seen", 1)?;
        if strikes(&self.once, &[n]) {
            return Err(ItemError::other("not now"));
        }
        match n {
            4 => Err(ItemError::validation("never")),
            5 => Ok(None),
            _ => Ok(Some(n)),
        }
    }
}

/// Counts in both contexts what it reads; an error that passes leaves it before the number.
struct Reads {
    context: StepContext,
    next: u64,
    once: Pending,
}

impl ItemReader for Reads {
    type Item = u64;

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        if self.next == 10 {
            return Ok(None);
        }
        add(&self.context, "read", 1)?;
        if strikes(&self.once, &[self.next]) {
            return Err(ItemError::transient("not now"));
        }
        self.next += 1;
        Ok(Some(self.next - 1))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.next).map(Some)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_read_or_an_item_puts_that_fails_is_taken_back_with_it() {
    for (ahead, time) in [(ReadAhead::Never, None), (ReadAhead::Always, None), (ReadAhead::Auto, Some(NEVER))] {
        let (reads, processes, of_job) = (pending(&[0, 4, 7]), pending(&[1, 4, 6, 9]), list());
        let step = ChunkStep::builder("Count")
            .reader(move |context| Ok(Reads { context: context.clone(), next: 0, once: Arc::clone(&reads) }))
            .processor(move |context| Ok(Seen { context: context.clone(), once: Arc::clone(&processes) }))
            .skip(SkipPolicy::new(5))
            .writer(|_| Ok(oxbatch_core::item::ListWriter::new(list())))
            .chunk_size(3)
            .read_ahead(ahead)
            .retry(RetryPolicy::new(1).retry_on([ErrorKind::Other, ErrorKind::Transient]));
        let step = if let Some(time) = time { step.chunk_time(time) } else { step };
        let place = TestStore::new();
        let engine = place.node([tells("Count", &of_job, &["read", "seen"]).behind(step)]).await;
        let execution = launch(&engine, "Count").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        assert_eq!(contents(&of_job), [Some(10), Some(9)], "{ahead:?}, all but 4 were processed");
        engine.shutdown().await;
    }
}

/// Removes an entry of both contexts with each chunk, and fails the first time; says whether it was there.
struct Removes {
    context: StepContext,
    once: Pending,
    told: Shared<(bool, bool)>,
}

impl ItemWriter<u64> for Removes {
    async fn write(&mut self, outputs: &[u64], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let there = (self.context.get::<u64>("own")?.is_some(), self.context.get_from_job::<u64>("given")?.is_some());
        self.told.lock().unwrap().push(there);
        self.context.remove("own")?;
        self.context.remove_from_job("given")?;
        match strikes(&self.once, outputs) {
            true => Err(ItemError::other("not now")),
            false => Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_removed_is_back_when_its_chunk_is_rolled_back_and_gone_when_it_is_committed() {
    for ahead in [ReadAhead::Never, ReadAhead::Always] {
        let (once, told, of_job) = (pending(&[3]), list(), list());
        let kept = Arc::clone(&told);
        let give = TaskStep::builder("Give", |context| {
            context.put_into_job("given", 7)?;
            context.put_into_job("kept", 8)?;
            Ok(())
        });
        let step = ChunkStep::builder("Remove")
            .reader(|context| {
                context.put("own", 1)?;
                Ok(ListReader::new(1..=10_u64))
            })
            .writer(move |context| {
                let (context, once, told) = (context.clone(), Arc::clone(&once), Arc::clone(&kept));
                Removes { context, once, told }
            })
            .chunk_size(5)
            .read_ahead(ahead)
            .retry(RetryPolicy::new(1).retry_on([ErrorKind::Other]));
        let tell = tells("Remove", &of_job, &["given", "kept"]).step;
        let place = TestStore::new();
        let job = Job::builder("Remove").step(give).step(step).step(tell).build().unwrap();
        let engine = place.node([job]).await;
        let execution = launch(&engine, "Remove").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        assert_eq!(contents(&told), [(true, true), (true, true), (false, false)]);
        assert_eq!(contents(&of_job), [None, Some(8)]);
        engine.shutdown().await;
    }
}

/// Puts something into the job's context as it is built and as it is opened for the first time, and says what it finds
/// there when it is opened.
struct Opens {
    context: StepContext,
    inner: ListReader<u64>,
    told: Shared<[Option<u64>; 2]>,
}

type Opened = ChunkStepBuilder<Opens, oxbatch_core::item::PassThrough, Counts>;

impl ItemReader for Opens {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let found = ["built", "begun"].map(|key| self.context.get_from_job::<u64>(key).unwrap());
        self.told.lock().unwrap().push(found);
        if checkpoint.is_none() {
            self.context.put_into_job("begun", 2)?;
        }
        self.inner.open(checkpoint).await
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        self.inner.read().await
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.inner.checkpoint()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_puts_into_the_jobs_context_before_its_first_item_is_saved_with_the_first_chunk() {
    let settings: [fn(Opened) -> Opened; 4] = [
        |step| step.read_ahead(ReadAhead::Never),
        |step| step.read_ahead(ReadAhead::Always),
        |step| step.concurrency(3),
        |step| step.chunk_time(NEVER),
    ];
    for set in settings {
        let (once, told, opened) = (pending(&[8]), list(), list());
        let found = Arc::clone(&opened);
        let step = ChunkStep::builder("Open")
            .reader(move |context| {
                if context.get_from_job::<u64>("built")?.is_none() {
                    context.put_into_job("built", 1)?;
                }
                let (context, inner, told) = (context.clone(), ListReader::new(1..=10_u64), Arc::clone(&found));
                Ok(Opens { context, inner, told })
            })
            .writer(move |context| {
                let (context, once, told) = (context.clone(), Arc::clone(&once), Arc::clone(&told));
                Ok(Counts { context, once, bad: |_| false, told })
            })
            .chunk_size(5);
        let place = TestStore::new();
        let engine = place.node([Job::builder("Open").step(set(step)).build().unwrap()]).await;
        assert_eq!(launch(&engine, "Open").await.status, Status::Failed, "its second chunk cannot be written");
        assert_eq!(launch(&engine, "Open").await.status, Status::Completed);
        assert_eq!(contents(&opened), [[Some(1), None], [Some(1), Some(2)]]);
        engine.shutdown().await;
    }
}
