//! `ListenedWriter`: a writer with calls of an item listener around its writes.

use std::fmt;
use std::marker::PhantomData;

use super::{Hook, ItemListener, ItemListenerFactory};
use crate::item::forward::forward_writer;
use crate::item::{BoxError, ItemError, ItemWriter};
use crate::repository::{ChunkTransaction, RepositoryError};
use crate::step::StepContext;

/// A writer with an [`ItemListener`] around it, of outputs that were made of `I`.
pub struct ListenedWriter<W, L, I> {
    writer: W,
    hook: Hook<L>,
    items: PhantomData<fn() -> I>,
}

impl<W, L: Send + Sync + 'static, I> ListenedWriter<W, L, I> {
    pub(crate) fn new(writer: W, factory: &ItemListenerFactory<L>, context: &StepContext) -> Result<Self, BoxError> {
        Ok(Self { writer, hook: Hook::new(factory, context)?, items: PhantomData })
    }
}

impl<I, O, W, L> ItemWriter<O> for ListenedWriter<W, L, I>
where
    I: 'static,
    O: Send + Sync,
    W: ItemWriter<O>,
    L: ItemListener<I, O>,
{
    async fn write(&mut self, outputs: &[O], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.hook.before(|listener, context| listener.before_write(context, outputs))?;
        let written = match self.writer.write(outputs, transaction).await {
            // The listener is told how the write has ended.
            Ok(()) => transaction.settle().await.map_err(RepositoryError::into_item_error),
            Err(error) => Err(error),
        };
        match &written {
            Ok(()) => self.hook.after("after_write", |listener, context| listener.after_write(context, outputs)),
            Err(error) => {
                self.hook.after("on_write_error", |listener, context| listener.on_write_error(context, error, outputs))
            }
        }
        written
    }

    forward_writer!(self => self.writer);
}

impl<W, L, I> fmt::Debug for ListenedWriter<W, L, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenedWriter").finish_non_exhaustive()
    }
}
