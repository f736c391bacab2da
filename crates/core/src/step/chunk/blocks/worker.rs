//! A worker: it takes a block and decodes it, processes it in its turn, and encodes the outputs.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::places::Places;
use super::turns::{Turn, Turns};
use crate::execution::StepPhase;
use crate::item::{BlockReader, ItemProcessor, ItemReader, Marks, OutputEncoder};
use crate::step::chunk::block::{Block, Taking};
use crate::step::chunk::buffers::Buffers;
use crate::step::chunk::fill::{Filler, Filling, Reached};
use crate::step::chunk::input::Input;
use crate::step::chunk::interrupt::Interrupt;
use crate::step::chunk::sealed::Sealed;
use crate::step::context::StepContext;

/// The time for which chunks that were sealed in a turn may wait for its end: slow items hold up no commit.
const LONGEST_TURN: Duration = Duration::from_millis(10);

/// The part of a step that goes from one worker to the next in the order of the blocks: with it a processor, the
/// contexts and the counts are as if there were one thread.
pub(super) struct InTurn<R: ItemReader, P: ItemProcessor<R::Item>> {
    pub(super) filler: Filler<R, P>,
    /// The chunk that the last block has left open.
    pub(super) open: Option<Filling<R::Item, P::Output>>,
}

/// The parts that the workers share.
pub(super) struct Shared<R: ItemReader, P: ItemProcessor<R::Item>> {
    pub(super) context: StepContext,
    pub(super) source: Arc<tokio::sync::Mutex<Taking>>,
    pub(super) turns: Turns<InTurn<R, P>>,
    /// Most outcomes of a chunk, and most records of a block.
    pub(super) chunk: usize,
    pub(super) records: usize,
    /// Outcomes in the chunk that the last turn has left open: a guess at how the next block begins.
    pub(super) open: AtomicUsize,
    /// The outputs are needed beside what is encoded of them.
    pub(super) keeps_outputs: bool,
    pub(super) encoder: std::sync::Mutex<Option<Box<dyn OutputEncoder<P::Output>>>>,
    pub(super) has_encoder: AtomicBool,
    /// Memory that is used again.
    pub(super) buffers: std::sync::Mutex<Vec<Buffers<R::Item, P::Output>>>,
    pub(super) workers: u32,
    pub(super) places: Places,
}

/// Chunks that were sealed in a turn: all of them, unless it takes long.
pub(super) struct Batch<I, O> {
    pub(super) chunks: VecDeque<Sealed<I, O>>,
    /// The reason for which there are no others, where it is not the end of the input.
    pub(super) broken: Option<Broken>,
}

impl<I, O> Default for Batch<I, O> {
    fn default() -> Self {
        Self { chunks: VecDeque::new(), broken: None }
    }
}

/// The reason for which the work ends before the end of the input.
pub(super) enum Broken {
    Interrupt(Interrupt),
    Panic(Box<dyn Any + Send>),
}

type BatchOf<R, P> = Batch<<R as ItemReader>::Item, <P as ItemProcessor<<R as ItemReader>::Item>>::Output>;
/// The turns in their order.
pub(super) type Turned<R, P> =
    mpsc::UnboundedSender<TurnBatches<<R as ItemReader>::Item, <P as ItemProcessor<<R as ItemReader>::Item>>::Output>>;

/// The batches of a turn, which are there once they are encoded.
pub(super) struct TurnBatches<I, O> {
    pub(super) batches: mpsc::UnboundedReceiver<Batch<I, O>>,
    /// Free again behind the last of them.
    pub(super) _places: OwnedSemaphorePermit,
}

/// Works until the input ends, or nobody waits for it any more.
pub(super) async fn work<R, P>(shared: Arc<Shared<R, P>>, reader: Box<dyn BlockReader<R::Item>>, turned: Turned<R, P>)
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item>,
{
    let mut own = Own { reader: Some(reader), encoder: None };
    let working = AssertUnwindSafe(async {
        while !shared.context.is_stopping() && own.work_on_block(&shared, &turned).await.is_some() {}
    });
    let worked = tokio::select! {
        biased;
        worked = working.catch_unwind() => worked,
        // Nobody waits for it any more.
        () = turned.closed() => Ok(()),
    };
    // A worker that ends in the middle of a block, as by a panic, has no turn, so there is none behind it.
    if let Err(panic) = worked {
        shared.turns.end();
        std::panic::resume_unwind(panic);
    }
}

/// A worker's own parts.
struct Own<I, O> {
    reader: Option<Box<dyn BlockReader<I>>>,
    encoder: Option<Box<dyn OutputEncoder<O>>>,
}

impl<I: Send, O: Send + Sync> Own<I, O> {
    /// Takes a block and does all of its work; `None` when there are no others.
    async fn work_on_block<R, P>(&mut self, shared: &Shared<R, P>, turned: &Turned<R, P>) -> Option<()>
    where
        R: ItemReader<Item = I> + 'static,
        P: ItemProcessor<I, Output = O>,
    {
        let source = Arc::clone(&shared.source).lock_owned().await;
        if source.ended {
            drop(source);
            // A processor may have something on this thread's runtime, which lives as long as there are turns.
            shared.turns.over().await;
            return None;
        }
        let begun = Instant::now();
        let (number, mut block) = Block::take(self.reader.take()?, source, shared.records);
        let first = shared.chunk.saturating_sub(shared.open.load(Ordering::Relaxed)).max(1);
        block.decode(Marks { first, every: shared.chunk });
        shared.took(StepPhase::Read, begun.elapsed());
        let turn = shared.turns.wait(number).await?;
        // First its places in the order: so no more turns are about than there are places.
        let places = shared.places.take().await?;
        let (batches, awaited) = mpsc::unbounded_channel();
        turned.send(TurnBatches { batches: awaited, _places: places }).ok()?;
        let mut hands = Hands { own: self, shared, batches, chunks: VecDeque::new(), bytes: 0 };
        let (broken, reader) = process(&mut hands, turn, block).await;
        let goes_on = broken.is_none();
        hands.over(broken);
        // Where outputs are kept beside their bytes, these say little of the memory; a turn without a chunk says nothing.
        if hands.bytes > 0 && !shared.keeps_outputs {
            shared.places.made(hands.bytes);
        }
        self.reader = reader;
        goes_on.then_some(())
    }

    /// Encodes the outputs of a chunk, where the writer has an encoder. Outputs that it cannot encode are left to the
    /// writer, which finds the same error.
    fn encode<R, P>(&mut self, shared: &Shared<R, P>, buffers: &mut Buffers<I, O>)
    where
        R: ItemReader<Item = I>,
        P: ItemProcessor<I, Output = O>,
    {
        if self.encoder.is_none() && shared.has_encoder.load(Ordering::Acquire) {
            self.encoder = shared.fork_encoder();
        }
        let Some(encoder) = self.encoder.as_mut().filter(|_| !buffers.outputs.is_empty()) else { return };
        let Buffers { outputs, encoded, .. } = buffers;
        match catch_unwind(AssertUnwindSafe(|| encoder.encode(outputs, encoded))) {
            Ok(Ok(())) => {
                encoded.outputs = outputs.len();
                if !shared.keeps_outputs {
                    outputs.clear();
                }
            }
            failed => {
                encoded.clear();
                if failed.is_err() {
                    self.encoder = None;
                }
            }
        }
    }
}

/// A worker in its turn: the chunks that it has sealed, and the way to the step's own thread.
struct Hands<'a, R: ItemReader, P: ItemProcessor<R::Item>> {
    own: &'a mut Own<R::Item, P::Output>,
    shared: &'a Shared<R, P>,
    batches: mpsc::UnboundedSender<BatchOf<R, P>>,
    chunks: VecDeque<Sealed<R::Item, P::Output>>,
    /// Bytes that were encoded in the turn.
    bytes: usize,
}

impl<R: ItemReader, P: ItemProcessor<R::Item>> Hands<'_, R, P> {
    /// Encodes what was sealed and hands it over.
    fn over(&mut self, broken: Option<Broken>) {
        let begun = Instant::now();
        for sealed in &mut self.chunks {
            self.own.encode(self.shared, &mut sealed.buffers);
            self.bytes += sealed.buffers.encoded.bytes.len();
        }
        self.shared.took(StepPhase::Write, begun.elapsed());
        // Nobody listens when the step was given up.
        let _ = self.batches.send(Batch { chunks: std::mem::take(&mut self.chunks), broken });
    }

    fn is_given_up(&self) -> bool {
        self.batches.is_closed()
    }
}

/// Processes a block in its turn. The answer is what has broken the work off, and the reader when there may be more to
/// read.
async fn process<R, P>(
    hands: &mut Hands<'_, R, P>,
    mut turn: Turn<'_, InTurn<R, P>>,
    block: Block<R::Item>,
) -> (Option<Broken>, Option<Box<dyn BlockReader<R::Item>>>)
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item>,
{
    let shared = hands.shared;
    let Some(parts) = turn.value() else { return (None, None) };
    let begun = Instant::now();
    parts.filler.reading.input = Input::Block(block);
    let filled = AssertUnwindSafe(parts.fill(hands)).catch_unwind().await;
    shared.took(StepPhase::Process, begun.elapsed());
    let (ended, broken) = match filled {
        Ok(Ok(ended)) => (ended, None),
        Ok(Err(interrupt)) => (true, Some(Broken::Interrupt(interrupt))),
        Err(panic) => {
            turn.lose();
            return (Some(Broken::Panic(panic)), None);
        }
    };
    let input = std::mem::replace(&mut parts.filler.reading.input, Input::NoBlock);
    shared.open.store(parts.open.as_ref().map_or(0, Filling::outcomes), Ordering::Relaxed);
    let Input::Block(block) = input else { return (broken, None) };
    if !ended {
        turn.pass();
    }
    (broken, Some(block.into_reader()))
}

impl<R: ItemReader + 'static, P: ItemProcessor<R::Item>> InTurn<R, P> {
    /// Fills chunks with the items of the block. Returns whether the input has ended.
    async fn fill(&mut self, hands: &mut Hands<'_, R, P>) -> Result<bool, Interrupt> {
        let shared = hands.shared;
        let mut begun = Instant::now();
        loop {
            if shared.context.is_stopping() || hands.is_given_up() {
                return Err(Interrupt::Stopped);
            }
            let mut chunk = self.open.take().unwrap_or_else(|| self.filler.begin(shared.empty_buffers()));
            if let Reached::BlockEnd = self.filler.go_on(&mut chunk).await? {
                self.open = Some(chunk);
                return Ok(false);
            }
            let sealed = self.filler.seal(chunk)?;
            let ended = sealed.seal.end;
            hands.chunks.push_back(sealed);
            if ended {
                return Ok(true);
            }
            if begun.elapsed() > LONGEST_TURN {
                hands.over(None);
                begun = Instant::now();
            }
        }
    }
}

impl<R: ItemReader, P: ItemProcessor<R::Item>> Shared<R, P> {
    /// A share of the step's time: the others work meanwhile.
    fn took(&self, phase: StepPhase, time: Duration) {
        self.context.scope().live.add_time(phase, time / self.workers);
    }

    fn empty_buffers(&self) -> Buffers<R::Item, P::Output> {
        super::lock(&self.buffers).pop().unwrap_or_default()
    }

    fn fork_encoder(&self) -> Option<Box<dyn OutputEncoder<P::Output>>> {
        super::lock(&self.encoder).as_ref().and_then(|encoder| encoder.fork())
    }
}
