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
        mut buffers: Buffers<R::Item, P::Output>,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        buffers.clear();
        let mut full = Fullness::default();
        let mut tally = Tally::new(self.skipped);
        let mut end = false;
        let mut at_hand = self.processes_at_hand();
        let mut timed = self.clock.begin();
        while self.reading.has_room(&full) {
            if at_hand && timed == 0 {
                let before = full.items;
                if let Some(item) = self.fill_at_hand(&mut buffers, &mut full, &mut tally)? {
                    self.process_item(item, &mut buffers, &mut tally).await?;
                }
                at_hand = full.items > before;
                continue;
            }
            let start = (timed > 0).then(Instant::now);
            let read = self.reading.next(&mut full, &mut tally).await?;
            let start = start.map(|start| self.clock.read(start));
            match read {
                Read::Item(item) => {
                    self.process_item(item, &mut buffers, &mut tally).await?;
                    if let Some(start) = start {
                        self.clock.processed(start);
                        timed -= 1;
                    }
                }
                Read::End => {
                    end = true;
                    break;
                }
                Read::Skipped => {}
                Read::Late | Read::Stopped => break,
            }
        }
        self.clock.end(full.items, &self.reading.context.scope().live);
        self.seal(buffers, &full, tally, end)
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
        let Input::Direct(reader) = &mut self.reading.input else { return Ok(None) };
        let items = self.reading.limits.items - full.items;
        let (read, filtered, rest) = pass(reader, &mut self.processing.processor, items, &mut buffers.outputs);
        full.items += read;
        tally.filtered += filtered;
        match rest {
            None => Ok(None),
            Some(Ok(item)) => Ok(Some(item)),
            Some(Err(error)) => {
                let error = error.with_origin(reader.origin().as_ref());
                Err(error_after("process", &error, 0, &self.processing.context))
            }
        }
    }

    fn seal(
        &mut self,
        buffers: Buffers<R::Item, P::Output>,
        full: &Fullness,
        tally: Tally,
        end: bool,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        self.skipped += tally.skips.count();
        let processor = self.processing.processor.checkpoint();
        let processor = processor.map_err(|error| failed("take the processor's checkpoint", &error))?;
        let seal = Seal { processor, ..self.reading.seal(full, end)? };
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
fn pass<R: ItemReader, P: ItemProcessor<R::Item>>(
    reader: &mut R,
    processor: &mut P,
    items: usize,
    into: &mut Vec<P::Output>,
) -> (usize, usize, Option<Result<R::Item, ItemError>>) {
    let (mut read, mut filtered, mut rest) = (0, 0, None);
    let mut outputs = std::mem::take(into);
    while read < items {
        let Some(item) = reader.read_now() else { break };
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
