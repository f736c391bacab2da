//! `GroupingReader`: consecutive records that belong together as one item.

use std::path::PathBuf;

use super::peekable_reader::{Mark, PeekableReader};
use super::{BoxError, Checkpoint, ErrorKind, ItemError, ItemReader, Origin};

/// Reads consecutive items of another reader that belong together, such as the lines of one order, as one item.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, GroupingReader, ListReader};
///
/// #[derive(Clone)]
/// struct Line {
///     order: u64,
///     amount: u64,
/// }
///
/// let lines = [Line { order: 1, amount: 5 }, Line { order: 1, amount: 7 }, Line { order: 2, amount: 3 }];
/// let step = ChunkStep::builder("Sum up")
///     .reader(move |_| Ok(GroupingReader::new(ListReader::new(lines.clone()), |a, b| a.order == b.order)))
///     .writer(|_| Ok(FunctionWriter::new(|orders: &[Vec<Line>]| {
///         for lines in orders {
///             println!("{}", lines.iter().map(|line| line.amount).sum::<u64>());
///         }
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Orders").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// Two neighbours belong together when the author's function says so of the group's first item and the next one. The
/// input is not sorted: a key that comes again later makes another group.
///
/// # Restart
/// The checkpoint is always between two groups. It is an earlier checkpoint of the other reader together with the
/// number of items since, as [`PeekableReader`] says: a restart reads at most a group and
/// [`ANCHOR_ITEMS`](PeekableReader::ANCHOR_ITEMS) items once more.
///
/// # Errors
/// A record within a group that cannot be read makes the whole group one that cannot be read, with that record's error:
/// half an order must not pass for a whole one. Its other records are passed over and the next `read` goes on with the
/// next group. What is kept of a skipped group is that record, which says how many others went with it; a re-run of the
/// skipped items leaves it alone, for the record is no group. A record that cannot be read where a group would begin
/// stands alone, for nobody knows its key. A group of more than [`max_group_items`](Self::max_group_items) is an error
/// of kind [`ErrorKind::Validation`] and is passed over as well. An error of kind [`ErrorKind::Other`] ends the group
/// at once, for it may be one that stays. After a [transient](ErrorKind::Transient) error the next `read` goes on
/// within the group.
#[derive(Debug)]
pub struct GroupingReader<R: ItemReader, F> {
    reader: PeekableReader<R>,
    same: F,
    max_group_items: usize,
    /// The group that is being read.
    group: Vec<R::Item>,
    /// The error by which the group that is being read is none.
    error: Option<ItemError>,
    /// Records of that group beside the bad one.
    others: u64,
    /// The position before the group that is being read.
    border: Option<Mark>,
    /// The origin of the first item of the group.
    origin: Option<Origin>,
}

impl<R: ItemReader, F: FnMut(&R::Item, &R::Item) -> bool> GroupingReader<R, F> {
    /// Most items of a group unless [`max_group_items`](Self::max_group_items) says otherwise.
    pub const DEFAULT_MAX_GROUP_ITEMS: usize = 10_000;

    /// Groups the items of `reader` as long as `same` says of the first of a group and the next item that they belong
    /// together.
    pub fn new(reader: R, same: F) -> Self {
        Self {
            reader: PeekableReader::new(reader),
            same,
            max_group_items: Self::DEFAULT_MAX_GROUP_ITEMS,
            group: Vec::new(),
            error: None,
            others: 0,
            border: None,
            origin: None,
        }
    }

    /// Most items of a group, and the bound of the memory that one takes;
    /// [`DEFAULT_MAX_GROUP_ITEMS`](Self::DEFAULT_MAX_GROUP_ITEMS) when it is not set.
    #[must_use]
    pub fn max_group_items(mut self, items: usize) -> Self {
        self.max_group_items = items.max(1);
        self
    }

    /// The group ends here.
    fn end(&mut self) -> Result<Option<Vec<R::Item>>, ItemError> {
        self.border = Some(self.reader.mark()?);
        let group = std::mem::take(&mut self.group);
        match self.error.take() {
            Some(error) => Err(self.of_group(error)),
            None if group.is_empty() => Ok(None),
            None => Ok(Some(group)),
        }
    }

    /// Keeps the first error of the group, and of its items the first alone, by which the others are known.
    #[cold]
    fn spoil(&mut self, error: ItemError) {
        if self.error.is_some() {
            self.others += 1;
            return;
        }
        self.others = self.group.len() as u64;
        self.group.truncate(1);
        self.error = Some(error);
    }

    /// The error as one of the whole group: the raw text of one record must not pass for a group of its own.
    #[cold]
    fn of_group(&self, error: ItemError) -> ItemError {
        let others = self.others;
        let error = error.raw_is_part();
        if others == 0 || matches!(error.kind(), ErrorKind::Other | ErrorKind::Validation) {
            return error;
        }
        error.caused_by(|source| SpoiledGroup { others, source }.into())
    }
}

/// Around the error of a record that takes its group with it.
#[derive(Debug, thiserror::Error)]
#[error("a record cannot be read, and so its group with {others} other{} is left out", if *.others == 1 { "" } else { "s" })]
struct SpoiledGroup {
    others: u64,
    source: BoxError,
}

impl<R, F> ItemReader for GroupingReader<R, F>
where
    R: ItemReader,
    F: FnMut(&R::Item, &R::Item) -> bool + Send,
{
    type Item = Vec<R::Item>;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.group.clear();
        (self.error, self.border) = (None, None);
        self.reader.open(checkpoint).await?;
        self.border = Some(self.reader.mark()?);
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<Vec<R::Item>>, ItemError> {
        loop {
            let belongs = match self.reader.peek_on().await {
                Ok(Some(next)) => match self.group.first() {
                    Some(first) => (self.same)(first, next),
                    None => true,
                },
                Ok(None) => return self.end(),
                Err(error) if error.kind() == ErrorKind::Transient => return Err(error),
                Err(error) => {
                    let alone = self.group.is_empty();
                    self.spoil(error);
                    // The end of what cannot be read at all must not be searched for.
                    if alone || self.error.as_ref().is_some_and(|error| error.kind() == ErrorKind::Other) {
                        return self.end();
                    }
                    continue;
                }
            };
            if !belongs {
                return self.end();
            }
            if self.group.is_empty() {
                self.origin = self.reader.origin_of_peeked();
            }
            let Some(item) = self.reader.read().await? else { return self.end() };
            if self.error.is_some() {
                self.others += 1;
                continue;
            }
            self.group.push(item);
            if self.group.len() > self.max_group_items {
                let message = format!("a group has more than {} items", self.max_group_items);
                self.spoil(ItemError::validation(message));
            }
        }
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        PeekableReader::<R>::place_of(checkpoint)
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        match &self.border {
            Some(border) => border.checkpoint(),
            None => Err(ItemError::other("grouping reader is not open")),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.reader.files()
    }

    fn progress(&self) -> Option<f64> {
        self.reader.progress()
    }

    /// That of the first record.
    fn origin(&self) -> Option<Origin> {
        self.origin.clone()
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.group.clear();
        self.border = None;
        self.reader.close().await
    }
}
