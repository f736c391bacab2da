//! The methods by which a chunk step is given its listeners.

use std::sync::Arc;

use super::builder::ChunkStepBuilder;
use crate::item::{BoxError, ItemProcessor, ItemReader, ItemWriter};
use crate::listener::{
    ItemListener, ItemListenerFactory, ListenedProcessor, ListenedReader, ListenedWriter, Listeners, step_methods,
};
use crate::step::context::StepContext;

impl<R: ItemReader, P, W> ChunkStepBuilder<R, P, W> {
    /// Adds listeners of the step, by a function that builds them for each step execution: see
    /// [`listener`](crate::listener).
    #[must_use]
    pub fn listener<F>(mut self, factory: F) -> Self
    where
        F: Fn(&StepContext) -> Result<Listeners, BoxError> + Send + Sync + 'static,
    {
        self.settings.listeners.add(factory);
        self
    }

    fn listen(mut self, listeners: Listeners) -> Self {
        self.settings.listeners.add_fixed(listeners);
        self
    }

    step_methods!(task);
    step_methods!(chunk);

    /// Calls a listener around each read, processing and write, built for each step execution. Set after reader,
    /// processor and writer; [`rerun_skips`](Self::rerun_skips) and [`preview`](Self::preview) come after it.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use oxbatch::item::{FunctionWriter, ListReader};
    /// use oxbatch::listener::ItemListener;
    /// use oxbatch::{BoxError, ChunkStep, StepContext};
    ///
    /// #[derive(Default)]
    /// struct Largest(AtomicU64);
    ///
    /// impl<O> ItemListener<u64, O> for Largest {
    ///     fn after_read(&self, _: &StepContext, item: &u64) -> Result<(), BoxError> {
    ///         self.0.fetch_max(*item, Ordering::Relaxed);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let step = ChunkStep::builder("Numbers")
    ///     .reader(|_| Ok(ListReader::new([1_u64, 3, 2])))
    ///     .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))))
    ///     .item_listener(|_| Ok(Largest::default()));
    /// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
    /// # Ok::<(), oxbatch::BuildError>(())
    /// ```
    #[must_use]
    #[expect(clippy::type_complexity, reason = "each part is the one that was there, with the listener around it")]
    pub fn item_listener<L, F>(
        self,
        factory: F,
    ) -> ChunkStepBuilder<ListenedReader<R, L, P::Output>, ListenedProcessor<P, L>, ListenedWriter<W, L, R::Item>>
    where
        R: 'static,
        R::Item: 'static,
        P: ItemProcessor<R::Item> + 'static,
        P::Output: 'static,
        W: ItemWriter<P::Output> + 'static,
        L: ItemListener<R::Item, P::Output>,
        F: Fn(&StepContext) -> Result<L, BoxError> + Send + Sync + 'static,
    {
        let Self { name, reader, processor, writer, settings, items, totals, rerun, preview, rules } = self;
        let factory: ItemListenerFactory<L> = Arc::new(factory);
        let (of_reader, of_processor) = (Arc::clone(&factory), Arc::clone(&factory));
        ChunkStepBuilder {
            name,
            reader: Arc::new(move |context| ListenedReader::new(reader(context)?, &of_reader, context)),
            processor: Arc::new(move |context| ListenedProcessor::new(processor(context)?, &of_processor, context)),
            writer: Arc::new(move |context| ListenedWriter::new(writer(context)?, &factory, context)),
            settings,
            items: items.of_another_reader(),
            totals,
            rerun,
            preview,
            rules,
        }
    }
}
