//! `TakeReader`: the first items of a reader.

use super::counted::Counted;
use super::forward::forward_source;
use super::{Checkpoint, ItemError, ItemReader, Origin};

/// Reads the first items of another reader: [`ItemReaderExt::take`](super::ItemReaderExt::take).
///
/// They are counted through restarts: so many items at most in all attempts together. An item that cannot be read
/// counts too.
#[derive(Debug)]
pub struct TakeReader<R> {
    counted: Counted<R>,
    items: u64,
}

impl<R: ItemReader> TakeReader<R> {
    /// Reads at most so many items of `reader`.
    pub fn new(reader: R, items: u64) -> Self {
        Self { counted: Counted::new(reader), items }
    }
}

impl<R: ItemReader> ItemReader for TakeReader<R> {
    type Item = R::Item;

    const CANCEL_SAFE: bool = R::CANCEL_SAFE;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.counted.open(checkpoint).await
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<R::Item>, ItemError> {
        if self.counted.items >= self.items {
            return Ok(None);
        }
        self.counted.read().await
    }

    #[inline]
    fn read_now(&mut self) -> Option<R::Item> {
        if self.counted.items >= self.items {
            return None;
        }
        self.counted.read_now()
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        Counted::<R>::place_of(checkpoint)
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.counted.checkpoint()
    }

    /// The larger of two shares: of the items that are taken, and of the source.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn progress(&self) -> Option<f64> {
        let taken = if self.items == 0 { 1.0 } else { self.counted.items as f64 / self.items as f64 };
        Some(self.counted.reader.progress().unwrap_or_default().max(taken).min(1.0))
    }

    forward_source!(self => self.counted.reader);
}
