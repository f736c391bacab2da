//! The author's own functions as reader, processor and writer.

use std::future::Future;
use std::iter::Fuse;

use futures_util::future::BoxFuture;

use super::{Checkpoint, ItemError, ItemProcessor, ItemReader, ItemWriter, Origin, Processed};
use crate::repository::ChunkTransaction;

/// Reads what an iterator returns.
///
/// An iterator cannot seek: on resume the factory builds it anew and the items that are done are passed over, so it
/// must return the same items in the same order each time. Items that may fail, and sources that can seek, are read by
/// a [`StreamReader`](super::StreamReader).
#[derive(Debug)]
pub struct IteratorReader<I> {
    iterator: Fuse<I>,
    done: u64,
}

impl<I: Iterator> IteratorReader<I> {
    /// Reads the items of `iterator`.
    pub fn new(iterator: impl IntoIterator<IntoIter = I>) -> Self {
        Self { iterator: iterator.into_iter().fuse(), done: 0 }
    }
}

impl<I: Iterator<Item: Send> + Send> ItemReader for IteratorReader<I> {
    type Item = I::Item;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        let done: u64 = checkpoint.read()?;
        while self.done < done {
            if self.iterator.next().is_none() {
                let message =
                    format!("checkpoint is behind item {done}, but the iterator ended after {} items", self.done);
                return Err(ItemError::other(message));
            }
            self.done += 1;
        }
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<I::Item>, ItemError> {
        Ok(self.read_now())
    }

    #[inline]
    fn read_now(&mut self) -> Option<I::Item> {
        let item = self.iterator.next()?;
        self.done += 1;
        Some(item)
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        checkpoint.read().ok().map(Origin::behind_items)
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.done).map(Some)
    }
}

/// Processes each item by a function that returns the output, or `None` to filter the item.
///
/// A function that remembers items sees only some of them in a step with several processors at once: write an
/// [`ItemProcessor`] that [says that it must see all](ItemProcessor::NEEDS_ALL_ITEMS).
#[derive(Debug)]
pub struct FunctionProcessor<F> {
    function: F,
}

impl<F> FunctionProcessor<F> {
    /// Processes by `function`.
    pub fn new<I, O>(function: F) -> Self
    where
        F: FnMut(I) -> Result<Option<O>, ItemError>,
    {
        Self { function }
    }
}

impl<I, O, F> ItemProcessor<I> for FunctionProcessor<F>
where
    I: Send,
    O: Send + Sync,
    F: FnMut(I) -> Result<Option<O>, ItemError> + Send,
{
    type Output = O;

    const IS_SYNCHRONOUS: bool = true;

    #[inline]
    async fn process(&mut self, item: I) -> Result<Option<O>, ItemError> {
        (self.function)(item)
    }

    #[inline]
    fn process_now(&mut self, item: I) -> Processed<I, O> {
        (self.function)(item).into()
    }
}

/// Processes each item by an async function that returns the output, or `None` to filter the item.
///
/// ```
/// use std::time::Duration;
///
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{AsyncFunctionProcessor, FunctionWriter, ListReader};
///
/// let step = ChunkStep::builder("Ask")
///     .reader(|_| Ok(ListReader::new(["Canada goose", "Hawk"])))
///     .processor(|_| {
///         Ok(AsyncFunctionProcessor::new(|species: &'static str| async move {
///             tokio::time::sleep(Duration::from_millis(1)).await;
///             Ok((species != "Hawk").then_some(species))
///         }))
///     })
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[&str]| {
///         println!("{chunk:?}");
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// Its future owns what it needs; nothing is boxed. It runs on the step's own runtime, with timers and sockets.
#[derive(Debug)]
pub struct AsyncFunctionProcessor<F> {
    function: F,
}

impl<F> AsyncFunctionProcessor<F> {
    /// Processes by `function`.
    pub fn new<I, O, U>(function: F) -> Self
    where
        F: FnMut(I) -> U,
        U: Future<Output = Result<Option<O>, ItemError>>,
    {
        Self { function }
    }
}

impl<I, O, F, U> ItemProcessor<I> for AsyncFunctionProcessor<F>
where
    I: Send,
    O: Send + Sync,
    F: FnMut(I) -> U + Send,
    U: Future<Output = Result<Option<O>, ItemError>> + Send,
{
    type Output = O;

    #[inline]
    fn process(&mut self, item: I) -> impl Future<Output = Result<Option<O>, ItemError>> + Send {
        (self.function)(item)
    }
}

/// Passes on the items of which a function says so, and filters the others.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, FilterProcessor, ListReader};
///
/// let step = ChunkStep::builder("Count")
///     .reader(|_| Ok(ListReader::new([1, 2, 3])))
///     .processor(|_| Ok(FilterProcessor::new(|number: &i32| number % 2 == 1)))
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[i32]| {
///         println!("{chunk:?}");
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
#[derive(Debug)]
pub struct FilterProcessor<F> {
    keep: F,
}

impl<F> FilterProcessor<F> {
    /// Passes on the items for which `keep` is true.
    pub fn new<I>(keep: F) -> Self
    where
        F: FnMut(&I) -> bool,
    {
        Self { keep }
    }
}

impl<I, F> ItemProcessor<I> for FilterProcessor<F>
where
    I: Send + Sync,
    F: FnMut(&I) -> bool + Send,
{
    type Output = I;

    const IS_SYNCHRONOUS: bool = true;

    #[inline]
    async fn process(&mut self, item: I) -> Result<Option<I>, ItemError> {
        Ok((self.keep)(&item).then_some(item))
    }

    #[inline]
    fn process_now(&mut self, item: I) -> Processed<I, I> {
        if (self.keep)(&item) { Processed::Output(item) } else { Processed::Filtered }
    }
}

/// Passes each item on as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct PassThrough;

impl<I: Send + Sync> ItemProcessor<I> for PassThrough {
    type Output = I;

    const IS_SYNCHRONOUS: bool = true;

    #[inline]
    async fn process(&mut self, item: I) -> Result<Option<I>, ItemError> {
        Ok(Some(item))
    }

    #[inline]
    fn process_now(&mut self, item: I) -> Processed<I, I> {
        Processed::Output(item)
    }
}

/// Writes each chunk by a function.
///
/// At least once: a chunk whose commit failed after the function returned is given to it again. Of a chunk with an
/// output that is skipped the function is given the outputs [one by one](ItemWriter::can_roll_back), so each of them
/// twice at most.
#[derive(Debug)]
pub struct FunctionWriter<F> {
    function: F,
}

impl<F> FunctionWriter<F> {
    /// Writes by `function`, which gets a chunk at a time.
    pub fn new<O>(function: F) -> Self
    where
        F: FnMut(&[O]) -> Result<(), ItemError>,
    {
        Self { function }
    }
}

impl<O, F> ItemWriter<O> for FunctionWriter<F>
where
    O: Send + Sync,
    F: FnMut(&[O]) -> Result<(), ItemError> + Send,
{
    async fn write(&mut self, outputs: &[O], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        (self.function)(outputs)
    }

    fn can_roll_back(&self) -> bool {
        false
    }
}

/// Writes each chunk by an async function, which returns a boxed future: one box a chunk.
///
/// ```
/// use std::time::Duration;
///
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{AsyncFunctionWriter, ListReader};
///
/// let step = ChunkStep::builder("Send")
///     .reader(|_| Ok(ListReader::new([1, 2, 3])))
///     .writer(|_| {
///         Ok(AsyncFunctionWriter::new(|chunk: &[i32]| {
///             Box::pin(async move {
///                 tokio::time::sleep(Duration::from_millis(1)).await;
///                 println!("{chunk:?}");
///                 Ok(())
///             })
///         }))
///     });
/// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// At least once: a chunk whose commit failed after the future has ended is given to the function again. Of a chunk
/// with an output that is skipped the function is given the outputs [one by one](ItemWriter::can_roll_back), so each of
/// them twice at most.
#[derive(Debug)]
pub struct AsyncFunctionWriter<F> {
    function: F,
}

impl<F> AsyncFunctionWriter<F> {
    /// Writes by `function`, which gets a chunk at a time.
    pub fn new<O>(function: F) -> Self
    where
        F: FnMut(&[O]) -> BoxFuture<'_, Result<(), ItemError>>,
    {
        Self { function }
    }
}

impl<O, F> ItemWriter<O> for AsyncFunctionWriter<F>
where
    O: Send + Sync,
    F: FnMut(&[O]) -> BoxFuture<'_, Result<(), ItemError>> + Send,
{
    fn write(
        &mut self,
        outputs: &[O],
        _: &mut dyn ChunkTransaction,
    ) -> impl Future<Output = Result<(), ItemError>> + Send {
        (self.function)(outputs)
    }

    fn can_roll_back(&self) -> bool {
        false
    }
}
