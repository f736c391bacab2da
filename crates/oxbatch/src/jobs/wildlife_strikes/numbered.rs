//! `Numbered`: a reader that numbers the items of another one, through restarts.

use std::path::PathBuf;

use oxbatch::item::{Checkpoint, ErrorKind};
use oxbatch::serde::{Deserialize, Serialize};
use oxbatch::{ItemError, ItemReader};
use serde_json::value::RawValue;

/// Gives each item of a reader its number, from 1. An item that cannot be read has a number, too.
#[derive(Debug)]
pub(super) struct Numbered<R> {
    inner: R,
    number: i64,
}

/// The number of the last item, and where the inner reader is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(crate = "oxbatch::serde")]
struct NumberedPosition {
    number: i64,
    inner: Option<Box<RawValue>>,
}

impl<R> Numbered<R> {
    /// Numbers the items of `inner`.
    pub(super) fn new(inner: R) -> Self {
        Self { inner, number: 0 }
    }
}

impl<R: ItemReader> ItemReader for Numbered<R> {
    type Item = (i64, R::Item);

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let Some(checkpoint) = checkpoint else { return self.inner.open(None).await };
        let place: NumberedPosition = checkpoint.read()?;
        self.number = place.number;
        let inner = place.inner.map(|inner| Checkpoint::new(&inner)).transpose()?;
        self.inner.open(inner.as_ref()).await
    }

    async fn read(&mut self) -> Result<Option<(i64, R::Item)>, ItemError> {
        let item = match self.inner.read().await {
            Ok(item) => item,
            Err(error) => {
                // Only after a transient error does the reader stand before the item.
                self.number += i64::from(error.kind() != ErrorKind::Transient);
                return Err(error);
            }
        };
        self.number += i64::from(item.is_some());
        Ok(item.map(|item| (self.number, item)))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let inner = self.inner.checkpoint()?;
        let inner = inner.map(|inner| RawValue::from_string(inner.as_json().to_owned())).transpose()?;
        Checkpoint::new(&NumberedPosition { number: self.number, inner }).map(Some)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.inner.files()
    }

    fn progress(&self) -> Option<f64> {
        self.inner.progress()
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.inner.close().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxbatch::item::ListReader;

    #[tokio::test]
    async fn numbers_go_on_where_they_were() {
        let mut reader = Numbered::new(ListReader::new(["a", "b", "c"]));
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some((1, "a")));
        assert_eq!(reader.read().await.unwrap(), Some((2, "b")));
        let checkpoint = reader.checkpoint().unwrap();
        let mut resumed = Numbered::new(ListReader::new(["a", "b", "c"]));
        resumed.open(checkpoint.as_ref()).await.unwrap();
        assert_eq!(resumed.read().await.unwrap(), Some((3, "c")));
        assert_eq!(resumed.read().await.unwrap(), None);
    }
}
