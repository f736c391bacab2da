//! `ListenedReader`: a reader with calls of an item listener around its reads.

use std::fmt;
use std::marker::PhantomData;

use super::{Hook, ItemListener, ItemListenerFactory};
use crate::item::forward::forward_reader;
use crate::item::{BoxError, ErrorKind, ItemError, ItemReader};
use crate::step::StepContext;

/// A reader with an [`ItemListener`] around it, of items that become `O`.
pub struct ListenedReader<R, L, O> {
    reader: R,
    hook: Hook<L>,
    /// `before_read` was called, and nothing read yet.
    begun: bool,
    /// The error of a `before_read` that could not be returned at once.
    refused: Option<ItemError>,
    outputs: PhantomData<fn() -> O>,
}

impl<R, L: Send + Sync + 'static, O> ListenedReader<R, L, O> {
    pub(crate) fn new(reader: R, factory: &ItemListenerFactory<L>, context: &StepContext) -> Result<Self, BoxError> {
        let hook = Hook::new(factory, context)?;
        Ok(Self { reader, hook, begun: false, refused: None, outputs: PhantomData })
    }
}

impl<R: ItemReader, L: ItemListener<R::Item, O>, O: 'static> ListenedReader<R, L, O> {
    #[inline]
    fn begin(&mut self) -> Result<(), ItemError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let begun = self.hook.before(|listener, context| listener.before_read(context));
        begun.map_err(|error| match error.kind() {
            ErrorKind::Transient => {
                self.begun = false;
                error
            }
            // Nothing was read, so there is nothing that could be skipped.
            _ => error.fatal(),
        })
    }

    #[inline]
    fn end(&mut self, item: &R::Item) {
        self.begun = false;
        self.hook.after("after_read", |listener, context| listener.after_read(context, item));
    }
}

impl<R: ItemReader, L: ItemListener<R::Item, O>, O: 'static> ItemReader for ListenedReader<R, L, O> {
    type Item = R::Item;

    const CANCEL_SAFE: bool = R::CANCEL_SAFE;

    async fn read(&mut self) -> Result<Option<R::Item>, ItemError> {
        match self.refused.take() {
            Some(refused) => return Err(refused),
            None => self.begin()?,
        }
        let read = self.reader.read().await;
        match &read {
            Ok(Some(item)) => self.end(item),
            Ok(None) => self.begun = false,
            Err(error) => {
                self.begun = false;
                self.hook.after("on_read_error", |listener, context| listener.on_read_error(context, error));
            }
        }
        read
    }

    #[inline]
    fn read_now(&mut self) -> Option<R::Item> {
        if let Err(refused) = self.begin() {
            self.refused = Some(refused);
            return None;
        }
        let item = self.reader.read_now()?;
        self.end(&item);
        Some(item)
    }

    forward_reader!(self => self.reader);
}

impl<R, L, O> fmt::Debug for ListenedReader<R, L, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenedReader").finish_non_exhaustive()
    }
}
