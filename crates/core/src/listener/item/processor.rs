//! `ListenedProcessor`: a processor with calls of an item listener around each item.

use std::fmt;

use super::{Hook, ItemListener, ItemListenerFactory};
use crate::item::{BoxError, Checkpoint, ItemError, ItemProcessor, Processed, Syncer};
use crate::step::StepContext;

/// A processor with an [`ItemListener`] around it.
pub struct ListenedProcessor<P, L> {
    processor: P,
    hook: Hook<L>,
    /// `before_process` was called for an item that was given back.
    begun: bool,
}

impl<P, L: Send + Sync + 'static> ListenedProcessor<P, L> {
    pub(crate) fn new(processor: P, factory: &ItemListenerFactory<L>, context: &StepContext) -> Result<Self, BoxError> {
        Ok(Self { processor, hook: Hook::new(factory, context)?, begun: false })
    }

    fn end<I, O>(&self, output: Option<&O>)
    where
        L: ItemListener<I, O>,
    {
        self.hook.after("after_process", |listener, context| listener.after_process(context, output));
    }

    #[cold]
    fn fail<I, O>(&self, error: &ItemError)
    where
        L: ItemListener<I, O>,
    {
        self.hook.after("on_process_error", |listener, context| listener.on_process_error(context, error));
    }
}

impl<I, P, L> ItemProcessor<I> for ListenedProcessor<P, L>
where
    I: Send,
    P: ItemProcessor<I>,
    L: ItemListener<I, P::Output>,
{
    type Output = P::Output;

    const NEEDS_ALL_ITEMS: bool = P::NEEDS_ALL_ITEMS;
    const IS_SYNCHRONOUS: bool = P::IS_SYNCHRONOUS;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.processor.open(checkpoint).await
    }

    async fn process(&mut self, item: I) -> Result<Option<P::Output>, ItemError> {
        let begun = match std::mem::take(&mut self.begun) {
            true => Ok(()),
            false => self.hook.before(|listener, context| listener.before_process(context, &item)),
        };
        let processed = match begun {
            Ok(()) => self.processor.process(item).await,
            Err(error) => return Err(error),
        };
        match &processed {
            Ok(output) => self.end::<I, P::Output>(output.as_ref()),
            Err(error) => self.fail::<I, P::Output>(error),
        }
        processed
    }

    #[inline]
    fn process_now(&mut self, item: I) -> Processed<I, P::Output> {
        if let Err(error) = self.hook.before(|listener, context| listener.before_process(context, &item)) {
            return Processed::Failed(error);
        }
        let processed = self.processor.process_now(item);
        match &processed {
            Processed::Output(output) => self.end::<I, P::Output>(Some(output)),
            Processed::Filtered => self.end::<I, P::Output>(None),
            Processed::Failed(error) => self.fail::<I, P::Output>(error),
            Processed::Later(_) => self.begun = true,
        }
        processed
    }

    fn roll_back(&mut self) {
        self.processor.roll_back();
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.processor.checkpoint()
    }

    fn syncer(&mut self) -> Result<Option<Syncer>, ItemError> {
        self.processor.syncer()
    }

    async fn completed(&mut self) -> Result<(), ItemError> {
        self.processor.completed().await
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.processor.close().await
    }
}

impl<P, L> fmt::Debug for ListenedProcessor<P, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenedProcessor").finish_non_exhaustive()
    }
}
