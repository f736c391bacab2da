//! Shared parts of the tests of PostgreSQL's readers and writers.

use std::any::Any;

use oxbatch_core::item::{Checkpoint, ItemError, ItemReader, ItemWriter};
use oxbatch_core::repository::{ChunkAck, ChunkSave, ChunkTransaction, RepositoryFuture};
use oxbatch_storage::{PostgresSettings, PostgresWriter};
use oxbatch_test_postgres::TestDatabase;
use serde::Serialize;

/// The chunk's transaction of a repository that is none of PostgreSQL: writers of other databases take no notice of it.
pub(crate) struct NoTransaction;

impl ChunkTransaction for NoTransaction {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn commit<'a>(&'a mut self, _: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck> {
        Box::pin(std::future::ready(Ok(ChunkAck { stop_requested: false })))
    }

    fn rollback(&mut self) -> RepositoryFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

pub(crate) fn settings(database: &TestDatabase) -> PostgresSettings {
    PostgresSettings::from_url(database.url()).unwrap()
}

pub(crate) async fn read_all<T: Send>(reader: &mut impl ItemReader<Item = T>) -> Vec<T> {
    let mut items = Vec::new();
    while let Some(item) = reader.read().await.unwrap() {
        items.push(item);
    }
    items
}

/// Writes one chunk, as the engine does: committed, or rolled back with its error.
pub(crate) async fn write_chunk<T: Serialize + Send + Sync>(
    writer: &mut PostgresWriter<T>,
    rows: &[T],
) -> Result<Checkpoint, ItemError> {
    match writer.write(rows, &mut NoTransaction).await {
        Ok(()) => {
            let checkpoint = writer.flush().await?.unwrap();
            writer.committed();
            Ok(checkpoint)
        }
        Err(error) => {
            writer.rolled_back().await.unwrap();
            Err(error)
        }
    }
}
