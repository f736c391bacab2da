//! Where the chunks come from: filled on the step's own thread, or by a thread that reads ahead.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::ReadAhead;
use super::fill::{Filler, Interrupt, Room, Sealed};
use crate::item::{ItemProcessor, ItemReader};
use crate::step::BodyFault;

/// Sealed chunks that wait for their commit. With the one that is filled and the one that is written, three are in
/// memory: one more would only help a writer whose speed changes from chunk to chunk.
const SEALED_AHEAD: usize = 1;
/// Chunks over which it is measured whether reading ahead pays, and how often that is asked.
const MEASURED: i64 = 8;
const MEASURED_EVERY: i64 = 512;
/// Handing a chunk to another thread costs about 10 µs; what is to run beside it must take clearly longer.
const WORTHWHILE: Duration = Duration::from_micros(40);

type Filled<P, I> = Result<Sealed<I, <P as ItemProcessor<I>>::Output>, Interrupt>;

/// Where the chunks of a step come from.
pub(super) enum Source<R: ItemReader, P: ItemProcessor<R::Item>> {
    /// Filled when they are asked for.
    Direct(Filler<R, P>),
    /// Filled by another thread.
    Ahead(Ahead<R, P>),
}

/// A thread that fills chunks while others are committed.
pub(super) struct Ahead<R: ItemReader, P: ItemProcessor<R::Item>> {
    sealed: mpsc::Receiver<Filled<P, R::Item>>,
    room: mpsc::Sender<Room<R::Item, P::Output>>,
    /// `None` once it was received.
    ended: Option<oneshot::Receiver<thread::Result<Filler<R, P>>>>,
}

impl<R, P> Source<R, P>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
{
    /// The next chunk; `room` is used for its outputs.
    #[inline]
    pub(super) async fn next(&mut self, room: Room<R::Item, P::Output>) -> Filled<P, R::Item> {
        match self {
            Self::Direct(filler) => filler.fill(room).await,
            Self::Ahead(ahead) => {
                // A full return channel means that there is room enough.
                let _ = ahead.room.try_send(room);
                match ahead.sealed.recv().await {
                    Some(filled) => filled,
                    // It ended without a last chunk: it saw the stop first, or it panicked.
                    None => {
                        let ended = match ahead.ended.take() {
                            Some(ended) => ended.await,
                            None => return Err(Interrupt::Stopped),
                        };
                        match ended {
                            Ok(Err(panic)) => std::panic::resume_unwind(panic),
                            Ok(Ok(filler)) => *self = Self::Direct(filler),
                            Err(_) => {}
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
        let (room, room_receiver) = mpsc::channel(SEALED_AHEAD + 2);
        let (sender, ended) = oneshot::channel();
        let name = format!("read-{}", filler.context.step_execution_id());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| no_thread(&error))?;
        // Held as long as the author's reader or processor may run.
        let reading = Arc::clone(&filler.context.scope().reading);
        reading.store(true, Ordering::Release);
        let body = move || {
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let mut filler = filler;
                runtime.block_on(run(&mut filler, sealed_sender, room_receiver));
                filler
            }));
            reading.store(false, Ordering::Release);
            // Nobody listens when the step was dropped.
            let _ = sender.send(result);
        };
        thread::Builder::new().name(name).spawn(body).map_err(|error| no_thread(&error))?;
        Ok(Self::Ahead(Ahead { sealed, room, ended: Some(ended) }))
    }

    /// Ends the reading, and gives reader and processor back to be closed; `None` when they were lost in a panic that was
    /// told, or when the thread does not end within `at_most`: it sits in the author's code, and ends after that.
    pub(super) async fn into_filler(self, at_most: Duration) -> Option<Filler<R, P>> {
        match self {
            Self::Direct(filler) => Some(filler),
            Self::Ahead(Ahead { sealed, room, ended }) => {
                drop((sealed, room));
                let ended = tokio::time::timeout(at_most, ended?).await.ok()?;
                ended.ok().and_then(Result::ok)
            }
        }
    }
}

async fn run<R: ItemReader, P: ItemProcessor<R::Item>>(
    filler: &mut Filler<R, P>,
    sealed: mpsc::Sender<Filled<P, R::Item>>,
    mut room: mpsc::Receiver<Room<R::Item, P::Output>>,
) {
    while !filler.context.is_stopping() {
        let empty = room.try_recv().unwrap_or_default();
        let filled = filler.fill(empty).await;
        let last = filled.as_ref().map_or(true, |sealed| sealed.end);
        if sealed.send(filled).await.is_err() || last {
            return;
        }
    }
}

fn no_thread(error: &std::io::Error) -> Interrupt {
    Interrupt::Fault(BodyFault::Failed(format!("failed to start a thread that reads ahead: {error}")))
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

    /// Now, when it is to be measured; most chunks are not.
    pub(super) fn clock(&self) -> Option<Instant> {
        (self.read_ahead == ReadAhead::Auto && self.chunks % MEASURED_EVERY < MEASURED).then(Instant::now)
    }

    /// Whether to read ahead from now on, after a chunk that was filled from `start` to `sealed`.
    pub(super) fn pays(&mut self, start: Option<Instant>, sealed: Option<Instant>) -> bool {
        let place = self.chunks % MEASURED_EVERY;
        self.chunks += 1;
        let (Some(start), Some(sealed)) = (start, sealed) else { return false };
        self.filling += sealed - start;
        self.committing += sealed.elapsed();
        if place < MEASURED - 1 {
            return false;
        }
        let shorter = std::mem::take(&mut self.filling).min(std::mem::take(&mut self.committing));
        u128::from(MEASURED.unsigned_abs()) * WORTHWHILE.as_nanos() <= shorter.as_nanos()
    }
}
