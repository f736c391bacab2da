//! Reads and processes a chunk, and seals it: its outputs, its counts, and the position behind its last item.

use std::time::{Duration, Instant};

use super::buffers::{Buffers, count};
use super::input::{Input, Read};
use super::interrupt::{Interrupt, error_after, failed};
use super::process::Processing;
use super::read::{Fullness, Reading};
use super::sealed::{Seal, Sealed};
use super::stopwatch::FillClock;
use super::tally::Tally;
use super::totals::ReadTally;
use crate::item::{ItemError, ItemProcessor, ItemReader, Processed};
use crate::step::body::BodyError;

/// The reading half of a step: one reader and one processor, item by item.
pub(super) struct Filler<R: ItemReader, P: ItemProcessor<R::Item>> {
    pub(super) reading: Reading<R>,
    pub(super) processing: Processing<R, P>,
    /// Items skipped so far by the reading half alone.
    pub(super) skipped: u64,
    pub(super) clock: FillClock,
}

/// A chunk that is being filled.
pub(super) struct Filling<I, O> {
    buffers: Buffers<I, O>,
    full: Fullness,
    tally: Tally,
    /// Items that are still timed one by one.
    timed: usize,
    /// The reader has said that there is no more.
    end: bool,
}

impl<I, O> Filling<I, O> {
    /// The items in it, those included that could not be read.
    pub(super) fn outcomes(&self) -> usize {
        self.full.outcomes()
    }
}

/// The place up to which a chunk was filled.
pub(super) enum Reached {
    /// It is full, or the last one.
    ChunkEnd,
    /// There may be room in it, and the block that was read from is over.
    BlockEnd,
}

impl<R: ItemReader + 'static, P: ItemProcessor<R::Item>> Filler<R, P> {
    /// Closes reader and processor, whatever happens to one of them; the first error is the one that is reported.
    pub(super) async fn close(mut self, at_most: Duration, completed: bool) -> Result<(), BodyError> {
        let processing = if completed { self.processing.processor.completed().await } else { Ok(()) };
        let processing = processing.map_err(|error| failed("end the processing", &error));
        let reader = self.reading.input.close(at_most).await;
        let processor = self.processing.processor.close().await;
        let processor = processor.map_err(|error| failed("close the processor", &error));
        processing.and(reader).and(processor)
    }

    /// Reads items up to the limits of a chunk, processes each at once, and seals the chunk, in buffers that are used
    /// again.
    #[inline]
    pub(super) async fn fill(
        &mut self,
        buffers: Buffers<R::Item, P::Output>,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        let mut chunk = self.begin(buffers);
        chunk.timed = self.clock.begin();
        self.go_on(&mut chunk).await?;
        self.clock.end(chunk.full.items, &self.reading.context.scope().live);
        self.seal(chunk)
    }

    /// A chunk that is empty.
    pub(super) fn begin(&self, mut buffers: Buffers<R::Item, P::Output>) -> Filling<R::Item, P::Output> {
        buffers.clear();
        Filling { buffers, full: Fullness::default(), tally: Tally::new(self.skipped), timed: 0, end: false }
    }

    /// Fills a chunk up to its limits, or as far as the block goes that is read from.
    #[inline]
    pub(super) async fn go_on(&mut self, chunk: &mut Filling<R::Item, P::Output>) -> Result<Reached, Interrupt> {
        let Filling { buffers, full, tally, timed, end } = chunk;
        let mut at_hand = self.processes_at_hand();
        while self.reading.has_room(full) {
            if at_hand && *timed == 0 {
                let before = full.items;
                if let Some(item) = self.fill_at_hand(buffers, full, tally)? {
                    self.process_item(item, buffers, tally).await?;
                }
                at_hand = full.items > before;
                continue;
            }
            let start = (*timed > 0).then(Instant::now);
            let read = self.reading.next(full, tally).await?;
            let start = start.map(|start| self.clock.read(start));
            match read {
                Read::Item(item) => {
                    self.process_item(item, buffers, tally).await?;
                    if let Some(start) = start {
                        self.clock.processed(start);
                        *timed -= 1;
                    }
                }
                Read::End => {
                    *end = true;
                    break;
                }
                Read::Skipped => {}
                Read::BlockEnd => return Ok(Reached::BlockEnd),
                Read::Late | Read::Stopped => break,
            }
        }
        Ok(Reached::ChunkEnd)
    }

    #[inline]
    async fn process_item(
        &mut self,
        item: R::Item,
        buffers: &mut Buffers<R::Item, P::Output>,
        tally: &mut Tally,
    ) -> Result<(), Interrupt> {
        let Self { reading, processing, .. } = self;
        processing.process_item(item, || reading.input.origin(), buffers, tally).await
    }

    /// True if items need nothing but to be processed.
    fn processes_at_hand(&self) -> bool {
        let (limits, Processing { copy, totals, origin, .. }) = (&self.reading.limits, &self.processing);
        copy.is_none() && totals.is_none() && limits.weight.is_none() && limits.time.is_none() && !origin.is_wanted()
    }

    /// Settles the items that are at hand, as far as neither reader nor processor has to wait. Gives an item back that
    /// the processor has to wait for.
    fn fill_at_hand(
        &mut self,
        buffers: &mut Buffers<R::Item, P::Output>,
        full: &mut Fullness,
        tally: &mut Tally,
    ) -> Result<Option<R::Item>, Interrupt> {
        let items = self.reading.limits.items - full.items;
        let (processor, outputs) = (&mut self.processing.processor, &mut buffers.outputs);
        let (read, filtered, rest) = match &mut self.reading.input {
            Input::Direct(reader) => pass(|| reader.read_now(), processor, items, outputs),
            Input::Block(block) => pass(|| block.read_now(), processor, items, outputs),
            _ => return Ok(None),
        };
        full.items += read;
        tally.filtered += filtered;
        match rest {
            None => Ok(None),
            Some(Ok(item)) => Ok(Some(item)),
            Some(Err(error)) => {
                let error = error.with_origin(self.reading.input.origin().as_ref());
                Err(error_after("process", &error, 0, &self.processing.context))
            }
        }
    }

    /// Seals a chunk that is full, or the last one.
    pub(super) fn seal(&mut self, chunk: Filling<R::Item, P::Output>) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        let Filling { buffers, full, tally, end, .. } = chunk;
        self.skipped += tally.skips.count();
        let processor = self.processing.processor.checkpoint();
        let processor = processor.map_err(|error| failed("take the processor's checkpoint", &error))?;
        let seal = Seal { processor, ..self.reading.seal(&full, end)? };
        let totals = self.processing.totals.as_mut().map(ReadTally::seal).unwrap_or_default();
        let Tally { filtered, retries, skips, .. } = tally;
        Ok(Sealed { buffers, skips, filtered: count(filtered), retries, totals, seal })
    }
}

/// Passes up to so many items from a reader through a processor, neither of which waits. How many were read, how many
/// of them were filtered, and what ended it before.
///
/// A function of its own, so that the counters and the ends of the outputs stay in registers.
#[inline(never)]
fn pass<I: Send, P: ItemProcessor<I>>(
    mut read_now: impl FnMut() -> Option<I>,
    processor: &mut P,
    items: usize,
    into: &mut Vec<P::Output>,
) -> (usize, usize, Option<Result<I, ItemError>>) {
    let (mut read, mut filtered, mut rest) = (0, 0, None);
    let mut outputs = std::mem::take(into);
    while read < items {
        let Some(item) = read_now() else { break };
        read += 1;
        match processor.process_now(item) {
            Processed::Output(output) => outputs.push(output),
            Processed::Filtered => filtered += 1,
            Processed::Later(item) => {
                rest = Some(Ok(item));
                break;
            }
            Processed::Failed(error) => {
                rest = Some(Err(error));
                break;
            }
        }
    }
    *into = outputs;
    (read, filtered, rest)
}
