//! The blocks of several files: those of one file come before those of the next.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{FilesPosition, Open, within};
use oxbatch_core::item::{BlockReader, Checkpoint, DecodedBlock, ItemError, ItemReader, Marks, Origin};

/// The files that the readers of their blocks share.
pub(super) struct Shared<R: ItemReader, F> {
    pub(super) open: Open<R>,
    make: F,
    /// The readers of the blocks of the file in hand, one for each that shares it, until it takes its own. None while
    /// the file cannot be shared.
    blocks: Vec<Option<Box<dyn BlockReader<R::Item>>>>,
    readers: usize,
}

/// Reads blocks of several files together with others.
struct FilesBlocks<R: ItemReader, F> {
    shared: Arc<Mutex<Shared<R, F>>>,
    /// Its place among those that share the files.
    index: usize,
    /// Files before the one in hand.
    done: usize,
    files: usize,
    list: u64,
    path: Option<Arc<Path>>,
    /// The reader of the blocks of the file in hand.
    block: Option<Box<dyn BlockReader<R::Item>>>,
    /// The outcome that was read in the place of a block. Neither it nor a block is there between two files and behind
    /// the last.
    single: Option<Single<R::Item>>,
}

/// An outcome of a file that cannot be shared yet, as one whose first record says how many fields there are.
struct Single<I> {
    item: Option<I>,
    /// The positions before and behind it.
    checkpoints: [Option<Checkpoint>; 2],
    origin: Option<Origin>,
    progress: Option<f64>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The outcome of a future that need not wait; a reader that can be split opens and ends without.
fn at_once<T>(future: impl Future<Output = Result<T, ItemError>>) -> Result<T, ItemError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => {
            Err(ItemError::other("a reader that workers share must open and close without waiting").fatal())
        }
    }
}

/// Splits the file in hand, and later those behind it. Gives everything back where the file cannot be split.
#[expect(clippy::type_complexity, reason = "the files and the function that makes their readers, as they were")]
pub(super) fn split<R, F>(
    mut open: Open<R>,
    make: F,
    readers: usize,
) -> Result<(Arc<Mutex<Shared<R, F>>>, Vec<Box<dyn BlockReader<R::Item>>>), (Open<R>, F)>
where
    R: ItemReader + 'static,
    F: FnMut(&Path) -> R + Send + 'static,
{
    let blocks = open.reader.as_mut().map(|reader| reader.split(readers)).unwrap_or_default();
    if blocks.is_empty() {
        return Err((open, make));
    }
    let (done, files, list) = (open.done, open.paths.len(), open.list);
    let readers = blocks.len();
    let shared = Shared { open, make, blocks: blocks.into_iter().map(Some).collect(), readers };
    let shared = Arc::new(Mutex::new(shared));
    let of = |index| -> Box<dyn BlockReader<R::Item>> {
        let shared = Arc::clone(&shared);
        Box::new(FilesBlocks { shared, index, done, files, list, path: None, block: None, single: None })
    };
    let all = (0..readers).map(of).collect();
    Ok((shared, all))
}

impl<R, F> Shared<R, F>
where
    R: ItemReader + 'static,
    F: FnMut(&Path) -> R + Send,
{
    /// Opens the next file, unless one is in hand, and splits it where it can be. `false` behind the last one.
    fn begin_file(&mut self) -> Result<bool, ItemError> {
        let Some(path) = self.open.paths.get(self.open.done) else { return Ok(false) };
        let reader = match &mut self.open.reader {
            Some(reader) => reader,
            none => {
                let mut reader = (self.make)(path);
                at_once(reader.open(None)).map_err(|error| within(path, error))?;
                none.insert(reader)
            }
        };
        if self.blocks.is_empty() {
            self.blocks = reader.split(self.readers).into_iter().map(Some).collect();
        }
        Ok(true)
    }

    /// Reads the next outcome of a file that cannot be shared yet; `false` at its end.
    fn read_single(&mut self, single: &mut Option<Single<R::Item>>) -> Result<bool, ItemError> {
        let (Some(reader), Some(path)) = (&mut self.open.reader, self.open.paths.get(self.open.done)) else {
            return Ok(false);
        };
        // A position that is not known cannot be saved: the block would have that of the start of the file.
        let position = |reader: &mut R| reader.checkpoint().map_err(|error| within(path, error).fatal());
        let before = position(reader)?;
        let read = at_once(reader.read()).map_err(|error| within(path, error));
        let (checkpoints, progress) = ([before, position(reader)?], reader.progress());
        let (item, origin) = match read {
            Ok(None) => return Ok(false),
            Ok(item) => (item, reader.origin()),
            Err(error) => {
                *single = Some(Single { item: None, checkpoints, origin: None, progress });
                return Err(error);
            }
        };
        *single = Some(Single { item, checkpoints, origin, progress });
        Ok(true)
    }

    fn end_file(&mut self) -> Result<(), ItemError> {
        self.blocks.clear();
        let path = self.open.paths.get(self.open.done).cloned().unwrap_or_default();
        self.open.done += 1;
        let Some(mut reader) = self.open.reader.take() else { return Ok(()) };
        at_once(reader.close()).map_err(|error| within(&path, error))
    }
}

impl<R, F> FilesBlocks<R, F>
where
    R: ItemReader + 'static,
    F: FnMut(&Path) -> R + Send,
{
    fn take_from(&mut self, shared: &mut Shared<R, F>, records: usize) -> Result<bool, ItemError> {
        self.single = None;
        loop {
            if self.done != shared.open.done {
                self.block = None;
            }
            let begun = shared.begin_file();
            self.done = shared.open.done;
            self.path = shared.open.paths.get(self.done).map(|path| Arc::from(path.as_path()));
            if !begun? {
                return Ok(false);
            }
            if self.block.is_none() {
                self.block = shared.blocks.get_mut(self.index).and_then(Option::take);
            }
            let taken = match (&mut self.block, &self.path) {
                (Some(block), Some(path)) => block.take(records).map_err(|error| within(path, error))?,
                _ => shared.read_single(&mut self.single)?,
            };
            if taken {
                return Ok(true);
            }
            self.block = None;
            self.done += 1;
            shared.end_file()?;
        }
    }
}

impl<R, F> BlockReader<R::Item> for FilesBlocks<R, F>
where
    R: ItemReader + 'static,
    F: FnMut(&Path) -> R + Send,
{
    fn take(&mut self, records: usize) -> Result<bool, ItemError> {
        let shared = Arc::clone(&self.shared);
        let mut shared = lock(&shared);
        self.take_from(&mut shared, records)
    }

    fn decode(&mut self, marks: Marks, into: &mut DecodedBlock<R::Item>) {
        into.items.extend(self.single.as_mut().and_then(|single| single.item.take()));
        let (Some(block), Some(path)) = (&mut self.block, &self.path) else { return };
        block.decode(marks, into);
        for (_, error) in &mut into.errors {
            let found = std::mem::replace(error, ItemError::other(""));
            *error = within(path, found);
        }
    }

    fn checkpoint(&mut self, outcomes: usize) -> Result<Option<Checkpoint>, ItemError> {
        let inner = match (&mut self.block, &self.single) {
            (Some(block), _) => block.checkpoint(outcomes)?,
            (None, Some(single)) => single.checkpoints[outcomes.min(1)].clone(),
            (None, None) => {
                return FilesPosition::checkpoint(self.done, (self.files, self.list), self.path.as_deref(), None)
                    .map(Some);
            }
        };
        // A reader that starts anew each time makes all of it start anew.
        if inner.is_none() {
            return Ok(None);
        }
        FilesPosition::checkpoint(self.done, (self.files, self.list), self.path.as_deref(), inner).map(Some)
    }

    fn origin(&self, outcome: usize) -> Option<Origin> {
        match (&self.block, &self.single) {
            (Some(block), _) => block.origin(outcome),
            (None, single) => single.as_ref()?.origin.clone(),
        }
    }

    fn progress(&self) -> Option<f64> {
        let of_block = self.block.as_ref().and_then(|block| block.progress());
        let of_file = of_block.or_else(|| self.single.as_ref()?.progress).unwrap_or_default();
        FilesPosition::progress(self.done, self.files, of_file)
    }
}
