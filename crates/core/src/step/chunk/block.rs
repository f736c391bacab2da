//! A block in the hands of a worker: taken, decoded, then read item by item in its turn.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::sync::OwnedMutexGuard;

use crate::item::{BlockReader, Checkpoint, DecodedBlock, ErrorKind, ItemError, Marks, Origin};

/// The state of the source, behind the lock that a reader holds while it takes a block.
#[derive(Debug, Default)]
pub(super) struct Taking {
    /// The number of the next block.
    pub(super) next: u64,
    /// There is no other block.
    pub(super) ended: bool,
}

/// The next of a block that is no error.
pub(super) enum Next<I> {
    Item(I),
    /// The source has ended within the block.
    End,
    /// The block is over.
    BlockEnd,
}

/// A block, in the place of the reader that its items are read from.
pub(super) struct Block<I> {
    reader: Box<dyn BlockReader<I>>,
    decoded: DecodedBlock<I>,
    /// Outcomes that were read.
    settled: usize,
    /// The outcomes before the next error; more than there are when there is none.
    next_error: usize,
    /// Most records of a block.
    records: usize,
    /// The source has ended within it.
    ends: bool,
    /// The author's code has panicked behind the last outcome.
    panic: Option<Box<dyn Any + Send>>,
    /// The last outcome was an error after which the same record is read again.
    again: bool,
    /// Held until the turn as long as the block decides whether and where the source goes on.
    source: Option<OwnedMutexGuard<Taking>>,
}

impl<I> Block<I> {
    /// Takes the next block off the source, and its number.
    pub(super) fn take(
        reader: Box<dyn BlockReader<I>>,
        mut source: OwnedMutexGuard<Taking>,
        records: usize,
    ) -> (u64, Self) {
        let number = source.next;
        source.next += 1;
        let mut block = Self {
            reader,
            decoded: DecodedBlock::default(),
            settled: 0,
            next_error: usize::MAX,
            records,
            ends: false,
            panic: None,
            again: false,
            source: None,
        };
        match catch_unwind(AssertUnwindSafe(|| block.reader.take(records))) {
            Ok(Ok(true)) => return (number, block),
            Ok(Ok(false)) => block.ends = true,
            Ok(Err(error)) => {
                block.fail(error);
                block.source = Some(source);
                return (number, block);
            }
            Err(panic) => (block.ends, block.panic) = (true, Some(panic)),
        }
        source.ended = true;
        (number, block)
    }

    /// The error is the only outcome.
    fn fail(&mut self, error: ItemError) {
        self.decoded.errors.push_back((0, error));
        self.next_error = 0;
    }

    /// Makes items of the records, where there are any.
    pub(super) fn decode(&mut self, marks: Marks) {
        if self.ends || self.source.is_some() {
            return;
        }
        let decoded = catch_unwind(AssertUnwindSafe(|| self.reader.decode(marks, &mut self.decoded)));
        self.panic = decoded.err();
        self.find_error();
    }

    fn find_error(&mut self) {
        self.next_error = self.decoded.errors.front().map_or(usize::MAX, |(before, _)| *before);
    }

    /// The reader, for another block.
    pub(super) fn into_reader(self) -> Box<dyn BlockReader<I>> {
        self.reader
    }

    /// The next item, when it is one.
    #[inline]
    pub(super) fn read_now(&mut self) -> Option<I> {
        if self.settled == self.next_error {
            return None;
        }
        let item = self.decoded.items.pop_front()?;
        self.settled += 1;
        Some(item)
    }

    /// The next item, or what stands there instead.
    pub(super) fn read(&mut self) -> Result<Next<I>, ItemError> {
        if std::mem::take(&mut self.again) {
            self.take_again();
        }
        if let Some(item) = self.read_now() {
            return Ok(Next::Item(item));
        }
        if self.settled == self.next_error
            && let Some((_, error)) = self.decoded.errors.pop_front()
        {
            self.settled += 1;
            self.find_error();
            self.again = error.kind() == ErrorKind::Transient && self.source.is_some();
            return Err(error);
        }
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
        Ok(if self.ends { Next::End } else { Next::BlockEnd })
    }

    /// Takes the same records once more. The source was not let go since they could not be taken.
    #[cold]
    fn take_again(&mut self) {
        (self.settled, self.next_error) = (0, usize::MAX);
        match self.reader.take(self.records) {
            Ok(true) => {
                self.reader.decode(Marks { first: 1, every: self.records }, &mut self.decoded);
                self.find_error();
            }
            Ok(false) => {
                self.ends = true;
                if let Some(source) = &mut self.source {
                    source.ended = true;
                }
            }
            Err(error) => self.fail(error),
        }
    }

    /// The position behind the last outcome.
    pub(super) fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.reader.checkpoint(self.settled)
    }

    pub(super) fn progress(&self) -> Option<f64> {
        self.reader.progress()
    }

    /// The origin of the last outcome.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.reader.origin(self.settled.checked_sub(1)?)
    }
}
