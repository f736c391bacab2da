//! `NumberedReader`: the number of each item with it.

use super::counted::Counted;
use super::forward::forward_source;
use super::{Checkpoint, ItemError, ItemReader, Origin};

/// Reads the items of another reader with their numbers from 1:
/// [`ItemReaderExt::numbered`](super::ItemReaderExt::numbered).
///
/// They are counted through restarts: an item has the same number in each attempt, as long as the input is the same. An
/// item that cannot be read has a number too.
#[derive(Debug)]
pub struct NumberedReader<R> {
    counted: Counted<R>,
}

impl<R: ItemReader> NumberedReader<R> {
    /// Numbers the items of `reader`.
    pub fn new(reader: R) -> Self {
        Self { counted: Counted::new(reader) }
    }
}

impl<R: ItemReader> ItemReader for NumberedReader<R> {
    type Item = (u64, R::Item);

    const CANCEL_SAFE: bool = R::CANCEL_SAFE;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.counted.open(checkpoint).await
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<Self::Item>, ItemError> {
        let item = self.counted.read().await?;
        Ok(item.map(|item| (self.counted.items, item)))
    }

    #[inline]
    fn read_now(&mut self) -> Option<Self::Item> {
        let item = self.counted.read_now()?;
        Some((self.counted.items, item))
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        Counted::<R>::place_of(checkpoint)
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.counted.checkpoint()
    }

    fn progress(&self) -> Option<f64> {
        self.counted.reader.progress()
    }

    forward_source!(self => self.counted.reader);
}
