//! Several processors at once: one thread reads and deals out, others process, the step's own puts their work in order.

mod feeder;
mod worker;

use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};

use self::feeder::Feeder;
use self::worker::work;
use super::fill::{Interrupt, Room, Seal, Sealed, count};
use super::process::{Processing, Tally};
use super::read::Reading;
use super::side_thread::SideThread;
use super::totals::{Sums, Totals};
use crate::execution::{SkipPhase, SkippedItem};
use crate::item::{ItemProcessor, ItemReader};
use crate::step::{BodyFault, SkipPolicy, StepContext};

/// Items that go to a processor at once: handing a part over costs about 10 µs, which many items share.
const MAX_PART: usize = 64;
/// Parts of a chunk for each thread, so that one that meets heavy items does not keep the others waiting.
const PARTS_PER_THREAD: usize = 4;

/// How many processors work at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workers {
    /// Threads.
    pub(super) threads: usize,
    /// Items in flight on each of them.
    pub(super) in_flight: usize,
}

impl Workers {
    pub(super) fn count(self) -> usize {
        self.threads * self.in_flight
    }

    /// Items in a part of a chunk of so many.
    fn part(self, items: usize) -> usize {
        match self.in_flight {
            1 => (items / (self.threads * PARTS_PER_THREAD)).clamp(1, MAX_PART),
            // Each item waits for itself.
            _ => 1,
        }
    }
}

/// Items for one processor, and where what they come to is awaited.
struct Part<I, O> {
    items: Vec<I>,
    done: oneshot::Sender<Done<I, O>>,
}

/// What a part came to, up to its first fault.
struct Done<I, O> {
    room: Room<I, O>,
    tally: Tally,
    totals: Vec<Sums>,
    fault: Option<Fault>,
}

enum Fault {
    Interrupt(Interrupt),
    Panic(Box<dyn Any + Send>),
}

/// What makes up the chunks, in the order in which it was read.
enum Feed<I, O> {
    Part(oneshot::Receiver<Done<I, O>>),
    /// What was repeated and could not be read between two parts.
    Read {
        retries: i64,
        skips: Vec<SkippedItem>,
    },
    /// The chunk ends here.
    Seal(Box<Seal>),
    /// The reading ends here.
    Interrupt(Interrupt),
}

type Queue<I, O> = Arc<Mutex<mpsc::Receiver<Part<I, O>>>>;
/// The fault of each processor that could not be closed.
type Closed = Vec<Result<(), BodyFault>>;

/// The source of chunks of a step with several processors.
pub(super) struct Parallel<R: ItemReader, P: ItemProcessor<R::Item>> {
    feeds: mpsc::Receiver<Feed<R::Item, P::Output>>,
    feeder: SideThread<Reading<R>>,
    threads: Vec<SideThread<Closed>>,
    given_up: GivenUp,
    context: StepContext,
    skip: Option<SkipPolicy>,
    totals: Option<Arc<Totals<R::Item, P::Output>>>,
    /// Items skipped so far by reading and processing, in their order.
    skipped: u64,
}

/// Tells those who process that nobody waits for them any more, once it is dropped.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl<R, P> Parallel<R, P>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
{
    /// Opens the processors on their threads, then starts to read. What was built is closed when that fails.
    pub(super) async fn start(
        reading: Reading<R>,
        processors: Vec<Processing<R, P>>,
        workers: Workers,
    ) -> Result<Self, (Interrupt, Option<Reading<R>>)> {
        let part = workers.part(reading.limits.items);
        // A chunk that is put in order while the next is processed, and what keeps each processor busy.
        let ahead = reading.limits.items.div_ceil(part) + 2 * workers.count();
        let (sender, queue) = mpsc::channel(ahead);
        let queue: Queue<R::Item, P::Output> = Arc::new(Mutex::new(queue));
        let context = reading.context.clone();
        let skip = reading.skip.as_ref().map(|skip| skip.policy.clone());
        let totals = processors.first().and_then(|one| one.totals.as_ref());
        let totals = totals.map(|totals| Arc::clone(totals.totals()));
        let given_up = GivenUp(Arc::default());
        let mut processors: VecDeque<_> = processors.into();
        let (mut threads, mut opened) = (Vec::new(), Vec::new());
        for _ in 0..workers.threads {
            let own: Vec<_> = processors.drain(..workers.in_flight.min(processors.len())).collect();
            let (tell, open) = oneshot::channel();
            let (queue, is_given_up) = (Arc::clone(&queue), Arc::clone(&given_up.0));
            let thread = SideThread::start("process", &context, move |runtime| {
                runtime.block_on(work(own, queue, is_given_up, tell))
            });
            match thread {
                Ok(thread) => threads.push(thread),
                Err(interrupt) => return Err((interrupt, Some(reading))),
            }
            opened.push(open);
        }
        for (open, thread) in opened.into_iter().zip(&mut threads) {
            match open.await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => return Err((fault.into(), Some(reading))),
                // It panicked: that goes on here.
                Err(_) => {
                    thread.ended().await;
                }
            }
        }
        let (feed, feeds) = mpsc::channel(ahead);
        let feeder = SideThread::start("read", &context, move |runtime| {
            let mut feeder = Feeder { reading, queue: sender, feed, part };
            let gone = feeder.feed.clone();
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = feeder.run() => {}
                    // Nobody waits for it any more.
                    () = gone.closed() => {}
                }
            });
            feeder.reading
        });
        let feeder = feeder.map_err(|interrupt| (interrupt, None))?;
        Ok(Self { feeds, feeder, threads, given_up, context, skip, totals, skipped: 0 })
    }

    /// The next chunk, put in order; `room` is used for its outputs.
    pub(super) async fn next(
        &mut self,
        mut room: Room<R::Item, P::Output>,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        room.clear();
        let (mut skips, mut filtered, mut retries, mut totals) = (Vec::new(), 0, 0, Vec::new());
        loop {
            match self.receive().await? {
                Feed::Part(done) => {
                    let done = self.or_stop(done).await?;
                    // Its worker is gone without a word only when all are: with the step.
                    let Ok(Done { room: mut part, tally, totals: sums, fault }) = done else {
                        return Err(Interrupt::Stopped);
                    };
                    room.outputs.append(&mut part.outputs);
                    room.inputs.append(&mut part.inputs);
                    filtered += tally.filtered;
                    retries += tally.retries;
                    self.keep(&mut skips, tally.skips)?;
                    match fault {
                        None => {}
                        Some(Fault::Interrupt(interrupt)) => return Err(interrupt),
                        Some(Fault::Panic(panic)) => std::panic::resume_unwind(panic),
                    }
                    if let Some(taken) = &self.totals {
                        taken.join(&mut totals, &sums)?;
                    }
                }
                Feed::Read { retries: more, skips: unread } => {
                    retries += more;
                    self.keep(&mut skips, unread)?;
                }
                Feed::Seal(seal) => {
                    return Ok(Sealed { room, skips, filtered: count(filtered), retries, totals, seal: *seal });
                }
                Feed::Interrupt(interrupt) => return Err(interrupt),
            }
        }
    }

    async fn receive(&mut self) -> Result<Feed<R::Item, P::Output>, Interrupt> {
        let feed = tokio::select! {
            biased;
            () = self.context.stopping() => return Err(Interrupt::Stopped),
            feed = self.feeds.recv() => feed,
        };
        match feed {
            Some(feed) => Ok(feed),
            // It ended without a last chunk: it saw the stop first, or it panicked, which goes on here.
            None => {
                self.feeder.ended().await;
                Err(Interrupt::Stopped)
            }
        }
    }

    /// What is awaited, unless a stop is requested: then the chunk in hand is given up, and repeated by the next attempt.
    async fn or_stop<T>(&self, awaited: impl Future<Output = T>) -> Result<T, Interrupt> {
        tokio::select! {
            biased;
            () = self.context.stopping() => Err(Interrupt::Stopped),
            done = awaited => Ok(done),
        }
    }

    /// Keeps skipped items in their order. Too many are told here, where they are in order.
    fn keep(&mut self, skips: &mut Vec<SkippedItem>, more: Vec<SkippedItem>) -> Result<(), Interrupt> {
        for skip in more {
            self.skipped += 1;
            if let Some(policy) = self.skip.as_ref().filter(|policy| self.skipped > policy.limit()) {
                return Err(BodyFault::Failed(policy.exceeded(&told(&skip))).into());
            }
            skips.push(skip);
        }
        Ok(())
    }

    /// Ends the threads and closes reader and processors; those are left to themselves that do not end within `at_most`.
    pub(super) async fn close(self, at_most: Duration) -> Result<(), BodyFault> {
        // What is in flight is awaited by nobody any more, and given up.
        drop((self.feeds, self.given_up));
        let deadline = tokio::time::Instant::now().checked_add(at_most);
        let left = || deadline.map_or(Duration::MAX, |deadline| deadline - tokio::time::Instant::now());
        let mut closed = match self.feeder.join(at_most).await {
            Some(reading) => reading.input.close(left()).await,
            None => Ok(()),
        };
        for thread in self.threads {
            for processor in thread.join(left()).await.unwrap_or_default() {
                closed = closed.and(processor);
            }
        }
        closed
    }
}

/// The fault of an item that was skipped, as its error told it.
fn told(skip: &SkippedItem) -> String {
    let position = skip.position.as_ref().map(|position| format!("{position}: ")).unwrap_or_default();
    let raw = skip.item.as_ref().filter(|_| skip.phase == SkipPhase::Read);
    let raw = raw.map(|raw| format!("; raw text: {raw:?}")).unwrap_or_default();
    format!("{position}{}{raw}", skip.error)
}
