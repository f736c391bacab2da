//! Reads and processes a chunk, and seals it: its outputs, its counts, and the position behind its last item.

use std::time::Duration;

use super::input::{Input, Read};
use super::process::{Processing, Tally};
use super::read::{Fullness, Reading};
use super::totals::{ReadTally, Sums};
use crate::engine::Event;
use crate::execution::{ExecutionContext, SkippedItem};
use crate::item::{Checkpoint, ItemError, ItemProcessor, ItemReader, Processed};
use crate::step::policy::random_share;
use crate::step::task::after_retries;
use crate::step::{BodyFault, RetryPolicy, Side, StepContext, StopRequested};

/// A chunk whose items are settled, ready to be written and committed. What was put into the contexts, and where the
/// reader stands, travels with it: nothing of a later chunk can be committed with an earlier one.
pub(super) struct Sealed<I, O> {
    pub(super) room: Room<I, O>,
    /// Items that were skipped by the way, in their order.
    pub(super) skips: Vec<SkippedItem>,
    pub(super) filtered: i64,
    pub(super) retries: i64,
    /// What it adds to the control totals.
    pub(super) totals: Vec<Sums>,
    pub(super) seal: Seal,
}

/// How things stand behind the last item of a chunk.
pub(super) struct Seal {
    pub(super) read: i64,
    /// The reader has said that there is no more.
    pub(super) end: bool,
    pub(super) checkpoint: Option<Checkpoint>,
    /// What the processor remembers.
    pub(super) processor: Option<Checkpoint>,
    pub(super) progress: Option<f64>,
    /// The step's and the job's context, as far as they changed.
    pub(super) context: Option<ExecutionContext>,
    pub(super) job_context: Option<ExecutionContext>,
}

/// What a chunk holds; its room is used again.
pub(super) struct Room<I, O> {
    pub(super) outputs: Vec<O>,
    /// The item of each output, where skipped items are kept.
    pub(super) inputs: Vec<I>,
}

impl<I, O> Room<I, O> {
    pub(super) fn clear(&mut self) {
        self.outputs.clear();
        self.inputs.clear();
    }
}

impl<I, O> Default for Room<I, O> {
    fn default() -> Self {
        Self { outputs: Vec::new(), inputs: Vec::new() }
    }
}

/// Why a chunk ends before its commit.
pub(super) enum Interrupt {
    /// A stop was requested while it waited.
    Stopped,
    /// A fault.
    Fault(BodyFault),
}

impl From<BodyFault> for Interrupt {
    fn from(fault: BodyFault) -> Self {
        Self::Fault(fault)
    }
}

/// The reading half of a step: one reader and one processor, item by item.
pub(super) struct Filler<R: ItemReader, P: ItemProcessor<R::Item>> {
    pub(super) reading: Reading<R>,
    pub(super) processing: Processing<R, P>,
    /// Items skipped so far by the reading half alone.
    pub(super) skipped: u64,
}

impl<R: ItemReader + 'static, P: ItemProcessor<R::Item>> Filler<R, P> {
    /// Closes reader and processor, whatever happens to one of them; the first fault is the one that is told.
    pub(super) async fn close(mut self, at_most: Duration, completed: bool) -> Result<(), BodyFault> {
        let told = if completed { self.processing.processor.completed().await } else { Ok(()) };
        let told = told.map_err(|error| failed("end the processing", &error));
        let reader = self.reading.input.close(at_most).await;
        let processor = self.processing.processor.close().await;
        let processor = processor.map_err(|error| failed("close the processor", &error));
        told.and(reader).and(processor)
    }

    /// Reads items up to the limits of a chunk, processes each at once, and seals the chunk, in room that is used again.
    #[inline]
    pub(super) async fn fill(
        &mut self,
        mut room: Room<R::Item, P::Output>,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        room.clear();
        let mut full = Fullness::default();
        let mut tally = Tally::new(self.left());
        let mut end = false;
        let mut at_hand = self.processes_at_hand();
        while self.reading.has_room(&full) {
            if at_hand {
                let before = full.items;
                if let Some(item) = self.fill_at_hand(&mut room, &mut full, &mut tally)? {
                    self.processing.settle(item, &mut room, &mut tally).await?;
                }
                at_hand = full.items > before;
                continue;
            }
            match self.reading.next(&mut full, &mut tally).await? {
                Read::Item(item) => self.processing.settle(item, &mut room, &mut tally).await?,
                Read::End => {
                    end = true;
                    break;
                }
                Read::Late | Read::Stopped => break,
            }
        }
        self.seal(room, &full, tally, end)
    }

    /// Whether items need nothing but to be processed.
    fn processes_at_hand(&self) -> bool {
        let (limits, Processing { copy, totals, .. }) = (&self.reading.limits, &self.processing);
        copy.is_none() && totals.is_none() && limits.weight.is_none() && limits.time.is_none()
    }

    /// Settles the items that are at hand, as far as neither reader nor processor has to wait. Gives an item back that the
    /// processor has to wait for.
    fn fill_at_hand(
        &mut self,
        room: &mut Room<R::Item, P::Output>,
        full: &mut Fullness,
        tally: &mut Tally,
    ) -> Result<Option<R::Item>, Interrupt> {
        let Input::Direct(reader) = &mut self.reading.input else { return Ok(None) };
        let items = self.reading.limits.items - full.items;
        let (read, filtered, rest) = pass(reader, &mut self.processing.processor, items, &mut room.outputs);
        full.items += read;
        tally.filtered += filtered;
        match rest {
            None => Ok(None),
            Some(Ok(item)) => Ok(Some(item)),
            Some(Err(error)) => Err(fault_after("process", &error, 0, &self.processing.context)),
        }
    }

    /// Skips that are left to the reading half alone.
    fn left(&self) -> u64 {
        let limit = self.reading.skip.as_ref().map_or(0, |skip| skip.policy.limit());
        limit.saturating_sub(self.skipped)
    }

    fn seal(
        &mut self,
        room: Room<R::Item, P::Output>,
        full: &Fullness,
        tally: Tally,
        end: bool,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        self.skipped += tally.skips.len() as u64;
        let processor = self.processing.processor.checkpoint();
        let processor = processor.map_err(|error| failed("take the processor's checkpoint", &error))?;
        let seal = Seal { processor, ..self.reading.seal(full, end)? };
        let totals = self.processing.totals.as_mut().map(ReadTally::seal).unwrap_or_default();
        let Tally { filtered, retries, skips, .. } = tally;
        Ok(Sealed { room, skips, filtered: count(filtered), retries, totals, seal })
    }
}

/// Passes up to so many items from a reader through a processor, neither of which waits. How many were read, how many of
/// them were filtered, and what ended it before.
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

impl<R: ItemReader + 'static> Reading<R> {
    /// How things stand now, behind the last item that was read.
    #[inline]
    pub(super) fn seal(&mut self, full: &Fullness, end: bool) -> Result<Seal, Interrupt> {
        let checkpoint = self.input.checkpoint()?;
        let scope = self.context.scope();
        Ok(Seal {
            read: count(full.items),
            end,
            checkpoint,
            processor: None,
            progress: self.input.progress(),
            context: scope.context.take_change_of(Side::Settling),
            job_context: scope.job.context.take_change_of(Side::Settling),
        })
    }
}

/// A count as it is stored.
pub(super) fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// A fault in the author's part of the loop.
pub(super) fn failed(what: &str, error: &ItemError) -> BodyFault {
    BodyFault::Failed(format!("failed to {what}: {error}"))
}

/// A fault after `made` repetitions; an author's `check_stop()?` is a stop, not a fault.
#[cold]
pub(super) fn fault_after(what: &str, error: &ItemError, made: u32, context: &StepContext) -> Interrupt {
    if context.is_stopping() && error.cause().is::<StopRequested>() {
        return Interrupt::Stopped;
    }
    Interrupt::Fault(BodyFault::Failed(format!("failed to {what}: {}", after_retries(error.to_string(), made))))
}

/// Tells of a repetition and waits before it, outside of any transaction.
pub(super) async fn wait(
    policy: &RetryPolicy,
    context: &StepContext,
    retry: u32,
    error: &ItemError,
) -> Result<(), Interrupt> {
    let delay = policy.delay(retry, random_share());
    context.scope().job.events.emit(&Event::RetryScheduled {
        execution_id: context.execution_id(),
        step_name: context.step_name(),
        retry,
        delay,
        cause: &error.to_string(),
    });
    context.sleep(delay).await.map_err(|StopRequested| Interrupt::Stopped)
}
