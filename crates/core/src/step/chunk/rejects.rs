//! The reject output of a chunk step: what it goes on without, written with the chunk that commits it.

use std::sync::Arc;

use super::builder::ChunkStepBuilder;
use super::part::IntoWriter;
use super::reject_output::RejectOutput;
use super::settings::Factory;
use crate::item::{ItemReader, Reject};
use crate::step::context::StepContext;

impl<R: ItemReader, P, W> ChunkStepBuilder<R, P, W> {
    /// Writes what the step skips, in whatever phase, to an output of its own: a file of rejects that goes back to who
    /// sent the input, say. The function builds the writer of [`Reject`]s for each execution.
    ///
    /// - A reject is written with the chunk that commits its skip, and is as exact as its writer: once in a file or a
    ///   table of the repository's database, however often the chunk is replayed, the step is restarted or its process
    ///   is killed.
    /// - It is published with the step's output when the step completes. When the step FAILS, a copy of what is
    ///   committed so far is published, as far as the [writer can](crate::item::ItemWriter::publish_copy): people can
    ///   look at it, and the restart goes on with the output itself. A stop publishes nothing.
    /// - Without a [skip policy](Self::skip) there are no rejects, and the step is not built.
    ///
    /// ```
    /// use oxbatch::item::{FunctionWriter, ListReader, ListWriter, Reject};
    /// use oxbatch::{ChunkStep, ItemError, SkipPolicy};
    ///
    /// let step = ChunkStep::builder("Numbers")
    ///     .reader(|_| ListReader::new(["1", "x", "3"].map(str::to_owned)))
    ///     .try_map(|text: String| text.parse::<u32>().map_err(ItemError::parse))
    ///     .writer(|_| FunctionWriter::new(|_: &[u32]| Ok(())))
    ///     .skip(SkipPolicy::new(10))
    ///     .rejects(|_| ListWriter::<Reject>::new(Default::default()));
    /// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
    /// # Ok::<(), oxbatch::BuildError>(())
    /// ```
    #[must_use]
    pub fn rejects<T, F, How>(mut self, factory: F) -> Self
    where
        T: IntoWriter<Reject, How>,
        T::Writer: 'static,
        F: Fn(&StepContext) -> T + Send + Sync + 'static,
    {
        let factory: Factory<Box<dyn RejectOutput>> =
            Arc::new(move |context| Ok(Box::new(factory(context).into_writer()?) as Box<dyn RejectOutput>));
        self.settings.rejects = Some(factory);
        self
    }
}
