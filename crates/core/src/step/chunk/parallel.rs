//! Several processors at once: one thread reads and deals out, others process, the step's own puts their work in order.

mod feeder;
mod parts;
mod worker;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};

use self::feeder::Feeder;
use self::parts::{Closed, Done, Feed, PartError, Queue};
use self::worker::work;
use super::buffers::{Buffers, count};
use super::interrupt::Interrupt;
use super::kept::KeptSkips;
use super::process::Processing;
use super::read::Reading;
use super::sealed::Sealed;
use super::side_thread::SideThread;
use super::totals::Totals;
use super::workers::Workers;
use crate::item::{ItemProcessor, ItemReader};
use crate::step::body::BodyError;
use crate::step::context::StepContext;
use crate::step::policy::SkipPolicy;

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

/// Says to the workers, once it is dropped, that nobody waits for them any more.
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
        let context = reading.context.clone();
        let skip = reading.rules.skip_policy().cloned();
        let totals = processors.first().and_then(|one| one.totals.as_ref());
        let totals = totals.map(|totals| Arc::clone(totals.totals()));
        let given_up = GivenUp(Arc::default());
        let queue: Queue<R::Item, P::Output> = Arc::new(Mutex::new(queue));
        let threads = match open_all(processors, workers, &queue, &given_up, &context).await {
            Ok(threads) => threads,
            Err(interrupt) => return Err((interrupt, Some(reading))),
        };
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

    /// The next chunk, put in order; `buffers` are used again.
    pub(super) async fn next(
        &mut self,
        mut buffers: Buffers<R::Item, P::Output>,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        buffers.clear();
        let (mut skips, mut filtered, mut retries, mut totals) = (KeptSkips::default(), 0, 0, Vec::new());
        let before = self.skipped;
        loop {
            match self.receive().await? {
                Feed::Part(done) => {
                    let done = self.or_stop(done).await?;
                    // Its worker is gone without a word only when all are: with the step.
                    let Ok(Done { buffers: mut part, tally, totals: sums, error }) = done else {
                        return Err(Interrupt::Stopped);
                    };
                    buffers.outputs.append(&mut part.outputs);
                    buffers.inputs.append(&mut part.inputs);
                    buffers.origins.append(&mut part.origins);
                    filtered += tally.filtered;
                    retries += tally.retries;
                    skips.join(tally.skips, self.skip.as_ref(), before)?;
                    match error {
                        None => {}
                        Some(PartError::Interrupt(interrupt)) => return Err(interrupt),
                        Some(PartError::Panic(panic)) => std::panic::resume_unwind(panic),
                    }
                    if let Some(taken) = &self.totals {
                        taken.join(&mut totals, &sums)?;
                    }
                }
                Feed::Read { retries: more, skips: unread } => {
                    retries += more;
                    skips.join(unread, self.skip.as_ref(), before)?;
                }
                Feed::Seal(seal) => {
                    self.skipped += skips.count();
                    return Ok(Sealed { buffers, skips, filtered: count(filtered), retries, totals, seal: *seal });
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

    /// The awaited value, unless a stop is requested: then the chunk in hand is given up, and repeated by the next
    /// attempt.
    async fn or_stop<T>(&self, awaited: impl Future<Output = T>) -> Result<T, Interrupt> {
        tokio::select! {
            biased;
            () = self.context.stopping() => Err(Interrupt::Stopped),
            done = awaited => Ok(done),
        }
    }

    /// Ends the threads and closes reader and processors; those are left to themselves that do not end within
    /// `at_most`.
    pub(super) async fn close(self, at_most: Duration) -> Result<(), BodyError> {
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

/// Starts the threads that process and waits until all processors are open.
async fn open_all<R, P>(
    processors: Vec<Processing<R, P>>,
    workers: Workers,
    queue: &Queue<R::Item, P::Output>,
    given_up: &GivenUp,
    context: &StepContext,
) -> Result<Vec<SideThread<Closed>>, Interrupt>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
{
    let of_all = u32::try_from(processors.len()).unwrap_or(u32::MAX).max(1);
    let mut processors: VecDeque<_> = processors.into();
    let (mut threads, mut opened) = (Vec::new(), Vec::new());
    for _ in 0..workers.threads {
        let own: Vec<_> = processors.drain(..workers.in_flight.min(processors.len())).collect();
        let (ready, open) = oneshot::channel();
        let (queue, is_given_up) = (Arc::clone(queue), Arc::clone(&given_up.0));
        threads.push(SideThread::start("process", context, move |runtime| {
            runtime.block_on(work(own, queue, (is_given_up, of_all), ready))
        })?);
        opened.push(open);
    }
    for (open, thread) in opened.into_iter().zip(&mut threads) {
        match open.await {
            Ok(open) => open?,
            // It panicked: that goes on here.
            Err(_) => {
                thread.ended().await;
            }
        }
    }
    Ok(threads)
}
