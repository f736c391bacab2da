//! Reads and processes a chunk, and seals it: its outputs, its counts, and the position behind its last item.

use super::totals::{ReadTally, Sums};
use super::{CopyItem, Skip};
use crate::engine::Event;
use crate::execution::{ExecutionContext, SkipPhase, SkippedItem, StepState};
use crate::item::{Checkpoint, ErrorKind, ItemError, ItemProcessor, ItemReader};
use crate::step::policy::random_share;
use crate::step::task::after_retries;
use crate::step::{BodyFault, RetryPolicy, Side, StepContext, StopRequested};

/// A chunk whose items are settled, ready to be written and committed. What was put into the contexts, and where the
/// reader stands, travels with it: nothing of a later chunk can be committed with an earlier one.
pub(super) struct Sealed<I, O> {
    pub(super) room: Room<I, O>,
    /// Items that were skipped by the way, in their order.
    pub(super) skips: Vec<SkippedItem>,
    pub(super) read: i64,
    pub(super) filtered: i64,
    pub(super) retries: i64,
    /// What it adds to the control totals.
    pub(super) totals: Vec<Sums>,
    /// The reader has said that there is no more.
    pub(super) end: bool,
    pub(super) checkpoint: Option<Checkpoint>,
    /// What the processor remembers behind the chunk's last item.
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

/// The reading half of a step.
pub(super) struct Filler<R: ItemReader, P: ItemProcessor<R::Item>> {
    pub(super) reader: R,
    pub(super) processor: P,
    pub(super) context: StepContext,
    pub(super) retry: RetryPolicy,
    pub(super) copy_item: Option<CopyItem<R>>,
    pub(super) skip: Option<Skip<R>>,
    /// Takes the control totals of what is read, where there are any.
    pub(super) totals: Option<ReadTally<R::Item, P::Output>>,
    /// Items skipped so far by the reading half alone.
    pub(super) skipped: u64,
    pub(super) size: usize,
}

/// What one chunk counts while it is filled.
#[derive(Default)]
struct Tally {
    retries: i64,
    skips: Vec<SkippedItem>,
}

/// What became of an item.
enum Settled<O> {
    Output(O),
    Filtered,
    Skipped,
}

impl<R: ItemReader, P: ItemProcessor<R::Item>> Filler<R, P> {
    /// Opens the reader and the processor.
    pub(super) async fn open(&mut self, state: &StepState) -> Result<(), Interrupt> {
        self.reader.open(state.reader.as_ref()).await.map_err(|error| failed("open the reader", &error))?;
        let processor = state.processor.as_ref();
        self.processor.open(processor).await.map_err(|error| failed("open the processor", &error))?;
        Ok(())
    }

    /// Closes both, whatever happens to one of them; the first fault is the one that is told.
    pub(super) async fn close(&mut self) -> Result<(), BodyFault> {
        let reader = self.reader.close().await.map_err(|error| failed("close the reader", &error));
        let processor = self.processor.close().await.map_err(|error| failed("close the processor", &error));
        reader.and(processor)
    }

    /// Reads up to `size` items, processes each at once, and seals the chunk, in room that is used again.
    #[inline]
    pub(super) async fn fill(
        &mut self,
        mut room: Room<R::Item, P::Output>,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        room.outputs.clear();
        room.inputs.clear();
        let (mut read, mut filtered, mut end) = (0_usize, 0_usize, false);
        let mut tally = Tally::default();
        while read < self.size {
            let item = match self.reader.read().await {
                Ok(Some(item)) => item,
                Ok(None) => {
                    end = true;
                    break;
                }
                Err(error) => match self.read_on(error, &mut tally).await? {
                    Some(item) => item,
                    None => {
                        end = true;
                        break;
                    }
                },
            };
            read += 1;
            if let Some(totals) = &mut self.totals {
                totals.read(&item)?;
            }
            match self.copy_item {
                None => match self.processor.process(item).await {
                    Ok(Some(output)) => room.outputs.push(output),
                    Ok(None) => {
                        filtered += 1;
                        if let Some(totals) = &mut self.totals {
                            totals.filtered()?;
                        }
                    }
                    Err(error) => return Err(fault_after("process", &error, 0, &self.context)),
                },
                Some(copy) => match self.process_again(&item, copy, &mut tally).await? {
                    Settled::Output(output) => {
                        room.outputs.push(output);
                        if self.skip.is_some() {
                            room.inputs.push(item);
                        }
                    }
                    Settled::Filtered => {
                        filtered += 1;
                        if let Some(totals) = &mut self.totals {
                            totals.filtered()?;
                        }
                    }
                    Settled::Skipped => {
                        if let Some(totals) = &mut self.totals {
                            totals.skipped()?;
                        }
                    }
                },
            }
        }
        self.seal(room, (read, filtered), tally, end)
    }

    fn seal(
        &mut self,
        room: Room<R::Item, P::Output>,
        (read, filtered): (usize, usize),
        tally: Tally,
        end: bool,
    ) -> Result<Sealed<R::Item, P::Output>, Interrupt> {
        let count = |items: usize| i64::try_from(items).unwrap_or(i64::MAX);
        let checkpoint = self.reader.checkpoint().map_err(|error| failed("take the reader's checkpoint", &error))?;
        let processor = self.processor.checkpoint();
        let processor = processor.map_err(|error| failed("take the processor's checkpoint", &error))?;
        let scope = self.context.scope();
        Ok(Sealed {
            read: count(read),
            filtered: count(filtered),
            retries: tally.retries,
            totals: self.totals.as_mut().map(ReadTally::seal).unwrap_or_default(),
            skips: tally.skips,
            end,
            checkpoint,
            processor,
            progress: self.reader.progress(),
            context: scope.context.take_change_of(Side::Settling),
            job_context: scope.job.context.take_change_of(Side::Settling),
            room,
        })
    }

    /// Repeats a read that failed, or goes on without the item. Only a transient fault leaves the position where it was: to
    /// read again after any other would lose the item that could not be read, unless it is kept as skipped.
    #[cold]
    async fn read_on(&mut self, mut error: ItemError, tally: &mut Tally) -> Result<Option<R::Item>, Interrupt> {
        let mut made = 0;
        loop {
            if error.kind() == ErrorKind::Transient && self.retry.allows(error.kind(), made) {
                made += 1;
                tally.retries += 1;
                wait(&self.retry, &self.context, made, &error).await?;
            } else {
                let fault = fault_after("read", &error, made, &self.context);
                self.skip_or(fault, SkipPhase::Read, &error, None, tally)?;
                made = 0;
            }
            match self.reader.read().await {
                Ok(item) => return Ok(item),
                Err(next) => error = next,
            }
        }
    }

    async fn process_again(
        &mut self,
        item: &R::Item,
        copy: CopyItem<R>,
        tally: &mut Tally,
    ) -> Result<Settled<P::Output>, Interrupt> {
        let mut made = 0;
        loop {
            let error = match self.processor.process(copy(item)).await {
                Ok(Some(output)) => return Ok(Settled::Output(output)),
                Ok(None) => return Ok(Settled::Filtered),
                Err(error) => error,
            };
            if !self.retry.allows(error.kind(), made) {
                let fault = fault_after("process", &error, made, &self.context);
                self.skip_or(fault, SkipPhase::Process, &error, Some(item), tally)?;
                return Ok(Settled::Skipped);
            }
            made += 1;
            tally.retries += 1;
            wait(&self.retry, &self.context, made, &error).await?;
        }
    }

    /// Keeps the item as skipped where the policy allows it, or passes the fault on. The limit over all phases is
    /// checked when the chunk is committed, in the order of the chunks; here it only ends a flood.
    #[cold]
    fn skip_or(
        &mut self,
        fault: Interrupt,
        phase: SkipPhase,
        error: &ItemError,
        item: Option<&R::Item>,
        tally: &mut Tally,
    ) -> Result<(), Interrupt> {
        let Some(skip) = self.skip.as_ref().filter(|skip| skip.policy.allows(error.kind())) else { return Err(fault) };
        if matches!(fault, Interrupt::Stopped) {
            return Err(fault);
        }
        self.skipped += 1;
        if self.skipped > skip.policy.limit() {
            return Err(BodyFault::Failed(skip.policy.exceeded(&error.to_string())).into());
        }
        let text = match item {
            Some(item) => (skip.describe)(item),
            None => error.raw().map(str::to_owned),
        };
        tally.skips.push(SkippedItem::new(phase, error.place(), text, error.cause_text()));
        Ok(())
    }
}

/// A fault in the author's part of the loop.
pub(super) fn failed(what: &str, error: &ItemError) -> BodyFault {
    BodyFault::Failed(format!("failed to {what}: {error}"))
}

/// A fault after `made` repetitions; an author's `check_stop()?` is a stop, not a fault.
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
