//! `MapInputWriter`: a writer of what a function makes of each output.

use std::path::PathBuf;
use std::time::Duration;

use super::{Checkpoint, ItemError, ItemWriter};
use crate::repository::ChunkTransaction;

/// Short ways from a writer to one around it.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, ItemWriterExt, ListReader};
///
/// let step = ChunkStep::builder("Print")
///     .reader(|_| ListReader::new([1, 2, 3]))
///     .writer(|_| {
///         let lines = FunctionWriter::new(|chunk: &[String]| {
///             println!("{}", chunk.join("\n"));
///             Ok(())
///         });
///         lines.map_input(|number: &u32| format!("number {number}"))
///     });
/// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
pub trait ItemWriterExt: Sized {
    /// Writes what a function makes of each output of the step: for a writer that takes another type.
    fn map_input<O, T, F>(self, function: F) -> MapInputWriter<Self, T, F>
    where
        Self: ItemWriter<T>,
        T: Send + Sync,
        F: FnMut(&O) -> T + Send,
    {
        MapInputWriter::new(self, function)
    }
}

impl<W> ItemWriterExt for W {}

/// Gives another writer what a function makes of each output: [`ItemWriterExt::map_input`].
///
/// All else is the other writer's. The memory of a chunk is used again for the next.
pub struct MapInputWriter<W, T, F> {
    writer: W,
    function: F,
    mapped: Vec<T>,
}

impl<W, T, F> MapInputWriter<W, T, F> {
    /// Maps what `writer` is given.
    pub fn new(writer: W, function: F) -> Self {
        Self { writer, function, mapped: Vec::new() }
    }
}

impl<O, T, W, F> ItemWriter<O> for MapInputWriter<W, T, F>
where
    O: Send + Sync,
    T: Send + Sync,
    W: ItemWriter<T>,
    F: FnMut(&O) -> T + Send,
{
    fn inputs(&mut self, files: &[PathBuf]) {
        self.writer.inputs(files);
    }

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.writer.open(checkpoint).await
    }

    async fn write(&mut self, outputs: &[O], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.mapped.clear();
        self.mapped.extend(outputs.iter().map(&mut self.function));
        let written = self.writer.write(&self.mapped, transaction).await;
        self.mapped.clear();
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

impl<W: std::fmt::Debug, T, F> std::fmt::Debug for MapInputWriter<W, T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MapInputWriter").field("writer", &self.writer).finish_non_exhaustive()
    }
}
