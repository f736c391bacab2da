//! Property: whatever fails, stops or dies and in whatever order, the outcome is that of a loop that never failed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use oxbatch_core::execution::ControlTotal;
use oxbatch_core::item::{CallableReader, ErrorKind, FunctionProcessor, ListWriter};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::{Backoff, ReadAhead};
use oxbatch_core::{ChunkStep, ItemError, ItemWriter, Job, RetryPolicy, SkipPolicy, Status};
use proptest::prelude::*;

use crate::harness::{Place, Shared, begin, contents, ended, list, steps};

/// What goes wrong, once each, at the item of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// The read fails and may be repeated.
    Read(u64),
    /// The processor fails.
    Process(u64),
    /// The processor panics.
    Panic(u64),
    /// The writer fails after half of its chunk.
    Write(u64),
    /// A stop is requested.
    Stop(u64),
}

#[derive(Debug, Clone)]
struct Plan {
    items: u64,
    chunk_size: u32,
    retries: u32,
    ahead: bool,
    troubles: BTreeSet<Trouble>,
    /// Items that can never be processed, and those whose outputs can never be written.
    bad: BTreeSet<(bool, u64)>,
}

impl Plan {
    fn cannot_process(&self, n: u64) -> bool {
        self.bad.contains(&(false, n))
    }

    fn cannot_write(&self, n: u64) -> bool {
        !self.cannot_process(n) && !n.is_multiple_of(3) && self.bad.contains(&(true, n))
    }

    /// The control total of the first items.
    fn totals(&self, items: u64) -> ControlTotal {
        let sum = |fits: &dyn Fn(u64) -> bool| Some((0..items).filter(|n| fits(*n)).sum::<u64>().into());
        let skipped = |n: u64| self.cannot_process(n) || self.cannot_write(n);
        ControlTotal {
            name: "numbers".to_owned(),
            read: sum(&|_| true),
            filtered: sum(&|n| n.is_multiple_of(3) && !skipped(n)),
            skipped: sum(&skipped),
            written: sum(&|n| !n.is_multiple_of(3) && !skipped(n)),
        }
    }

    /// What the first items come to when nothing goes wrong but with themselves.
    fn model(&self, items: u64) -> Vec<u64> {
        let settled = (0..items).filter(|n| !n.is_multiple_of(3) && !self.cannot_process(*n) && !self.cannot_write(*n));
        settled.map(|n| n * 2).collect()
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let trouble = |items: u64| {
        (0..5_u8, 0..items).prop_map(|(kind, at)| match kind {
            0 => Trouble::Read(at),
            1 => Trouble::Process(at),
            2 => Trouble::Panic(at),
            3 => Trouble::Write(at),
            _ => Trouble::Stop(at),
        })
    };
    (1..60_u64, 1..13_u32, 0..3_u32, any::<bool>()).prop_flat_map(move |(items, chunk_size, retries, ahead)| {
        let bad = prop::collection::btree_set((any::<bool>(), 0..items), 0..5);
        (prop::collection::btree_set(trouble(items), 0..6), bad).prop_map(move |(troubles, bad)| Plan {
            items,
            chunk_size,
            retries,
            ahead,
            troubles,
            bad,
        })
    })
}

/// Troubles that have yet to happen.
type Pending = Arc<Mutex<BTreeSet<Trouble>>>;

fn strikes(pending: &Pending, trouble: Trouble) -> bool {
    pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&trouble)
}

/// Writes half of a chunk before it fails, as a real target may.
struct HalfWriter {
    inner: ListWriter<u64>,
    pending: Pending,
    plan: Plan,
}

impl ItemWriter<u64> for HalfWriter {
    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        for (index, output) in outputs.iter().enumerate() {
            if strikes(&self.pending, Trouble::Write(output / 2)) {
                self.inner.write(&outputs[..index], transaction).await?;
                return Err(ItemError::other("the line dropped"));
            }
            if self.plan.cannot_write(output / 2) {
                self.inner.write(&outputs[..index], transaction).await?;
                return Err(ItemError::new(ErrorKind::Constraint, "refused"));
            }
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

/// The handle by which the processor asks for a stop.
type StopHandle = Arc<Mutex<Option<oxbatch_core::Engine>>>;

fn job(plan: &Plan, out: &Shared<u64>, pending: &Pending, stop: &StopHandle) -> Job {
    let (items, out) = (plan.items, Arc::clone(out));
    let (processed, written) = (plan.clone(), plan.clone());
    let (reads, processes, writes) = (Arc::clone(pending), Arc::clone(pending), Arc::clone(pending));
    let stop = Arc::clone(stop);
    let policy = RetryPolicy::new(plan.retries).backoff(Backoff::Fixed(std::time::Duration::ZERO));
    Job::builder("Model")
        .step(
            ChunkStep::builder("Model")
                .reader(move |_| {
                    Ok(Troubled { inner: CallableReader::new(0..items), pending: Arc::clone(&reads), next: 0 })
                })
                .processor(move |context| {
                    let (pending, stop, context) = (Arc::clone(&processes), Arc::clone(&stop), context.clone());
                    let plan = processed.clone();
                    Ok(FunctionProcessor::new(move |n: u64| {
                        if plan.cannot_process(n) {
                            return Err(ItemError::validation("never"));
                        }
                        if strikes(&pending, Trouble::Process(n)) {
                            return Err(ItemError::other("stumbles"));
                        }
                        assert!(!strikes(&pending, Trouble::Panic(n)), "panics");
                        if strikes(&pending, Trouble::Stop(n)) {
                            let engine = stop.lock().unwrap().clone().unwrap();
                            let id = context.execution_id();
                            let asked = std::thread::spawn(move || {
                                let runtime =
                                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                                runtime.block_on(engine.stop(id)).unwrap();
                            });
                            asked.join().unwrap();
                        }
                        Ok((!n.is_multiple_of(3)).then_some(n * 2))
                    }))
                })
                .writer(move |_| {
                    let inner = ListWriter::new(Arc::clone(&out));
                    Ok(HalfWriter { inner, pending: Arc::clone(&writes), plan: written.clone() })
                })
                .chunk_size(plan.chunk_size)
                .read_ahead(if plan.ahead { ReadAhead::Always } else { ReadAhead::Never })
                .retry(policy)
                .skip(SkipPolicy::new(1000))
                .control_total_read("numbers", |n| *n)
                .control_total_written("numbers", |output| output / 2),
        )
        .build()
        .unwrap()
}

/// A reader whose faults leave the position where it was.
struct Troubled<I: Iterator> {
    inner: CallableReader<I>,
    pending: Pending,
    next: u64,
}

impl<I: Iterator<Item = u64> + Send> oxbatch_core::ItemReader for Troubled<I> {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&oxbatch_core::item::Checkpoint>) -> Result<(), ItemError> {
        self.next = checkpoint.map_or(Ok(0), oxbatch_core::item::Checkpoint::read)?;
        self.inner.open(checkpoint).await
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        if strikes(&self.pending, Trouble::Read(self.next)) {
            return Err(ItemError::transient("the line dropped"));
        }
        self.next += 1;
        self.inner.read().await
    }

    fn checkpoint(&mut self) -> Result<Option<oxbatch_core::item::Checkpoint>, ItemError> {
        self.inner.checkpoint()
    }
}

async fn check(plan: Plan) {
    let out = list();
    let pending: Pending = Arc::new(Mutex::new(plan.troubles.clone()));
    let stop = StopHandle::default();
    let place = Place::new();
    let engine = place.node([job(&plan, &out, &pending, &stop)]).await;
    *stop.lock().unwrap() = Some(engine.clone());
    let (mut read, mut written, mut filtered, mut skipped, mut kept) = (0, 0, 0, 0, 0);
    let mut attempts = 0;
    loop {
        attempts += 1;
        assert!(attempts <= plan.troubles.len() + 1, "each trouble ends one attempt at most");
        let execution = ended(&engine, begin(&engine, "Model").await).await;
        for step in steps(&engine, execution.id).await {
            assert!(step.counters.balances(), "{step:?}");
            read += step.counters.read;
            written += step.counters.write;
            filtered += step.counters.filter;
            skipped += step.counters.skip();
            kept += engine.repository().skips(step.id, None, 1000).await.unwrap().skips.len();
        }
        // What is committed is a prefix of the model at every end.
        let model = plan.model(u64::try_from(read).unwrap());
        assert_eq!(contents(&out), model, "after attempt {attempts}: {execution:?}");
        let totals = &steps(&engine, execution.id).await[0].control_totals;
        if read > 0 {
            assert_eq!(totals.get("numbers"), Some(&plan.totals(u64::try_from(read).unwrap())), "attempt {attempts}");
        }
        match execution.status {
            Status::Completed => break,
            Status::Failed | Status::Stopped => {}
            other => panic!("ended {other}"),
        }
    }
    assert_eq!(u64::try_from(read).unwrap(), plan.items);
    assert_eq!(read, written + filtered + skipped);
    // Each bad item is skipped, and kept, once over all attempts.
    let bad = (0..plan.items).filter(|n| plan.cannot_process(*n) || plan.cannot_write(*n)).count();
    assert_eq!((usize::try_from(skipped).unwrap(), kept), (bad, bad));
    stop.lock().unwrap().take();
    engine.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_goes_wrong_every_item_is_settled_exactly_once(plan in plans()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(check(plan));
    }
}
