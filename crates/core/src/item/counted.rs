//! The count of a reader's items, kept through restarts: under `TakeReader` and `NumberedReader`.

use serde::{Deserialize, Serialize};

use super::{Checkpoint, ErrorKind, ItemError, ItemReader, Origin};

/// A reader and the number of items that it has returned, those included that could not be read.
#[derive(Debug)]
pub(super) struct Counted<R> {
    pub(super) reader: R,
    pub(super) items: u64,
}

/// The checkpoint: the count, and the position of the reader.
#[derive(Serialize, Deserialize)]
struct CountedPosition {
    items: u64,
    inner: Checkpoint,
}

impl<R: ItemReader> Counted<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, items: 0 }
    }

    pub(super) async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let position: Option<CountedPosition> = checkpoint.map(Checkpoint::read).transpose()?;
        self.items = position.as_ref().map_or(0, |position| position.items);
        self.reader.open(position.as_ref().map(|position| &position.inner)).await
    }

    #[inline]
    pub(super) async fn read(&mut self) -> Result<Option<R::Item>, ItemError> {
        let read = self.reader.read().await;
        self.items += match &read {
            Ok(item) => u64::from(item.is_some()),
            // After a transient error the reader stands before the item.
            Err(error) => u64::from(error.kind() != ErrorKind::Transient),
        };
        read
    }

    #[inline]
    pub(super) fn read_now(&mut self) -> Option<R::Item> {
        let item = self.reader.read_now()?;
        self.items += 1;
        Some(item)
    }

    pub(super) fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        R::place_of(&checkpoint.read::<CountedPosition>().ok()?.inner)
    }

    /// `None` for a reader that starts anew each time: its items are counted anew as well.
    pub(super) fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let Some(inner) = self.reader.checkpoint()? else { return Ok(None) };
        Checkpoint::new(&CountedPosition { items: self.items, inner }).map(Some)
    }
}
