//! Shared parts of the tests of items: a transaction that does nothing, a small runtime, the engine's calls in their
//! order.

use std::any::Any;
use std::future::Future;
use std::path::Path;

use oxbatch_core::item::{Checkpoint, ItemError, ItemReader, ItemWriter};
use oxbatch_core::repository::{ChunkAck, ChunkSave, ChunkTransaction, RepositoryFuture};

/// The transaction of a store that these readers and writers do not use.
pub(crate) struct NoTransaction;

impl ChunkTransaction for NoTransaction {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn commit<'a>(&'a mut self, _: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck> {
        unreachable!("writers do not commit")
    }

    fn rollback(&mut self) -> RepositoryFuture<'_, ()> {
        unreachable!("writers do not roll back")
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A checkpoint that went through a store, which keeps its text.
pub(crate) fn stored(checkpoint: &Checkpoint) -> Checkpoint {
    let value: serde_json::Value = serde_json::from_str(checkpoint.as_json()).unwrap();
    Checkpoint::new(&value).unwrap()
}

/// Reads to the end.
pub(crate) async fn read_all<R: ItemReader>(reader: &mut R) -> Result<Vec<R::Item>, ItemError> {
    let mut items = Vec::new();
    while let Some(item) = reader.read().await? {
        items.push(item);
    }
    Ok(items)
}

/// Writes one chunk and flushes it; the commit is the caller's.
pub(crate) async fn write<O: Send + Sync, W: ItemWriter<O>>(
    writer: &mut W,
    outputs: &[O],
) -> Result<Checkpoint, ItemError> {
    if !outputs.is_empty() {
        writer.write(outputs, &mut NoTransaction).await?;
    }
    Ok(stored(&writer.flush().await?.unwrap()))
}

/// Finishes and publishes.
pub(crate) async fn end<O: Send + Sync, W: ItemWriter<O>>(writer: &mut W) -> Result<Checkpoint, ItemError> {
    writer.finish(&mut NoTransaction).await?;
    let checkpoint = stored(&writer.flush().await?.unwrap());
    writer.committed();
    writer.publish().await?;
    writer.close().await?;
    Ok(checkpoint)
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The result of a reader: its items, and its errors as text.
pub(crate) type Outcome<T> = Vec<Result<T, String>>;

/// Reads all, and wherever `restarts` says so, goes on with a new reader from the checkpoint. Ends at the error that no
/// other item comes behind.
pub(crate) fn outcomes<R: ItemReader>(make: impl Fn() -> R, restarts: &[bool]) -> Result<Outcome<R::Item>, ItemError> {
    let mut restarts = restarts.iter().copied().cycle();
    block_on(async {
        let mut reader = make();
        reader.open(None).await?;
        let mut outcomes = Vec::new();
        loop {
            if restarts.next().unwrap_or_default() {
                let checkpoint = stored(&reader.checkpoint()?.unwrap());
                reader = make();
                reader.open(Some(&checkpoint)).await?;
            }
            match reader.read().await {
                Ok(Some(item)) => outcomes.push(Ok(item)),
                Ok(None) => return Ok(outcomes),
                Err(error) => {
                    outcomes.push(Err(format!("{error:?}")));
                    if error.kind() != oxbatch_core::item::ErrorKind::Parse {
                        return Ok(outcomes);
                    }
                }
            }
        }
    })
}
