//! The job of the model: parts in which troubles strike, and an output that outlives its node as a file does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use oxbatch_core::item::{BlockReader, Checkpoint, EncodedOutputs, ErrorKind, IteratorReader, OutputEncoder};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::{Backoff, ReadAhead};
use oxbatch_core::{
    ChunkStep, Engine, ItemError, ItemProcessor, ItemReader, ItemWriter, Job, RetryPolicy, SkipPolicy, StepContext,
    TaskStep,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use super::blocks::{Blocks, Bytes, decoded};
use super::plan::{Plan, Saves, Trouble};
use crate::harness::{ON_POSTGRES, Shared};

/// Troubles that have yet to happen.
pub(super) type Pending = Arc<Mutex<BTreeSet<Trouble>>>;
/// The counts of reader, processor and writer in the job's context, as of the end.
pub(super) type Counted = Shared<Option<u64>>;
/// The written items, as a file holds them.
pub(super) type Output = Shared<u64>;

pub(super) fn strikes(pending: &Pending, trouble: Trouble) -> bool {
    pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&trouble)
}

/// A process that may die.
#[derive(Clone)]
pub(super) struct Node {
    out: Output,
    /// Number of items of the output that survive a loss of power.
    durable: Arc<AtomicUsize>,
    /// Asked under the lock of the output: what is dead writes no more.
    dead: Arc<AtomicBool>,
    tell: UnboundedSender<()>,
    buried: Arc<(Mutex<bool>, Condvar)>,
    pub(super) engine: Arc<Mutex<Option<Engine>>>,
}

impl Node {
    pub(super) fn new(out: &Output, tell: UnboundedSender<()>) -> Self {
        let durable = Arc::new(AtomicUsize::new(out.lock().unwrap().len()));
        Self {
            out: Arc::clone(out),
            durable,
            dead: Arc::default(),
            tell,
            buried: Arc::default(),
            engine: Arc::default(),
        }
    }

    /// From now on it writes no more. With the power goes what was not made durable.
    pub(super) fn die(&self, loses_power: bool) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if loses_power {
            out.truncate(self.durable.load(Ordering::SeqCst));
        }
        self.dead.store(true, Ordering::SeqCst);
        self.engine.lock().unwrap().take();
    }

    /// Its threads may go on: another node has what it had.
    pub(super) fn bury(&self) {
        *self.buried.0.lock().unwrap() = true;
        self.buried.1.notify_all();
    }

    /// Dies here, and finds out later.
    fn death(&self) -> ItemError {
        let _ = self.tell.send(());
        let (buried, changed) = &*self.buried;
        drop(changed.wait_while(buried.lock().unwrap(), |buried| !*buried).unwrap());
        ItemError::other("it is dead")
    }

    fn write<T>(&self, write: impl FnOnce(&mut Vec<u64>) -> T) -> Result<T, ItemError> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if self.dead.load(Ordering::SeqCst) { Err(ItemError::other("it is dead")) } else { Ok(write(&mut out)) }
    }

    /// Asks for a stop, from a thread that may wait for the answer.
    fn stop(&self, context: &StepContext) {
        let Some(engine) = self.engine.lock().unwrap().clone() else { return };
        let id = context.execution_id();
        let asked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // It may have ended already, by what another processor has met.
            let _ = runtime.block_on(engine.stop(id));
        });
        asked.join().unwrap();
    }
}

/// A reader whose errors leave the position where it was.
struct Reader<I: Iterator> {
    inner: IteratorReader<I>,
    pending: Pending,
    next: u64,
    plan: Plan,
    context: StepContext,
}

/// Counts in both contexts, where the plan says so.
fn add(plan: &Plan, context: &StepContext, key: &str, more: usize) -> Result<(), ItemError> {
    if plan.counts {
        context.put(key, context.get::<usize>(key)?.unwrap_or(0) + more)?;
        context.put_into_job(key, context.get_from_job::<usize>(key)?.unwrap_or(0) + more)?;
    }
    Ok(())
}

impl<I: Iterator<Item = u64> + Send> ItemReader for Reader<I> {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        if strikes(&self.pending, Trouble::OpenReader) {
            return Err(ItemError::other("no input today"));
        }
        self.next = checkpoint.map_or(Ok(0), Checkpoint::read)?;
        self.inner.open(checkpoint).await
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        add(&self.plan, &self.context, "read", usize::from(self.next < self.plan.items))?;
        if strikes(&self.pending, Trouble::Read(self.next)) {
            return Err(ItemError::transient("the line dropped"));
        }
        let n = self.next;
        self.next += 1;
        let read = self.inner.read().await;
        match self.plan.cannot_read(n) {
            true => Err(ItemError::parse("no number").with_raw(n.to_string())),
            false => read,
        }
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        if strikes(&self.pending, Trouble::Checkpoint(self.next)) {
            return Err(ItemError::other("lost its place"));
        }
        self.inner.checkpoint()
    }

    fn split(&mut self, readers: usize) -> Vec<Box<dyn BlockReader<u64>>> {
        // What is put into the contexts has its place among the items.
        if self.plan.counts { Vec::new() } else { Blocks::split(self.next, &self.plan, &self.pending, readers) }
    }
}

/// Doubles, filters every third, and meets troubles; every fourth item is waited for.
struct Processor {
    plan: Plan,
    pending: Pending,
    node: Node,
    context: StepContext,
}

impl ItemProcessor<u64> for Processor {
    type Output = u64;

    async fn process(&mut self, n: u64) -> Result<Option<u64>, ItemError> {
        if n.is_multiple_of(4) {
            tokio::task::yield_now().await;
        }
        if self.plan.has_one_processor() {
            add(&self.plan, &self.context, "processed", 1)?;
        }
        if self.plan.cannot_process(n) {
            return Err(ItemError::validation("never"));
        }
        if strikes(&self.pending, Trouble::Process(n)) {
            return Err(ItemError::other("stumbles"));
        }
        assert!(!strikes(&self.pending, Trouble::Panic(n)), "panics");
        if strikes(&self.pending, Trouble::Stop(n)) {
            self.node.stop(&self.context);
        }
        if strikes(&self.pending, Trouble::Die(n)) {
            return Err(self.node.death());
        }
        Ok((!n.is_multiple_of(3)).then_some(n * 2))
    }
}

/// An output as a row.
#[derive(Debug, Serialize)]
struct Row {
    output: i64,
}

/// The table of the outputs.
#[cfg(feature = "postgres")]
type Table = oxbatch_storage::PostgresWriter<Row>;
#[cfg(not(feature = "postgres"))]
type Table = oxbatch_storage::SqliteWriter<Row>;

/// The table, where there is one. By COPY, however small the chunks are.
fn table(plan: &Plan, context: &StepContext) -> Option<Table> {
    #[cfg(feature = "postgres")]
    if plan.table && ON_POSTGRES {
        let writer = Table::new(context, "outputs").form(oxbatch_storage::WriteForm::Copy);
        return Some(writer.create("CREATE TABLE IF NOT EXISTS outputs (output int8)"));
    }
    let _ = (plan, context);
    None
}

/// The position of the writer.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    length: usize,
    table: Option<serde_json::Value>,
}

/// A file in memory: it is cut back on resume and on roll-back, and writes half of a chunk before it fails.
struct Writer {
    plan: Plan,
    pending: Pending,
    node: Node,
    context: StepContext,
    table: Option<Table>,
    last: u64,
    flushed: usize,
    committed: usize,
}

impl Writer {
    fn cut(&mut self, length: usize) -> Result<(), ItemError> {
        self.node.write(|out| {
            assert!(length <= out.len(), "it is shorter than what was saved");
            out.truncate(length);
            self.node.durable.fetch_min(length, Ordering::SeqCst);
        })?;
        (self.flushed, self.committed) = (length, length);
        Ok(())
    }
}

impl ItemWriter<u64> for Writer {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        if strikes(&self.pending, Trouble::OpenWriter) {
            return Err(ItemError::other("no output today"));
        }
        let position: Option<Position> = checkpoint.map(Checkpoint::read).transpose()?;
        let (length, of_table) = position.map_or((0, None), |position| (position.length, position.table));
        if let Some(table) = &mut self.table {
            let of_table = of_table.map(|position| Checkpoint::new(&position)).transpose()?;
            table.open(of_table.as_ref()).await?;
        }
        self.cut(length)
    }

    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if let Some(table) = &mut self.table {
            let rows: Vec<_> = outputs.iter().map(|output| Row { output: i64::try_from(*output).unwrap() }).collect();
            table.write(&rows, transaction).await?;
        }
        add(&self.plan, &self.context, "written", outputs.len())?;
        for output in outputs {
            let n = output / 2;
            if strikes(&self.pending, Trouble::Write(n)) {
                return Err(ItemError::other("the line dropped"));
            }
            if strikes(&self.pending, Trouble::DieWriting(n)) {
                return Err(self.node.death());
            }
            assert!(!strikes(&self.pending, Trouble::PanicOfWriter(n)), "panics");
            if self.plan.cannot_write(n) {
                return Err(ItemError::new(ErrorKind::Constraint, "refused"));
            }
            self.node.write(|out| out.push(*output))?;
            self.last = n;
        }
        Ok(())
    }

    fn encoder(&self) -> Option<Box<dyn OutputEncoder<u64>>> {
        Some(Box::new(Bytes))
    }

    async fn write_encoded(
        &mut self,
        outputs: &EncodedOutputs,
        transaction: &mut dyn ChunkTransaction,
    ) -> Result<(), ItemError> {
        self.write(&decoded(outputs), transaction).await
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        if strikes(&self.pending, Trouble::Flush(self.last)) {
            return Err(ItemError::other("the disk is full"));
        }
        self.flushed = self.node.write(|out| out.len())?;
        let table = match &mut self.table {
            Some(table) => table.flush().await?.map(|position| position.read()).transpose()?,
            None => None,
        };
        Checkpoint::new(&Position { length: self.flushed, table }).map(Some)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        if strikes(&self.pending, Trouble::Sync(self.last)) {
            return Err(ItemError::other("the disk is broken"));
        }
        let flushed = self.flushed;
        self.node.write(|_| self.node.durable.store(flushed, Ordering::SeqCst))
    }

    fn joins_transactions(&self) -> bool {
        // SQLite has one place to write, and the processor asks for a stop while the chunks are open.
        ON_POSTGRES
    }

    fn committed(&mut self) {
        self.committed = self.flushed;
        if let Some(table) = &mut self.table {
            table.committed();
        }
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        if let Some(table) = &mut self.table {
            table.rolled_back().await?;
        }
        self.cut(self.committed)
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if strikes(&self.pending, Trouble::Finish) {
            return Err(ItemError::other("no end today"));
        }
        match &mut self.table {
            Some(table) => table.finish(transaction).await,
            None => Ok(()),
        }
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        if strikes(&self.pending, Trouble::Publish) { Err(ItemError::other("no name today")) } else { Ok(()) }
    }
}

pub(super) fn job(plan: &Plan, node: &Node, pending: &Pending, counted: &Counted) -> Job {
    let (items, of_reader) = (plan.items, plan.clone());
    let (reads, processes, writes) = (Arc::clone(pending), Arc::clone(pending), Arc::clone(pending));
    let (processed, written) = ((plan.clone(), node.clone()), (plan.clone(), node.clone()));
    let mut step = ChunkStep::builder("Model")
        .reader(move |context| {
            let (inner, pending) = (IteratorReader::new(0..items), Arc::clone(&reads));
            Ok(Reader { inner, pending, next: 0, plan: of_reader.clone(), context: context.clone() })
        })
        .processor(move |context| {
            let ((plan, node), pending) = (processed.clone(), Arc::clone(&processes));
            Ok(Processor { plan, pending, node, context: context.clone() })
        })
        .writer(move |context| {
            let ((plan, node), pending) = (written.clone(), Arc::clone(&writes));
            let (table, context) = (table(&plan, context), context.clone());
            Ok(Writer { plan, pending, node, context, table, last: u64::MAX, flushed: 0, committed: 0 })
        })
        .control_total_read("items", |n| *n)
        .control_total_written("outputs", |n| *n)
        .chunk_size(plan.chunk_size)
        .processing_threads(plan.threads)
        .concurrency(plan.in_flight)
        .retry(RetryPolicy::new(plan.retries).backoff(Backoff::Fixed(Duration::ZERO)))
        .skip(SkipPolicy::new(1000));
    if let Some(bytes) = plan.chunk_bytes {
        step = step.chunk_bytes(bytes, |n| n % 10 + 1);
    }
    if let Some(time) = plan.chunk_time {
        step = step.chunk_time(time);
    }
    if let Some(workers) = plan.workers() {
        step = step.workers(workers);
    } else if plan.ahead {
        step = step.read_ahead(ReadAhead::Always);
    }
    step = match plan.saves {
        Saves::EachChunk => step,
        Saves::Never => step.commit_every(Duration::from_secs(3600)),
        Saves::Often => step.commit_every(Duration::from_micros(50)),
    };
    let told = Arc::clone(counted);
    let tell = TaskStep::builder("Tell", move |context| {
        let mut told = told.lock().unwrap();
        told.clear();
        for key in ["read", "processed", "written"] {
            told.push(context.get_from_job::<u64>(key)?);
        }
        Ok(())
    });
    Job::builder("Model").step(step).step(tell).build().unwrap()
}
