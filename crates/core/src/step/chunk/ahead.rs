//! Prefetch: the chunks of a step, filled on its own thread, or by threads that read and process ahead of it.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::buffers::Buffers;
use super::fill::Filler;
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
/// Measures, on the first chunks and now and then, whether reading ahead pays.
pub(super) struct Measure {
    read_ahead: ReadAhead,
    chunks: i64,
    filling: Duration,
    committing: Duration,
}

impl Measure {
    pub(super) fn new(read_ahead: ReadAhead) -> Self {
        Self { read_ahead, chunks: 0, filling: Duration::ZERO, committing: Duration::ZERO }
    }

    /// The time, when it is to be measured; most chunks are not.
    pub(super) fn clock(&self) -> Option<Instant> {
        (self.read_ahead == ReadAhead::Auto && self.chunks % MEASURED_EVERY < MEASURED).then(Instant::now)
    }

    /// True if reading ahead pays from now on, after a chunk that was filled from `start` to `sealed`.
    pub(super) fn pays(&mut self, start: Option<Instant>, sealed: Option<Instant>) -> bool {
        let index = self.chunks % MEASURED_EVERY;
        self.chunks += 1;
        let (Some(start), Some(sealed)) = (start, sealed) else { return false };
        self.filling += sealed - start;
        self.committing += sealed.elapsed();
        if index < MEASURED - 1 {
            return false;
        }
        let shorter = std::mem::take(&mut self.filling).min(std::mem::take(&mut self.committing));
        u128::from(MEASURED.unsigned_abs()) * WORTHWHILE.as_nanos() <= shorter.as_nanos()
    }
}
