//! The reject output of a chunk step: what it goes on without, written with the chunk that commits it.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::builder::ChunkStepBuilder;
use super::part::IntoWriter;
use super::settings::Factory;
use crate::item::{Checkpoint, ItemError, ItemReader, ItemWriter, Reject};
use crate::repository::ChunkTransaction;
use crate::step::context::StepContext;

type Done<'a, T> = BoxFuture<'a, Result<T, ItemError>>;

/// A writer of rejects whose type is erased: it is called for chunks, never for items.
pub(super) trait RejectOutput: Send {
    fn inputs(&mut self, files: &[PathBuf]);
    fn open<'a>(&'a mut self, checkpoint: Option<&'a Checkpoint>) -> Done<'a, ()>;
    fn write<'a>(&'a mut self, rejects: &'a [Reject], transaction: &'a mut dyn ChunkTransaction) -> Done<'a, ()>;
    fn flush(&mut self) -> Done<'_, Option<Checkpoint>>;
    fn sync(&mut self) -> Done<'_, ()>;
    fn committed(&mut self);
    fn rolled_back(&mut self) -> Done<'_, ()>;
    fn finish<'a>(&'a mut self, transaction: &'a mut dyn ChunkTransaction) -> Done<'a, ()>;
    fn publish(&mut self) -> Done<'_, ()>;
    fn publish_copy(&mut self) -> Done<'_, ()>;
    fn close(&mut self) -> Done<'_, ()>;
}

impl<W: ItemWriter<Reject>> RejectOutput for W {
    fn inputs(&mut self, files: &[PathBuf]) {
        ItemWriter::inputs(self, files);
    }

    fn open<'a>(&'a mut self, checkpoint: Option<&'a Checkpoint>) -> Done<'a, ()> {
        ItemWriter::open(self, checkpoint).boxed()
    }

    fn write<'a>(&'a mut self, rejects: &'a [Reject], transaction: &'a mut dyn ChunkTransaction) -> Done<'a, ()> {
        ItemWriter::write(self, rejects, transaction).boxed()
    }

    fn flush(&mut self) -> Done<'_, Option<Checkpoint>> {
        ItemWriter::flush(self).boxed()
    }

    fn sync(&mut self) -> Done<'_, ()> {
        ItemWriter::sync(self).boxed()
    }

    fn committed(&mut self) {
        ItemWriter::committed(self);
    }

    fn rolled_back(&mut self) -> Done<'_, ()> {
        ItemWriter::rolled_back(self).boxed()
    }

    fn finish<'a>(&'a mut self, transaction: &'a mut dyn ChunkTransaction) -> Done<'a, ()> {
        ItemWriter::finish(self, transaction).boxed()
    }

    fn publish(&mut self) -> Done<'_, ()> {
        ItemWriter::publish(self).boxed()
    }

    fn publish_copy(&mut self) -> Done<'_, ()> {
        ItemWriter::publish_copy(self).boxed()
    }

    fn close(&mut self) -> Done<'_, ()> {
        ItemWriter::close(self).boxed()
    }
}

impl<R: ItemReader, P, W> ChunkStepBuilder<R, P, W> {
    /// Writes what the step skips, in whatever phase, to an output of its own: a file of rejects that goes back to who
    /// sent the input, say. The function builds the writer of [`Reject`]s for each execution.
    ///
    /// - A reject is written with the chunk that commits its skip, and is as exact as its writer: once in a file or a
    ///   table of the repository's database, however often the chunk is replayed, the step is restarted or its process
    ///   is killed.
    /// - It is published with the step's output when the step completes. When the step FAILS, a copy of what is
    ///   committed so far is published, as far as the [writer can](ItemWriter::publish_copy): people can look at it,
    ///   and the restart goes on with the output itself. A stop publishes nothing.
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
