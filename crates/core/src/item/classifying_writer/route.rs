//! A route of a `ClassifyingWriter`: a function and a writer of what it makes, whose types are forgotten.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::item::{Checkpoint, ItemError, ItemWriter};
use crate::repository::ChunkTransaction;

/// A function and the writer of what it makes of the outputs.
pub(super) struct Mapped<W, T, F> {
    pub(super) writer: W,
    pub(super) function: F,
    /// Its part of the chunk; used again for all chunks.
    pub(super) mapped: Vec<T>,
}

/// A route whose types are forgotten: one virtual call and one box a chunk, none an item.
pub(super) trait ErasedRoute<O>: Send {
    fn inputs(&mut self, files: &[PathBuf]);
    fn open<'a>(&'a mut self, checkpoint: Option<&'a Checkpoint>) -> BoxFuture<'a, Result<(), ItemError>>;
    /// Writes those of the outputs that are chosen by their indexes.
    fn write<'a>(
        &'a mut self,
        outputs: &'a [O],
        chosen: &'a [usize],
        transaction: &'a mut dyn ChunkTransaction,
    ) -> BoxFuture<'a, Result<(), ItemError>>;
    fn flush(&mut self) -> BoxFuture<'_, Result<Option<Checkpoint>, ItemError>>;
    fn sync(&mut self) -> BoxFuture<'_, Result<(), ItemError>>;
    fn can_roll_back(&self) -> bool;
    fn save_interval(&self) -> Option<Duration>;
    fn committed(&mut self);
    fn rolled_back(&mut self) -> BoxFuture<'_, Result<(), ItemError>>;
    fn finish<'a>(&'a mut self, transaction: &'a mut dyn ChunkTransaction) -> BoxFuture<'a, Result<(), ItemError>>;
    fn publish(&mut self) -> BoxFuture<'_, Result<(), ItemError>>;
    fn publish_copy(&mut self) -> BoxFuture<'_, Result<(), ItemError>>;
    fn close(&mut self) -> BoxFuture<'_, Result<(), ItemError>>;
}

impl<O, T, W, F> ErasedRoute<O> for Mapped<W, T, F>
where
    O: Send + Sync + 'static,
    T: Send + Sync + 'static,
    W: ItemWriter<T>,
    F: FnMut(&O) -> T + Send,
{
    fn inputs(&mut self, files: &[PathBuf]) {
        self.writer.inputs(files);
    }

    fn open<'a>(&'a mut self, checkpoint: Option<&'a Checkpoint>) -> BoxFuture<'a, Result<(), ItemError>> {
        Box::pin(self.writer.open(checkpoint))
    }

    fn write<'a>(
        &'a mut self,
        outputs: &'a [O],
        chosen: &'a [usize],
        transaction: &'a mut dyn ChunkTransaction,
    ) -> BoxFuture<'a, Result<(), ItemError>> {
        let Self { writer, function, mapped } = self;
        mapped.clear();
        mapped.extend(chosen.iter().map(|index| function(&outputs[*index])));
        Box::pin(writer.write(mapped, transaction))
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<Option<Checkpoint>, ItemError>> {
        Box::pin(self.writer.flush())
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<(), ItemError>> {
        Box::pin(self.writer.sync())
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

    fn rolled_back(&mut self) -> BoxFuture<'_, Result<(), ItemError>> {
        Box::pin(self.writer.rolled_back())
    }

    fn finish<'a>(&'a mut self, transaction: &'a mut dyn ChunkTransaction) -> BoxFuture<'a, Result<(), ItemError>> {
        Box::pin(self.writer.finish(transaction))
    }

    fn publish(&mut self) -> BoxFuture<'_, Result<(), ItemError>> {
        Box::pin(self.writer.publish())
    }

    fn publish_copy(&mut self) -> BoxFuture<'_, Result<(), ItemError>> {
        Box::pin(self.writer.publish_copy())
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), ItemError>> {
        Box::pin(self.writer.close())
    }
}
