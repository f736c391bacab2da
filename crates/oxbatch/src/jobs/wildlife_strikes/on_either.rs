//! `OnEither`: a reader or a writer of tables on whichever database keeps the executions.

use std::path::PathBuf;
use std::time::Duration;

use oxbatch::item::Checkpoint;
use oxbatch::repository::ChunkTransaction;
use oxbatch::{ItemError, ItemReader, ItemWriter};

/// One of two, chosen when the step is built.
#[derive(Debug)]
pub(super) enum OnEither<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// Calls the same method of the one that it is.
macro_rules! ask {
    ($self:ident, $part:ident => $call:expr) => {
        match $self {
            Self::Sqlite($part) => $call,
            Self::Postgres($part) => $call,
        }
    };
}

impl<S: ItemReader, P: ItemReader<Item = S::Item>> ItemReader for OnEither<S, P> {
    type Item = S::Item;

    const CANCEL_SAFE: bool = S::CANCEL_SAFE && P::CANCEL_SAFE;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        ask!(self, part => part.open(checkpoint).await)
    }

    async fn read(&mut self) -> Result<Option<Self::Item>, ItemError> {
        ask!(self, part => part.read().await)
    }

    fn read_now(&mut self) -> Option<Self::Item> {
        ask!(self, part => part.read_now())
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        ask!(self, part => part.checkpoint())
    }

    fn files(&self) -> Vec<PathBuf> {
        ask!(self, part => part.files())
    }

    fn progress(&self) -> Option<f64> {
        ask!(self, part => part.progress())
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        ask!(self, part => part.close().await)
    }
}

impl<O: Send + Sync, S: ItemWriter<O>, P: ItemWriter<O>> ItemWriter<O> for OnEither<S, P> {
    fn inputs(&mut self, files: &[PathBuf]) {
        ask!(self, part => part.inputs(files));
    }

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        ask!(self, part => part.open(checkpoint).await)
    }

    async fn write(&mut self, outputs: &[O], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        ask!(self, part => part.write(outputs, transaction).await)
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        ask!(self, part => part.flush().await)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        ask!(self, part => part.sync().await)
    }

    fn can_roll_back(&self) -> bool {
        ask!(self, part => part.can_roll_back())
    }

    fn save_interval(&self) -> Option<Duration> {
        ask!(self, part => part.save_interval())
    }

    fn committed(&mut self) {
        ask!(self, part => part.committed());
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        ask!(self, part => part.rolled_back().await)
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        ask!(self, part => part.finish(transaction).await)
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        ask!(self, part => part.publish().await)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        ask!(self, part => part.close().await)
    }
}
