//! Listeners of items: reader, processor and writer of a step with calls around theirs, and without a cost for other
//! steps.

mod processor;
mod reader;
mod writer;

use std::sync::Arc;

use super::call::caught;
use crate::execution::cause_chain;
use crate::item::{BoxError, ItemError};
use crate::step::StepContext;
pub use processor::ListenedProcessor;
pub use reader::ListenedReader;
pub use writer::ListenedWriter;

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
