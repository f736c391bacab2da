//! `TeeWriter`: to several writers at once.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Checkpoint, ItemError, ItemWriter};
use crate::repository::ChunkTransaction;

/// Writes each output to two writers; nested, to any number.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, ListReader, TeeWriter};
///
/// let print = || FunctionWriter::new(|chunk: &[u32]| {
///     println!("{chunk:?}");
///     Ok(())
/// });
/// let step = ChunkStep::builder("Export")
///     .reader(|_| Ok(ListReader::new([1, 2, 3])))
///     .writer(move |_| Ok(TeeWriter::new(print(), TeeWriter::new(print(), print()))));
/// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// All of them take part in the chunk: it is committed when each has written and flushed it, and rolled back in each
/// when one fails. The checkpoint holds that of each, by its place. **Exactly once** in each writer that is so by
/// itself. Two file writers of one step need different paths.
#[derive(Debug)]
pub struct TeeWriter<A, B> {
    first: A,
    second: B,
}

/// The checkpoint.
#[derive(Serialize, Deserialize)]
struct Positions {
    first: Option<Box<RawValue>>,
    second: Option<Box<RawValue>>,
}

impl<A, B> TeeWriter<A, B> {
    /// Writes to both, in this order.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<O: Send + Sync, A: ItemWriter<O>, B: ItemWriter<O>> ItemWriter<O> for TeeWriter<A, B> {
    fn inputs(&mut self, files: &[PathBuf]) {
        self.first.inputs(files);
        self.second.inputs(files);
    }

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let (first, second) = match checkpoint.map(Checkpoint::read::<Positions>).transpose()? {
            Some(positions) => (positions.first, positions.second),
            None => (None, None),
        };
        self.first.open(first.map(Checkpoint::from_raw).as_ref()).await?;
        self.second.open(second.map(Checkpoint::from_raw).as_ref()).await
    }

    async fn write(&mut self, outputs: &[O], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.first.write(outputs, transaction).await?;
        self.second.write(outputs, transaction).await
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let (first, second) = (self.first.flush().await?, self.second.flush().await?);
        if first.is_none() && second.is_none() {
            return Ok(None);
        }
        let [first, second] = [first, second].map(|checkpoint| checkpoint.map(Checkpoint::into_raw));
        Checkpoint::new(&Positions { first, second }).map(Some)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        self.first.sync().await?;
        self.second.sync().await
    }

    /// True if one of them can: it would keep twice what it were given one by one.
    fn can_roll_back(&self) -> bool {
        self.first.can_roll_back() || self.second.can_roll_back()
    }

    fn save_interval(&self) -> Option<Duration> {
        self.first.save_interval().into_iter().chain(self.second.save_interval()).min()
    }

    fn committed(&mut self) {
        self.first.committed();
        self.second.committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        // Both, whatever becomes of the first.
        let first = self.first.rolled_back().await;
        self.second.rolled_back().await?;
        first
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.first.finish(transaction).await?;
        self.second.finish(transaction).await
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        self.first.publish().await?;
        self.second.publish().await
    }

    async fn publish_copy(&mut self) -> Result<(), ItemError> {
        // Both, whatever becomes of the first: it is what people look at.
        let first = self.first.publish_copy().await;
        self.second.publish_copy().await?;
        first
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        let first = self.first.close().await;
        self.second.close().await?;
        first
    }
}
