//! `ChainReader`: several readers of one type, one after another.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Checkpoint, ItemError, ItemReader, Origin, Position};

/// Reads what several named readers read, one after another.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{ChainReader, FunctionWriter, ListReader};
///
/// let step = ChunkStep::builder("Print")
///     .reader(|_| ChainReader::new().then("old", ListReader::new([1, 2])).then("new", ListReader::new([3])))
///     .writer(|_| FunctionWriter::new(|chunk: &[u32]| {
///         println!("{chunk:?}");
///         Ok(())
///     }));
/// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// They are of one type; those of several types become one by an enum of the author's that is a reader itself. Each is
/// opened when the one before it has ended and is closed.
///
/// # Restart
/// The checkpoint names the readers that are done, and holds the name and the position of the one that is read. Readers
/// may be added behind them; when those that are done or begun are others than before, the step fails and says so.
#[derive(Debug)]
pub struct ChainReader<R> {
    readers: Vec<(String, R)>,
    /// Readers that are done.
    done: usize,
    is_open: bool,
}

/// The checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct ChainPosition {
    done: Vec<String>,
    /// The reader that is read, once it is open.
    reader: Option<(String, Option<Checkpoint>)>,
}

impl<R> Default for ChainReader<R> {
    fn default() -> Self {
        Self { readers: Vec::new(), done: 0, is_open: false }
    }
}

impl<R: ItemReader> ChainReader<R> {
    /// Reads nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `reader` behind those that are there.
    #[must_use]
    pub fn then(mut self, name: impl Into<String>, reader: R) -> Self {
        self.readers.push((name.into(), reader));
        self
    }

    fn check_names(&self) -> Result<(), ItemError> {
        for (index, (name, _)) in self.readers.iter().enumerate() {
            if self.readers[..index].iter().any(|(other, _)| other == name) {
                return Err(ItemError::other(format!("two readers of a chain have the name '{name}'")));
            }
        }
        Ok(())
    }

    /// The names in the checkpoint must be those of the first readers.
    fn check_position(&self, position: &ChainPosition) -> Result<(), ItemError> {
        let before = position.done.iter().chain(position.reader.iter().map(|(name, _)| name));
        for (index, name) in before.enumerate() {
            if self.readers.get(index).is_none_or(|(now, _)| now != name) {
                let now = self.readers.get(index).map_or("none".to_owned(), |(now, _)| format!("'{now}'"));
                let number = index + 1;
                return Err(ItemError::other(format!(
                    "reader {number} of the chain was '{name}' in the last attempt and is {now} now; launch with force to start anew"
                )));
            }
        }
        Ok(())
    }

    async fn close_current(&mut self) -> Result<(), ItemError> {
        match self.readers.get_mut(self.done) {
            Some((_, reader)) if std::mem::take(&mut self.is_open) => reader.close().await,
            _ => Ok(()),
        }
    }
}

impl<R: ItemReader> ItemReader for ChainReader<R> {
    type Item = R::Item;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.check_names()?;
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        let position: ChainPosition = checkpoint.read()?;
        self.check_position(&position)?;
        self.done = position.done.len();
        if let (Some((_, reader)), Some((_, inner))) = (self.readers.get_mut(self.done), position.reader) {
            reader.open(inner.as_ref()).await?;
            self.is_open = true;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<R::Item>, ItemError> {
        while let Some((_, reader)) = self.readers.get_mut(self.done) {
            if !self.is_open {
                reader.open(None).await?;
                self.is_open = true;
            }
            if let Some(item) = reader.read().await? {
                return Ok(Some(item));
            }
            self.close_current().await?;
            self.done += 1;
        }
        Ok(None)
    }

    #[inline]
    fn read_now(&mut self) -> Option<R::Item> {
        match self.readers.get_mut(self.done) {
            Some((_, reader)) if self.is_open => reader.read_now(),
            _ => None,
        }
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        let (name, inner) = checkpoint.read::<ChainPosition>().ok()?.reader?;
        let within = inner.as_ref().and_then(R::place_of);
        let name = format!("reader '{name}'");
        let text = within.map_or_else(|| name.clone(), |place| format!("{name}, {place}"));
        Some(Origin::at(Position::Text(text.into())))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let done = self.readers[..self.done].iter().map(|(name, _)| name.clone()).collect();
        let reader = match self.readers.get_mut(self.done) {
            Some((name, reader)) if self.is_open => Some((name.clone(), reader.checkpoint()?)),
            _ => None,
        };
        Checkpoint::new(&ChainPosition { done, reader }).map(Some)
    }

    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn progress(&self) -> Option<f64> {
        let current = self.readers.get(self.done).filter(|_| self.is_open);
        let of_current = current.and_then(|(_, reader)| reader.progress()).unwrap_or_default();
        (!self.readers.is_empty()).then(|| (self.done as f64 + of_current) / self.readers.len() as f64)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.readers.iter().flat_map(|(_, reader)| reader.files()).collect()
    }

    fn origin(&self) -> Option<Origin> {
        self.readers.get(self.done).and_then(|(_, reader)| reader.origin())
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.close_current().await
    }
}
