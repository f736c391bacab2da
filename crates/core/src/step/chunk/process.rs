//! What becomes of one item: processed, repeated, filtered, skipped.

use super::fill::{Interrupt, Room, fault_after, wait};
use super::settings::{CopyItem, Skip};
use super::totals::ReadTally;
use crate::execution::{SkipPhase, SkippedItem};
use crate::item::{ItemError, ItemProcessor, ItemReader};
use crate::step::{BodyFault, RetryPolicy, StepContext};

/// What is counted while items are settled.
pub(super) struct Tally {
    pub(super) filtered: usize,
    pub(super) retries: i64,
    /// In the order of the items.
    pub(super) skips: Vec<SkippedItem>,
    /// How many more may be skipped. The limit over all phases is checked when the chunk is committed, in the order of the
    /// chunks; here it only ends a flood.
    left: u64,
}

impl Tally {
    pub(super) fn new(left: u64) -> Self {
        Self { filtered: 0, retries: 0, skips: Vec::new(), left }
    }

    /// Keeps an item as skipped where the policy allows it, or passes the fault on.
    #[cold]
    pub(super) fn skip_or<R: ItemReader>(
        &mut self,
        skip: Option<&Skip<R>>,
        fault: Interrupt,
        phase: SkipPhase,
        error: &ItemError,
        item: Option<&R::Item>,
    ) -> Result<(), Interrupt> {
        let Some(skip) = skip.filter(|skip| skip.policy.allows(error.kind())) else { return Err(fault) };
        if matches!(fault, Interrupt::Stopped) {
            return Err(fault);
        }
        if self.skips.len() as u64 >= self.left {
            return Err(BodyFault::Failed(skip.policy.exceeded(&error.to_string())).into());
        }
        self.skips.push(skip.kept(phase, item, error));
        Ok(())
    }
}

/// A processor and the rules for items that it fails on.
pub(super) struct Processing<R: ItemReader, P: ItemProcessor<R::Item>> {
    pub(super) processor: P,
    pub(super) context: StepContext,
    pub(super) retry: RetryPolicy,
    pub(super) copy: Option<CopyItem<R>>,
    pub(super) skip: Option<Skip<R>>,
    /// Takes the control totals of what is read, where there are any.
    pub(super) totals: Option<ReadTally<R::Item, P::Output>>,
}

impl<R: ItemReader, P: ItemProcessor<R::Item>> Processing<R, P> {
    /// Settles an item: its output is in the room, or the tally tells why there is none.
    #[inline]
    pub(super) async fn settle(
        &mut self,
        item: R::Item,
        room: &mut Room<R::Item, P::Output>,
        tally: &mut Tally,
    ) -> Result<(), Interrupt> {
        if let Some(totals) = &mut self.totals {
            totals.read(&item)?;
        }
        match self.copy {
            None => match self.processor.process(item).await {
                Ok(Some(output)) => room.outputs.push(output),
                Ok(None) => self.filtered(tally)?,
                Err(error) => return Err(fault_after("process", &error, 0, &self.context)),
            },
            Some(copy) => self.settle_copies(item, copy, room, tally).await?,
        }
        Ok(())
    }

    #[inline]
    fn filtered(&mut self, tally: &mut Tally) -> Result<(), Interrupt> {
        tally.filtered += 1;
        if let Some(totals) = &mut self.totals {
            totals.filtered()?;
        }
        Ok(())
    }

    /// Processes copies of the item, as often as that is allowed.
    async fn settle_copies(
        &mut self,
        item: R::Item,
        copy: CopyItem<R>,
        room: &mut Room<R::Item, P::Output>,
        tally: &mut Tally,
    ) -> Result<(), Interrupt> {
        let mut made = 0;
        loop {
            let error = match self.processor.process(copy(&item)).await {
                Ok(Some(output)) => {
                    room.outputs.push(output);
                    if self.skip.is_some() {
                        room.inputs.push(item);
                    }
                    return Ok(());
                }
                Ok(None) => return self.filtered(tally),
                Err(error) => error,
            };
            if !self.retry.allows(error.kind(), made) {
                let fault = fault_after("process", &error, made, &self.context);
                tally.skip_or(self.skip.as_ref(), fault, SkipPhase::Process, &error, Some(&item))?;
                if let Some(totals) = &mut self.totals {
                    totals.skipped()?;
                }
                return Ok(());
            }
            made += 1;
            tally.retries += 1;
            wait(&self.retry, &self.context, made, &error).await?;
        }
    }
}
