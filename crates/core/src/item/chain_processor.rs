//! `ChainProcessor`: one processor after another.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Checkpoint, ItemError, ItemProcessor, Processed, Syncer};

/// Gives what one processor makes of an item to another; nested, to any number.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, ChainProcessor, FilterProcessor, FunctionProcessor, ListReader};
///
/// let step = ChunkStep::builder("Square")
///     .reader(|_| Ok(ListReader::new([1, 2, 3])))
///     .processor(|_| {
///         let odd = FilterProcessor::new(|number: &i64| number % 2 == 1);
///         let square = FunctionProcessor::new(|number: i64| Ok(Some(number * number)));
///         Ok(ChainProcessor::new(odd, square))
///     })
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[i64]| {
///         println!("{chunk:?}");
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// An item that one of them filters does not reach those behind it. One that fails in one of them is [rolled
/// back](ItemProcessor::roll_back) by those before it, so that it may come again. The checkpoint holds that of each, by
/// its place.
#[derive(Debug)]
pub struct ChainProcessor<A, B> {
    first: A,
    second: B,
}

/// The checkpoint.
#[derive(Serialize, Deserialize)]
struct Positions {
    first: Option<Box<RawValue>>,
    second: Option<Box<RawValue>>,
}

impl<A, B> ChainProcessor<A, B> {
    /// Processes by `first`, and its outputs by `second`.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<I, A, B> ItemProcessor<I> for ChainProcessor<A, B>
where
    I: Send,
    A: ItemProcessor<I>,
    B: ItemProcessor<A::Output>,
{
    type Output = B::Output;

    const NEEDS_ALL_ITEMS: bool = A::NEEDS_ALL_ITEMS || B::NEEDS_ALL_ITEMS;

    const IS_SYNCHRONOUS: bool = A::IS_SYNCHRONOUS && B::IS_SYNCHRONOUS;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let (first, second) = match checkpoint.map(Checkpoint::read::<Positions>).transpose()? {
            Some(positions) => (positions.first, positions.second),
            None => (None, None),
        };
        self.first.open(first.map(Checkpoint::from_raw).as_ref()).await?;
        self.second.open(second.map(Checkpoint::from_raw).as_ref()).await
    }

    #[inline]
    async fn process(&mut self, item: I) -> Result<Option<B::Output>, ItemError> {
        let Some(item) = self.first.process(item).await? else { return Ok(None) };
        let output = self.second.process(item).await;
        if output.is_err() {
            self.first.roll_back();
        }
        output
    }

    /// Only where the second one never waits: an item that the first one has had cannot be given back.
    #[inline]
    fn process_now(&mut self, item: I) -> Processed<I, B::Output> {
        if !B::IS_SYNCHRONOUS {
            return Processed::Later(item);
        }
        let item = match self.first.process_now(item) {
            Processed::Output(item) => item,
            Processed::Filtered => return Processed::Filtered,
            Processed::Failed(error) => return Processed::Failed(error),
            Processed::Later(item) => return Processed::Later(item),
        };
        let error = match self.second.process_now(item) {
            Processed::Output(output) => return Processed::Output(output),
            Processed::Filtered => return Processed::Filtered,
            Processed::Failed(error) => error,
            Processed::Later(_) => ItemError::other("a processor that says it never waits has given an item back"),
        };
        self.first.roll_back();
        Processed::Failed(error)
    }

    fn roll_back(&mut self) {
        self.second.roll_back();
        self.first.roll_back();
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let (first, second) = (self.first.checkpoint()?, self.second.checkpoint()?);
        if first.is_none() && second.is_none() {
            return Ok(None);
        }
        let [first, second] = [first, second].map(|checkpoint| checkpoint.map(Checkpoint::into_raw));
        Checkpoint::new(&Positions { first, second }).map(Some)
    }

    fn syncer(&mut self) -> Result<Option<Syncer>, ItemError> {
        Ok(Syncer::of_all(self.first.syncer()?.into_iter().chain(self.second.syncer()?)))
    }

    async fn completed(&mut self) -> Result<(), ItemError> {
        self.first.completed().await?;
        self.second.completed().await
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        let first = self.first.close().await;
        self.second.close().await?;
        first
    }
}
