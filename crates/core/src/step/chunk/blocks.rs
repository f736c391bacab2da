//! Blocks: workers that each take blocks of the source, decode, process in turn, and encode them.
//!
//! An item stays on the thread that has decoded it until it is encoded; the step's own thread gets sealed chunks in
//! their order, as from any other source of chunks.

mod places;
mod turns;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use self::places::Places;
use self::turns::Turns;
use self::worker::{Batch, Broken, InTurn, Shared, TurnBatches, work};
use super::buffers::Buffers;
use super::fill::Filler;
use super::input::Input;
use super::interrupt::{Interrupt, failed};
use super::sealed::Sealed;
use super::side_thread::SideThread;
use crate::item::{BlockReader, ItemProcessor, ItemReader, OutputEncoder};
use crate::step::body::BodyError;
use crate::step::context::StepContext;

/// Records of a block, and more up to whole chunks: taking a block and waiting for its turn costs some 10 µs, which
/// many items share. More than these leave the caches of a core before they are encoded.
pub(super) const BLOCK_RECORDS: usize = 768;

/// The source of chunks of a step whose workers share its input.
pub(super) struct Blocks<R: ItemReader, P: ItemProcessor<R::Item>> {
    /// The reader whose source was split, to be closed.
    reader: R,
    turned: mpsc::UnboundedReceiver<TurnBatches<R::Item, P::Output>>,
    /// The turn in hand.
    turn: Option<TurnBatches<R::Item, P::Output>>,
    /// The batch in hand.
    batch: Batch<R::Item, P::Output>,
    threads: Vec<SideThread<()>>,
    shared: Arc<Shared<R, P>>,
    context: StepContext,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whole chunks, unless they are large by themselves.
pub(super) fn block_records(chunk: usize) -> usize {
    chunk.saturating_mul(BLOCK_RECORDS.div_ceil(chunk.max(1)))
}

impl<R, P> Blocks<R, P>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
{
    /// Goes on by workers, one for each reader of the split source. `keeps_outputs` says that outputs are needed beside
    /// what is encoded of them.
    pub(super) fn start(
        mut filler: Filler<R, P>,
        readers: Vec<Box<dyn BlockReader<R::Item>>>,
    ) -> Result<Self, Interrupt> {
        let context = filler.reading.context.clone();
        let chunk = filler.reading.limits.items;
        let keeps_outputs = filler.reading.rules.skip.is_some() || filler.processing.totals.is_some();
        let Input::Direct(reader) = std::mem::replace(&mut filler.reading.input, Input::NoBlock) else {
            return Err(BodyError::Failed("the source of a step is split twice".to_owned()).into());
        };
        let workers = u32::try_from(readers.len()).unwrap_or(u32::MAX).max(1);
        let shared = Arc::new(Shared {
            context: context.clone(),
            source: Arc::default(),
            turns: Turns::new(InTurn { filler, open: None }),
            chunk,
            records: block_records(chunk),
            open: AtomicUsize::new(0),
            keeps_outputs,
            encoder: Mutex::new(None),
            has_encoder: AtomicBool::new(false),
            buffers: Mutex::default(),
            workers,
            places: Places::new(workers),
        });
        let (sender, turned) = mpsc::unbounded_channel();
        let mut threads = Vec::with_capacity(readers.len());
        for reader in readers {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            threads.push(SideThread::start("work", &context, move |runtime| {
                runtime.block_on(work(shared, reader, sender));
            })?);
        }
        Ok(Self { reader, turned, turn: None, batch: Batch::default(), threads, shared, context })
    }

    /// True as long as the outputs are not encoded by the workers.
    pub(super) fn lacks_encoder(&self) -> bool {
        !self.shared.has_encoder.load(Ordering::Relaxed)
    }

    /// Lets the workers encode the outputs from now on.
    pub(super) fn set_encoder(&self, encoder: Box<dyn OutputEncoder<P::Output>>) {
        *lock(&self.shared.encoder) = Some(encoder);
        self.shared.has_encoder.store(true, Ordering::Release);
    }

    /// The next chunk; `buffers` are used again.
    pub(super) async fn next(
        &mut self,
        buffers: Buffers<R::Item, P::Output>,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        self.recycle(buffers);
        loop {
            if let Some(sealed) = self.batch.chunks.pop_front() {
                return Ok(sealed);
            }
            match self.batch.broken.take() {
                Some(Broken::Interrupt(interrupt)) => return Err(interrupt),
                Some(Broken::Panic(panic)) => std::panic::resume_unwind(panic),
                None => self.batch = self.receive().await?,
            }
        }
    }

    fn recycle(&self, buffers: Buffers<R::Item, P::Output>) {
        let mut all = lock(&self.shared.buffers);
        if all.len() <= 2 * self.threads.len() {
            all.push(buffers);
        }
    }

    async fn receive(&mut self) -> Result<Batch<R::Item, P::Output>, Interrupt> {
        loop {
            let Some(TurnBatches { batches, .. }) = &mut self.turn else {
                self.turn = Some(self.next_turn().await?);
                continue;
            };
            let batch = tokio::select! {
                biased;
                () = self.context.stopping() => return Err(Interrupt::Stopped),
                batch = batches.recv() => batch,
            };
            match batch {
                Some(batch) => return Ok(batch),
                None => self.turn = None,
            }
        }
    }

    async fn next_turn(&mut self) -> Result<TurnBatches<R::Item, P::Output>, Interrupt> {
        let turned = tokio::select! {
            biased;
            () = self.context.stopping() => return Err(Interrupt::Stopped),
            turned = self.turned.recv() => turned,
        };
        if let Some(turn) = turned {
            return Ok(turn);
        }
        // They ended without a last chunk: they saw the stop first, or one panicked, which goes on here.
        for thread in &mut self.threads {
            thread.ended().await;
        }
        Err(Interrupt::Stopped)
    }

    /// Ends the workers and closes reader and processor, as far as they were not lost in a panic that was reported and
    /// their threads end within `at_most`.
    pub(super) async fn close(mut self, at_most: Duration, completed: bool) -> Result<(), BodyError> {
        drop((self.turned, self.turn, self.batch));
        self.shared.turns.end();
        let deadline = Instant::now().checked_add(at_most);
        let left = || deadline.map_or(Duration::MAX, |deadline| deadline - Instant::now());
        for thread in self.threads {
            thread.join(left()).await;
        }
        match self.shared.turns.take() {
            Some(InTurn { mut filler, .. }) => {
                filler.reading.input = Input::Direct(self.reader);
                filler.close(left(), completed).await
            }
            None => self.reader.close().await.map_err(|error| failed("close the reader", &error)),
        }
    }
}
