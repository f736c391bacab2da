//! `PeekableReader`: shows the next item of another reader before it is read.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Checkpoint, ErrorKind, ItemError, ItemReader, Origin};

/// Lets an author's reader look at the next item of another one before it reads it.
///
/// ```
/// use oxbatch::ItemReader;
/// use oxbatch::item::{ItemError, ListReader, PeekableReader};
///
/// # async fn example() -> Result<(), ItemError> {
/// let mut reader = PeekableReader::new(ListReader::new([1, 2, 3]));
/// reader.open(None).await?;
/// assert_eq!(reader.peek().await?, Some(&1));
/// assert_eq!(reader.read().await?, Some(1));
/// # Ok(())
/// # }
/// ```
///
/// # Restart
/// An item that was shown but not read is not behind the checkpoint. The other reader's own checkpoint is behind it
/// already, so an earlier one is kept together with the number of items since: a restart reads those once more, at most
/// [`ANCHOR_ITEMS`](Self::ANCHOR_ITEMS) of them. What has not been peeked at costs nothing.
#[derive(Debug)]
pub struct PeekableReader<R: ItemReader> {
    reader: R,
    /// The item that was shown, or the end.
    peeked: Option<Option<R::Item>>,
    anchor: Option<Arc<Checkpoint>>,
    /// Items and errors of the other reader behind the anchor, what was shown included.
    since: u64,
    /// The origin of the item that was returned last, while another one is shown.
    returned: Option<Origin>,
}

/// The checkpoint.
#[derive(Serialize, Deserialize)]
struct PeekedPosition {
    inner: Box<RawValue>,
    /// Items and errors to pass over behind it.
    pass_over: u64,
}

/// A position to which a restart can go back.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    anchor: Option<Arc<Checkpoint>>,
    since: u64,
}

impl Mark {
    /// The position as a checkpoint.
    pub(super) fn checkpoint(&self) -> Result<Option<Checkpoint>, ItemError> {
        let Some(anchor) = &self.anchor else { return Ok(None) };
        let inner = RawValue::from_string(anchor.as_json().to_owned())?;
        Checkpoint::new(&PeekedPosition { inner, pass_over: self.since }).map(Some)
    }
}

impl<R: ItemReader> PeekableReader<R> {
    /// Items after which the other reader's checkpoint is taken anew while items are peeked at.
    pub const ANCHOR_ITEMS: u64 = 256;

    /// Looks ahead of `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, peeked: None, anchor: None, since: 0, returned: None }
    }

    /// The item that the next `read` returns; `None` at the end.
    ///
    /// # Errors
    /// Those of the other reader's `read`. An item that cannot be read is behind the position then, as if `read` had
    /// met it.
    pub async fn peek(&mut self) -> Result<Option<&R::Item>, ItemError> {
        if self.peeked.is_none() {
            self.returned = self.reader.origin();
        }
        self.peek_on().await
    }

    /// As [`peek`](Self::peek), for a reader that keeps the origins of its items itself.
    pub(super) async fn peek_on(&mut self) -> Result<Option<&R::Item>, ItemError> {
        if self.peeked.is_none() {
            if self.anchor.is_none() || self.since >= Self::ANCHOR_ITEMS {
                self.anchor = self.reader.checkpoint()?.map(Arc::new);
                self.since = 0;
            }
            let item = self.read_on().await?;
            self.peeked = Some(item);
        }
        Ok(self.peeked.as_ref().and_then(Option::as_ref))
    }

    async fn read_on(&mut self) -> Result<Option<R::Item>, ItemError> {
        let item = self.reader.read().await;
        match &item {
            Ok(Some(_)) => self.since += 1,
            Err(error) if error.kind() != ErrorKind::Transient => self.since += 1,
            _ => {}
        }
        item
    }

    /// The origin of what was shown.
    pub(super) fn origin_of_peeked(&self) -> Option<Origin> {
        self.reader.origin()
    }

    /// The position before what was shown.
    pub(super) fn mark(&mut self) -> Result<Mark, ItemError> {
        match &self.peeked {
            Some(Some(_)) => Ok(Mark { anchor: self.anchor.clone(), since: self.since - 1 }),
            _ => {
                self.anchor = self.reader.checkpoint()?.map(Arc::new);
                self.since = 0;
                Ok(Mark { anchor: self.anchor.clone(), since: 0 })
            }
        }
    }
}

impl<R: ItemReader> ItemReader for PeekableReader<R> {
    type Item = R::Item;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        (self.peeked, self.anchor, self.since) = (None, None, 0);
        let Some(checkpoint) = checkpoint else { return self.reader.open(None).await };
        let position: PeekedPosition = checkpoint.read()?;
        self.reader.open(Some(&Checkpoint::from_raw(position.inner))).await?;
        for passed in 0..position.pass_over {
            match self.reader.read().await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let message = format!(
                        "checkpoint is behind {} more items, but the source ended after {passed}",
                        position.pass_over
                    );
                    return Err(ItemError::other(message));
                }
                Err(error) if error.kind() == ErrorKind::Transient => return Err(error),
                // It was reported when it was met first.
                Err(_) => {}
            }
        }
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<R::Item>, ItemError> {
        match self.peeked.take() {
            Some(item) => Ok(item),
            None => self.read_on().await,
        }
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        let PeekedPosition { inner, pass_over } = checkpoint.read().ok()?;
        let place = R::place_of(&Checkpoint::from_raw(inner))?;
        Some(if pass_over == 0 { place } else { place.and_items(pass_over) })
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.mark()?.checkpoint()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.reader.files()
    }

    fn progress(&self) -> Option<f64> {
        self.reader.progress()
    }

    fn origin(&self) -> Option<Origin> {
        match self.peeked {
            Some(_) => self.returned.clone(),
            None => self.reader.origin(),
        }
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.peeked = None;
        self.reader.close().await
    }
}
