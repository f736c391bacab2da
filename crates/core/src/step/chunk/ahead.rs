//! Prefetch: the chunks of a step, filled on its own thread, or by threads that read and process ahead of it.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::blocks::{Blocks, block_records};
use super::buffers::Buffers;
use super::fill::Filler;
use super::input::Input;
use super::interrupt::Interrupt;
use super::parallel::Parallel;
use super::sealed::Sealed;
use super::settings::ReadAhead;
use super::side_thread::SideThread;
use crate::item::{ItemProcessor, ItemReader};
use crate::step::body::BodyError;

/// Sealed chunks that wait for their commit. With the one that is filled and the one that is written, three are in
/// memory: one more would only help a writer whose speed changes from chunk to chunk.
const SEALED_AHEAD: usize = 1;
/// Chunks over which it is measured whether reading ahead pays, and how often that is asked.
const MEASURED: i64 = 8;
const MEASURED_EVERY: i64 = 512;
/// Handing a chunk to another thread costs about 10 µs; what is to run next to it must take clearly longer.
const WORTHWHILE: Duration = Duration::from_micros(40);
/// The same for a block, which comes back, and whose records are searched for twice.
const WORTHWHILE_BLOCK: Duration = Duration::from_micros(100);
/// An item that takes more to process is not decoded faster by so much that it counts: processing has one thread.
const MOST_PROCESSING: Duration = Duration::from_micros(50);
/// Most workers that a step has without being asked.
const MOST_WORKERS: usize = 8;

type Filled<P, I> = Result<Sealed<I, <P as ItemProcessor<I>>::Output>, Interrupt>;

/// The source of the chunks of a step.
#[expect(clippy::large_enum_variant, reason = "there is one for each step, and the direct way is to cost no pointer")]
pub(super) enum Source<R: ItemReader, P: ItemProcessor<R::Item>> {
    /// Filled when they are asked for.
    Direct(Filler<R, P>),
    /// Filled by another thread.
    Ahead(Ahead<R, P>),
    /// Read by one thread and processed by several.
    Parallel(Parallel<R, P>),
    /// Read by workers that share the source.
    Blocks(Blocks<R, P>),
}

/// A thread that fills chunks while others are committed.
pub(super) struct Ahead<R: ItemReader, P: ItemProcessor<R::Item>> {
    sealed: mpsc::Receiver<Filled<P, R::Item>>,
    buffers: mpsc::Sender<Buffers<R::Item, P::Output>>,
    thread: SideThread<Filler<R, P>>,
}

impl<R, P> Source<R, P>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
{
    /// The next chunk; `buffers` are used again.
    #[inline]
    pub(super) async fn next(&mut self, buffers: Buffers<R::Item, P::Output>) -> Filled<P, R::Item> {
        match self {
            Self::Direct(filler) => filler.fill(buffers).await,
            Self::Parallel(parallel) => parallel.next(buffers).await,
            Self::Blocks(blocks) => blocks.next(buffers).await,
            Self::Ahead(ahead) => {
                // A full return channel means that there are buffers enough.
                let _ = ahead.buffers.try_send(buffers);
                match ahead.sealed.recv().await {
                    Some(filled) => filled,
                    // It ended without a last chunk: it saw the stop first, or it panicked, which goes on here.
                    None => {
                        if let Some(filler) = ahead.thread.ended().await {
                            *self = Self::Direct(filler);
                        }
                        Err(Interrupt::Stopped)
                    }
                }
            }
        }
    }

    /// Most items of a chunk, where it is known here.
    pub(super) fn chunk_size(&self) -> usize {
        if let Self::Direct(filler) = self { filler.reading.limits.items } else { 1 }
    }

    /// Goes on by so many workers, where the reader's source can be split.
    pub(super) fn go_by_blocks(mut self, workers: usize) -> Result<Self, Interrupt> {
        let Self::Direct(filler) = &mut self else { return Ok(self) };
        let Input::Direct(reader) = &mut filler.reading.input else { return Ok(self) };
        let readers = reader.split(workers);
        match self {
            Self::Direct(filler) if !readers.is_empty() => Blocks::start(filler, readers).map(Self::Blocks),
            source => Ok(source),
        }
    }

    /// Goes on by as many threads as pay.
    pub(super) fn go_on(self, pays: Pays) -> Result<Self, Interrupt> {
        let source = match &self {
            Self::Direct(filler) if pays.by_blocks && filler.clock.processing(pays.item) <= MOST_PROCESSING => {
                self.go_by_blocks(workers())?
            }
            _ => self,
        };
        if pays.ahead { source.go_ahead() } else { Ok(source) }
    }

    /// Goes on by a thread that reads ahead.
    pub(super) fn go_ahead(self) -> Result<Self, Interrupt> {
        let Self::Direct(filler) = self else { return Ok(self) };
        let (sealed_sender, sealed) = mpsc::channel(SEALED_AHEAD);
        let (buffers, buffers_receiver) = mpsc::channel(SEALED_AHEAD + 2);
        let context = filler.reading.context.clone();
        let thread = SideThread::start("read", &context, move |runtime| {
            let mut filler = filler;
            runtime.block_on(run(&mut filler, sealed_sender, buffers_receiver));
            filler
        })?;
        Ok(Self::Ahead(Ahead { sealed, buffers, thread }))
    }

    /// Ends the reading and closes reader and processors, as far as they were not lost in a panic that was reported and
    /// their threads end within `at_most`: otherwise they sit in the author's code, and end after that.
    pub(super) async fn close(self, at_most: Duration, completed: bool) -> Result<(), BodyError> {
        match self {
            Self::Direct(filler) => filler.close(at_most, completed).await,
            Self::Parallel(parallel) => parallel.close(at_most).await,
            Self::Blocks(blocks) => blocks.close(at_most, completed).await,
            Self::Ahead(Ahead { sealed, buffers, thread }) => {
                drop((sealed, buffers));
                match thread.join(at_most).await {
                    Some(filler) => filler.close(at_most, completed).await,
                    None => Ok(()),
                }
            }
        }
    }
}

async fn run<R: ItemReader + 'static, P: ItemProcessor<R::Item>>(
    filler: &mut Filler<R, P>,
    sealed: mpsc::Sender<Filled<P, R::Item>>,
    mut buffers: mpsc::Receiver<Buffers<R::Item, P::Output>>,
) {
    while !filler.reading.context.is_stopping() {
        let empty = buffers.try_recv().unwrap_or_default();
        let filled = tokio::select! {
            biased;
            filled = filler.fill(empty) => filled,
            // Nobody waits for it any more.
            () = sealed.closed() => return,
        };
        let last = filled.as_ref().map_or(true, |sealed| sealed.seal.end);
        if sealed.send(filled).await.is_err() || last {
            return;
        }
    }
}

/// The number of workers that a step has without being asked: none is of use on one core.
fn workers() -> usize {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => cores.get().min(MOST_WORKERS),
        _ => 0,
    }
}

/// The ways of using more threads that pay from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pays {
    /// A thread that reads ahead.
    pub(super) ahead: bool,
    /// Workers, where the source can be split and items are quickly processed.
    pub(super) by_blocks: bool,
    /// The time that it takes to read and process an item.
    pub(super) item: Duration,
}

/// Measures, on the first chunks and now and then, whether more threads pay.
pub(super) struct Measure {
    read_ahead: ReadAhead,
    chunk_size: usize,
    chunks: i64,
    items: i64,
    filling: Duration,
    committing: Duration,
}

impl Measure {
    pub(super) fn new(read_ahead: ReadAhead, chunk_size: usize) -> Self {
        let (filling, committing) = (Duration::ZERO, Duration::ZERO);
        Self { read_ahead, chunk_size, chunks: 0, items: 0, filling, committing }
    }

    /// The time, when it is to be measured; most chunks are not.
    pub(super) fn clock(&self) -> Option<Instant> {
        (self.read_ahead == ReadAhead::Auto && self.chunks % MEASURED_EVERY < MEASURED).then(Instant::now)
    }

    /// Takes a chunk of so many items that was filled from `start` to `sealed`. What pays, when it is known anew.
    pub(super) fn take(&mut self, items: i64, start: Option<Instant>, sealed: Option<Instant>) -> Option<Pays> {
        let index = self.chunks % MEASURED_EVERY;
        self.chunks += 1;
        let (start, sealed) = (start?, sealed?);
        self.items += items;
        self.filling += sealed - start;
        self.committing += sealed.elapsed();
        if index < MEASURED - 1 {
            return None;
        }
        let (filling, committing) = (std::mem::take(&mut self.filling), std::mem::take(&mut self.committing));
        let items = u32::try_from(std::mem::take(&mut self.items)).unwrap_or(u32::MAX).max(1);
        let item = filling / items;
        let of_block = item.as_nanos().saturating_mul(block_records(self.chunk_size) as u128);
        Some(Pays {
            item,
            ahead: u128::from(MEASURED.unsigned_abs()) * WORTHWHILE.as_nanos() <= filling.min(committing).as_nanos(),
            by_blocks: WORTHWHILE_BLOCK.as_nanos() <= of_block,
        })
    }
}
