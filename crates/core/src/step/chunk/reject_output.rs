//! The writer of rejects as a chunk step calls it: its type is erased.

use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::item::{Checkpoint, ItemError, ItemWriter, Reject};
use crate::repository::ChunkTransaction;

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
