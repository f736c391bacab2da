//! The processing of one item: its retries, and whether it is filtered or skipped.

use super::buffers::Buffers;
use super::interrupt::{Interrupt, error_after, unless_stopped, wait};
use super::settings::{CopyItem, Rules};
use super::tally::Tally;
use super::totals::ReadTally;
use crate::item::{ItemError, ItemProcessor, ItemReader, Origin};
use crate::listener::RetryPhase;
use crate::step::context::StepContext;
use crate::step::item_origin::ItemOrigin;
use crate::step::shared::Side;

/// A processor and the rules for items that it fails on.
pub(super) struct Processing<R: ItemReader, P: ItemProcessor<R::Item>> {
    pub(super) processor: P,
    pub(super) context: StepContext,
    /// Shows the processor the origins of its items, where it asks for them.
    pub(super) origin: ItemOrigin,
    pub(super) rules: Rules<R>,
    pub(super) copy: Option<CopyItem<R>>,
    /// True if the entries of an item that fails can be rolled back: it is the only processor.
    pub(super) undoes: bool,
    /// Takes the control totals of what is read, where there are any.
    pub(super) totals: Option<ReadTally<R::Item, P::Output>>,
}

impl<R: ItemReader, P: ItemProcessor<R::Item>> Processing<R, P> {
    /// Processes an item: its output is in the buffers, or the tally says why there is none. `origin` is asked for the
    /// item's only where it is needed.
    #[inline]
    pub(super) async fn process_item(
        &mut self,
        item: R::Item,
        origin: impl Fn() -> Option<Origin>,
        buffers: &mut Buffers<R::Item, P::Output>,
        tally: &mut Tally,
    ) -> Result<(), Interrupt> {
        if let Some(totals) = &mut self.totals {
            totals.read(&item)?;
        }
        if self.origin.is_wanted() {
            self.origin.set(origin());
        }
        match self.copy {
            None => match self.process(item).await? {
                Ok(Some(output)) => buffers.outputs.push(output),
                Ok(None) => self.filtered(tally)?,
                Err(error) => {
                    let error = error.with_origin(origin().as_ref());
                    return Err(error_after("process", &error, 0, &self.context));
                }
            },
            Some(copy) => self.process_copies((item, copy), origin, buffers, tally).await?,
        }
        Ok(())
    }

    /// A stop drops an item that is waited for; it is processed again by the next attempt.
    #[inline]
    async fn process(&mut self, item: R::Item) -> Result<Result<Option<P::Output>, ItemError>, Interrupt> {
        unless_stopped(&self.context, self.processor.process(item)).await.ok_or(Interrupt::Stopped)
    }

    /// Keeps what was put into the contexts so far: it is not rolled back with the next item.
    #[inline]
    fn mark(&self) {
        let scope = self.context.scope();
        scope.context.mark(Side::Processing);
        scope.job.context.mark(Side::Processing);
    }

    /// Undoes what the item has put into the contexts: it comes again, or is skipped.
    fn undo(&self) {
        // One of several processors puts nothing, and the reader's entries are not its own to roll back.
        if self.undoes {
            let scope = self.context.scope();
            scope.context.undo(Side::Processing);
            scope.job.context.undo(Side::Processing);
        }
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
    async fn process_copies(
        &mut self,
        (item, copy): (R::Item, CopyItem<R>),
        origin: impl Fn() -> Option<Origin>,
        buffers: &mut Buffers<R::Item, P::Output>,
        tally: &mut Tally,
    ) -> Result<(), Interrupt> {
        let mut made = 0;
        loop {
            if self.undoes {
                self.mark();
            }
            let error = match self.process(copy(&item)).await? {
                Ok(Some(output)) => {
                    buffers.outputs.push(output);
                    if self.rules.skip.is_some() {
                        buffers.inputs.push(item);
                        buffers.origins.push(origin());
                    }
                    return Ok(());
                }
                Ok(None) => return self.filtered(tally),
                Err(error) => self.rules.classified(error).with_origin(origin().as_ref()),
            };
            self.undo();
            if !self.rules.retry.repeats(&error, made) {
                let interrupt = error_after("process", &error, made, &self.context);
                tally.skip_or(self.rules.skip.as_ref(), interrupt, &error, Some(&item))?;
                if let Some(totals) = &mut self.totals {
                    totals.skipped()?;
                }
                return Ok(());
            }
            made += 1;
            tally.retries += 1;
            wait(&self.rules.retry, &self.context, RetryPhase::Process, made, &error).await?;
        }
    }
}
