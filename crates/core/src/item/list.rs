//! Items from and into memory: `ListReader`, `ListWriter`.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Checkpoint, ItemError, ItemReader, ItemWriter, Origin};
use crate::repository::ChunkTransaction;

/// Reads the items of a list. Resumes at an index.
#[derive(Debug)]
pub struct ListReader<T> {
    items: std::vec::IntoIter<T>,
    total: usize,
}

impl<T> ListReader<T> {
    /// Reads `items` in their order.
    pub fn new(items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<T> = items.into_iter().collect();
        Self { total: items.len(), items: items.into_iter() }
    }

    fn position(&self) -> usize {
        self.total - self.items.len()
    }
}

impl<T: Send> ItemReader for ListReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        let done: usize = checkpoint.read()?;
        if done > self.total {
            let message = format!("checkpoint is behind item {done}, but the list has only {} items", self.total);
            return Err(ItemError::other(message));
        }
        if done > 0 {
            self.items.nth(done - 1);
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        Ok(self.items.next())
    }

    #[inline]
    fn read_now(&mut self) -> Option<T> {
        self.items.next()
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        checkpoint.read().ok().map(Origin::behind_items)
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.position()).map(Some)
    }

    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn progress(&self) -> Option<f64> {
        (self.total > 0).then(|| self.position() as f64 / self.total as f64)
    }
}

/// Appends copies of the outputs to a list that the author keeps.
///
/// Exactly once as long as the process lives: a chunk that is rolled back leaves the list again. The list itself lives
/// in memory and is lost with the process.
#[derive(Debug)]
pub struct ListWriter<T> {
    list: Arc<Mutex<Vec<T>>>,
    pending: usize,
}

impl<T> ListWriter<T> {
    /// Appends to `list`, which the author keeps a handle of.
    pub fn new(list: Arc<Mutex<Vec<T>>>) -> Self {
        Self { list, pending: 0 }
    }
}

impl<T: Clone + Send + Sync> ItemWriter<T> for ListWriter<T> {
    async fn write(&mut self, outputs: &[T], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(outputs);
        self.pending += outputs.len();
        Ok(())
    }

    fn committed(&mut self) {
        self.pending = 0;
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = list.len().saturating_sub(self.pending);
        list.truncate(keep);
        self.pending = 0;
        Ok(())
    }
}
