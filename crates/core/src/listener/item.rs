//! Listeners of items: reader, processor and writer of a step with calls around theirs, and without a cost for other
//! steps.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::call::caught;
use crate::execution::cause_chain;
use crate::item::{
    BoxError, Checkpoint, ErrorKind, ItemError, ItemProcessor, ItemReader, ItemWriter, Origin, Processed, Syncer,
};
use crate::repository::ChunkTransaction;
use crate::step::StepContext;

/// Is called around each read, each processing and each write of a chunk step, statically: `I` is what is read, `O`
/// what is written.
///
/// # Contract
/// - One instance sees all items of a step execution. Where several processors work at once, or a reader is ahead, it
///   is called from several threads.
/// - An error of `before_read` ends the step unless it is transient, since nothing was read that could be skipped;
///   those of `before_process` and `before_write` are treated as errors of the processor and the writer: repeated,
///   skipped or failed, by the policies of the step.
/// - What is repeated is called for again: copies of an item that is processed again, a chunk that is written again,
///   the parts of a chunk that are tried while an item is searched that cannot be written.
/// - In a re-run of skipped items nothing is called around the reads, since it is the kept items that are read.
pub trait ItemListener<I, O>: Send + Sync + 'static {
    /// The next item is to be read.
    fn before_read(&self, context: &StepContext) -> Result<(), ItemError> {
        let _ = context;
        Ok(())
    }

    /// An item was read. It is not called at the end of the input.
    fn after_read(&self, context: &StepContext, item: &I) -> Result<(), BoxError> {
        let _ = (context, item);
        Ok(())
    }

    /// An item could not be read.
    fn on_read_error(&self, context: &StepContext, error: &ItemError) -> Result<(), BoxError> {
        let _ = (context, error);
        Ok(())
    }

    /// An item is to be processed.
    fn before_process(&self, context: &StepContext, item: &I) -> Result<(), ItemError> {
        let _ = (context, item);
        Ok(())
    }

    /// An item was processed; `None` when it was filtered.
    fn after_process(&self, context: &StepContext, output: Option<&O>) -> Result<(), BoxError> {
        let _ = (context, output);
        Ok(())
    }

    /// An item could not be processed: the one of the last `before_process` on this thread.
    fn on_process_error(&self, context: &StepContext, error: &ItemError) -> Result<(), BoxError> {
        let _ = (context, error);
        Ok(())
    }

    /// The outputs of a chunk are to be written.
    fn before_write(&self, context: &StepContext, outputs: &[O]) -> Result<(), ItemError> {
        let _ = (context, outputs);
        Ok(())
    }

    /// The outputs of a chunk were written; they are not committed yet.
    fn after_write(&self, context: &StepContext, outputs: &[O]) -> Result<(), BoxError> {
        let _ = (context, outputs);
        Ok(())
    }

    /// The outputs of a chunk could not be written.
    fn on_write_error(&self, context: &StepContext, error: &ItemError, outputs: &[O]) -> Result<(), BoxError> {
        let _ = (context, error, outputs);
        Ok(())
    }
}

/// The author's function that builds an item listener for a step execution.
pub(crate) type ItemListenerFactory<L> = Arc<dyn Fn(&StepContext) -> Result<L, BoxError> + Send + Sync>;

/// The instance of a step execution, and the context that it sees.
struct Hook<L> {
    listener: Arc<L>,
    context: StepContext,
}

impl<L: Send + Sync + 'static> Hook<L> {
    fn new(factory: &ItemListenerFactory<L>, context: &StepContext) -> Result<Self, BoxError> {
        let key = Arc::as_ptr(factory).addr();
        let listener = context.scope().listening.instance(key, || factory(context))?;
        Ok(Self { listener, context: context.clone() })
    }

    #[inline]
    fn before(&self, call: impl FnOnce(&L, &StepContext) -> Result<(), ItemError>) -> Result<(), ItemError> {
        caught(|| call(&self.listener, &self.context))
    }

    #[inline]
    fn after(&self, method: &'static str, call: impl FnOnce(&L, &StepContext) -> Result<(), BoxError>) {
        if let Err(error) = caught(|| call(&self.listener, &self.context)) {
            self.context.listener_failed(method, &cause_chain(error.as_ref()));
        }
    }
}

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

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.reader.open(checkpoint).await
    }

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

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.reader.checkpoint()
    }

    fn progress(&self) -> Option<f64> {
        self.reader.progress()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.reader.files()
    }

    fn origin(&self) -> Option<Origin> {
        self.reader.origin()
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.reader.close().await
    }
}

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
    fn inputs(&mut self, files: &[PathBuf]) {
        self.writer.inputs(files);
    }

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.writer.open(checkpoint).await
    }

    async fn write(&mut self, outputs: &[O], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.hook.before(|listener, context| listener.before_write(context, outputs))?;
        let written = self.writer.write(outputs, transaction).await;
        match &written {
            Ok(()) => self.hook.after("after_write", |listener, context| listener.after_write(context, outputs)),
            Err(error) => {
                self.hook.after("on_write_error", |listener, context| listener.on_write_error(context, error, outputs))
            }
        }
        written
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.writer.flush().await
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        self.writer.sync().await
    }

    fn can_roll_back(&self) -> bool {
        self.writer.can_roll_back()
    }

    fn save_interval(&self) -> Option<Duration> {
        self.writer.save_interval()
    }

    fn committed(&mut self) {
        self.writer.committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.writer.rolled_back().await
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.writer.finish(transaction).await
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        self.writer.publish().await
    }

    async fn publish_copy(&mut self) -> Result<(), ItemError> {
        self.writer.publish_copy().await
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.writer.close().await
    }
}

macro_rules! debug {
    ($($name:ident<$($parameter:ident),*>;)*) => {$(
        impl<$($parameter),*> fmt::Debug for $name<$($parameter),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

debug! {
    ListenedReader<R, L, O>;
    ListenedProcessor<P, L>;
    ListenedWriter<W, L, I>;
}
