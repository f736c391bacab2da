//! `MapInputWriter`: a writer of what a function makes of each output.

use super::forward::forward_writer;
use super::{ItemError, ItemWriter};
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
    async fn write(&mut self, outputs: &[O], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.mapped.clear();
        self.mapped.extend(outputs.iter().map(&mut self.function));
        let written = self.writer.write(&self.mapped, transaction).await;
        self.mapped.clear();
        written
    }

    forward_writer!(self => self.writer);
}

impl<W: std::fmt::Debug, T, F> std::fmt::Debug for MapInputWriter<W, T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MapInputWriter").field("writer", &self.writer).finish_non_exhaustive()
    }
}
