//! `ClassifyingProcessor`: each item to one of several named processors.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use serde_json::value::RawValue;

use super::{Checkpoint, ItemError, ItemProcessor, Processed, Syncer};

/// Processes each item by the processor whose name a function tells.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, ClassifyingProcessor, FunctionProcessor, ListReader};
///
/// let step = ChunkStep::builder("Convert")
///     .reader(|_| Ok(ListReader::new(["12 km", "7 mi"])))
///     .processor(|_| {
///         let parse = |text: &str| text[..text.len() - 3].parse::<f64>();
///         Ok(ClassifyingProcessor::new(|text: &&str| if text.ends_with("km") { "metric" } else { "imperial" })
///             .route("metric", FunctionProcessor::new(move |text: &str| Ok(Some(parse(text)?))))
///             .route("imperial", FunctionProcessor::new(move |text: &str| Ok(Some(parse(text)? * 1.609)))))
///     })
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[f64]| {
///         println!("{chunk:?} km");
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Distances").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// All of them make outputs of one type. An item whose name no processor has is an error of kind
/// [`Validation`](super::ErrorKind::Validation) that names it. Which processor has which name is part of the type, so
/// nothing is boxed and nothing is called by pointer. The checkpoint holds that of each by its name; one with a name
/// that the step no longer has is refused.
pub struct ClassifyingProcessor<F, R> {
    classify: F,
    routes: R,
    /// The place of the processor that had the last item.
    last: usize,
}

type Positions = BTreeMap<String, Box<RawValue>>;

impl<F> ClassifyingProcessor<F, NoRoutes> {
    /// Asks `classify` for the name of an item's processor.
    pub fn new<I>(classify: F) -> Self
    where
        F: Fn(&I) -> &str,
    {
        Self { classify, routes: NoRoutes(()), last: 0 }
    }
}

impl<F, R> ClassifyingProcessor<F, R> {
    /// Processes the items of a name by `processor`.
    #[must_use]
    pub fn route<P>(self, name: impl Into<String>, processor: P) -> ClassifyingProcessor<F, ProcessorRoute<P, R>> {
        let Self { classify, routes, last } = self;
        let routes = ProcessorRoute { name: name.into(), processor, others: routes };
        ClassifyingProcessor { classify, routes, last }
    }
}

impl<F, R> ClassifyingProcessor<F, R> {
    /// The place of an item's processor, which has the last item from now on.
    #[inline]
    fn find<I>(&mut self, item: &I) -> Result<usize, ItemError>
    where
        I: Send,
        F: Fn(&I) -> &str,
        R: ProcessorRoutes<I>,
    {
        let name = (self.classify)(item);
        let Some(index) = self.routes.find(name) else {
            let problem = format!("no processor has the name '{name}'; there are {}", shown(&self.routes));
            return Err(ItemError::validation(problem));
        };
        self.last = index;
        Ok(index)
    }
}

/// A named processor of a [`ClassifyingProcessor`], and the others.
pub struct ProcessorRoute<P, R> {
    name: String,
    processor: P,
    others: R,
}

/// The end of the routes of a [`ClassifyingProcessor`].
#[derive(Debug)]
pub struct NoRoutes(());

/// The named processors of a [`ClassifyingProcessor`]: at least one [`ProcessorRoute`].
pub trait ProcessorRoutes<I: Send>: Send {
    /// The type of their outputs.
    type Output: Send + Sync;

    /// Processes an item by the processor of a name.
    #[doc(hidden)]
    fn process(
        &mut self,
        index: usize,
        item: I,
    ) -> impl Future<Output = Result<Option<Self::Output>, ItemError>> + Send;

    /// Processes an item by the processor of a name, if that need not wait.
    #[doc(hidden)]
    fn process_now(&mut self, index: usize, item: I) -> Processed<I, Self::Output>;

    /// True if one of them must see all of its items.
    #[doc(hidden)]
    const NEEDS_ALL_ITEMS: bool;

    /// True if none of them ever waits.
    #[doc(hidden)]
    const IS_SYNCHRONOUS: bool;

    /// Opens each with its own part of the checkpoints, which it takes out.
    #[doc(hidden)]
    fn open(&mut self, positions: &mut Positions) -> impl Future<Output = Result<(), ItemError>> + Send;

    /// Takes the last item of one of them back.
    #[doc(hidden)]
    fn roll_back(&mut self, index: usize);

    /// Adds the checkpoint of each that has one.
    #[doc(hidden)]
    fn checkpoint(&mut self, positions: &mut Positions) -> Result<(), ItemError>;

    /// Adds the syncer of each that has one.
    #[doc(hidden)]
    fn syncers(&mut self, syncers: &mut Vec<Syncer>) -> Result<(), ItemError>;

    /// Tells each that the step is complete.
    #[doc(hidden)]
    fn completed(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send;

    /// Closes each, whatever becomes of one.
    #[doc(hidden)]
    fn close(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send;

    /// The place of a name, counted from the last one.
    #[doc(hidden)]
    fn find(&self, name: &str) -> Option<usize>;

    /// The names, in the order in which they were given.
    #[doc(hidden)]
    fn names(&self) -> Vec<&str>;
}

impl<P, R> ProcessorRoute<P, R> {
    async fn open_own<I: Send>(&mut self, positions: &mut Positions) -> Result<(), ItemError>
    where
        P: ItemProcessor<I>,
        R: Send,
    {
        let position = positions.remove(&self.name).map(Checkpoint::from_raw);
        self.processor.open(position.as_ref()).await
    }

    fn own_checkpoint<I: Send>(&mut self, positions: &mut Positions) -> Result<(), ItemError>
    where
        P: ItemProcessor<I>,
    {
        if let Some(checkpoint) = self.processor.checkpoint()? {
            positions.insert(self.name.clone(), checkpoint.into_raw());
        }
        Ok(())
    }
}

impl<I: Send, P: ItemProcessor<I>> ProcessorRoutes<I> for ProcessorRoute<P, NoRoutes> {
    type Output = P::Output;

    const NEEDS_ALL_ITEMS: bool = P::NEEDS_ALL_ITEMS;

    const IS_SYNCHRONOUS: bool = P::IS_SYNCHRONOUS;

    fn open(&mut self, positions: &mut Positions) -> impl Future<Output = Result<(), ItemError>> + Send {
        self.open_own(positions)
    }

    fn roll_back(&mut self, _: usize) {
        self.processor.roll_back();
    }

    fn checkpoint(&mut self, positions: &mut Positions) -> Result<(), ItemError> {
        self.own_checkpoint(positions)
    }

    fn syncers(&mut self, syncers: &mut Vec<Syncer>) -> Result<(), ItemError> {
        syncers.extend(self.processor.syncer()?);
        Ok(())
    }

    fn completed(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        self.processor.completed()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        self.processor.close()
    }

    #[inline]
    fn process(&mut self, _: usize, item: I) -> impl Future<Output = Result<Option<P::Output>, ItemError>> + Send {
        self.processor.process(item)
    }

    #[inline]
    fn process_now(&mut self, _: usize, item: I) -> Processed<I, P::Output> {
        self.processor.process_now(item)
    }

    #[inline]
    fn find(&self, name: &str) -> Option<usize> {
        (self.name == name).then_some(0)
    }

    fn names(&self) -> Vec<&str> {
        vec![&self.name]
    }
}

impl<I, P, Q, R> ProcessorRoutes<I> for ProcessorRoute<P, ProcessorRoute<Q, R>>
where
    I: Send,
    P: ItemProcessor<I>,
    ProcessorRoute<Q, R>: ProcessorRoutes<I, Output = P::Output>,
{
    type Output = P::Output;

    const NEEDS_ALL_ITEMS: bool = P::NEEDS_ALL_ITEMS || <ProcessorRoute<Q, R> as ProcessorRoutes<I>>::NEEDS_ALL_ITEMS;

    const IS_SYNCHRONOUS: bool = P::IS_SYNCHRONOUS && <ProcessorRoute<Q, R> as ProcessorRoutes<I>>::IS_SYNCHRONOUS;

    async fn open(&mut self, positions: &mut Positions) -> Result<(), ItemError> {
        self.others.open(positions).await?;
        self.open_own(positions).await
    }

    fn roll_back(&mut self, index: usize) {
        match index {
            0 => self.processor.roll_back(),
            _ => self.others.roll_back(index - 1),
        }
    }

    fn checkpoint(&mut self, positions: &mut Positions) -> Result<(), ItemError> {
        self.others.checkpoint(positions)?;
        self.own_checkpoint(positions)
    }

    fn syncers(&mut self, syncers: &mut Vec<Syncer>) -> Result<(), ItemError> {
        self.others.syncers(syncers)?;
        syncers.extend(self.processor.syncer()?);
        Ok(())
    }

    async fn completed(&mut self) -> Result<(), ItemError> {
        self.others.completed().await?;
        self.processor.completed().await
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        let others = self.others.close().await;
        self.processor.close().await?;
        others
    }

    #[inline]
    async fn process(&mut self, index: usize, item: I) -> Result<Option<P::Output>, ItemError> {
        match index {
            0 => self.processor.process(item).await,
            _ => self.others.process(index - 1, item).await,
        }
    }

    #[inline]
    fn process_now(&mut self, index: usize, item: I) -> Processed<I, P::Output> {
        match index {
            0 => self.processor.process_now(item),
            _ => self.others.process_now(index - 1, item),
        }
    }

    #[inline]
    fn find(&self, name: &str) -> Option<usize> {
        if self.name == name { Some(0) } else { self.others.find(name).map(|index| index + 1) }
    }

    fn names(&self) -> Vec<&str> {
        let mut names = self.others.names();
        names.push(&self.name);
        names
    }
}

/// The names for a message.
fn shown<I: Send>(routes: &impl ProcessorRoutes<I>) -> String {
    let names: Vec<_> = routes.names().iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}

impl<I, F, R> ItemProcessor<I> for ClassifyingProcessor<F, R>
where
    I: Send + Sync,
    F: Fn(&I) -> &str + Send + Sync,
    R: ProcessorRoutes<I> + Sync,
{
    type Output = R::Output;

    const NEEDS_ALL_ITEMS: bool = R::NEEDS_ALL_ITEMS;

    const IS_SYNCHRONOUS: bool = R::IS_SYNCHRONOUS;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let names = self.routes.names();
        if let Some(name) = names.iter().enumerate().find_map(|(at, name)| names[..at].contains(name).then_some(name)) {
            return Err(ItemError::other(format!("two processors have the name '{name}'")));
        }
        let mut positions = checkpoint.map(Checkpoint::read::<Positions>).transpose()?.unwrap_or_default();
        if let Some(name) = positions.keys().find(|name| !names.contains(&name.as_str())) {
            let problem = format!(
                "checkpoint is of a processor with the name '{name}', but there are {}; launch with force to start anew",
                shown(&self.routes)
            );
            return Err(ItemError::other(problem));
        }
        self.routes.open(&mut positions).await
    }

    #[inline]
    async fn process(&mut self, item: I) -> Result<Option<R::Output>, ItemError> {
        let index = self.find(&item)?;
        self.routes.process(index, item).await
    }

    #[inline]
    fn process_now(&mut self, item: I) -> Processed<I, R::Output> {
        match self.find(&item) {
            Ok(index) => self.routes.process_now(index, item),
            Err(error) => Processed::Failed(error),
        }
    }

    fn roll_back(&mut self) {
        self.routes.roll_back(self.last);
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let mut positions = Positions::new();
        self.routes.checkpoint(&mut positions)?;
        if positions.is_empty() { Ok(None) } else { Checkpoint::new(&positions).map(Some) }
    }

    fn syncer(&mut self) -> Result<Option<Syncer>, ItemError> {
        let mut syncers = Vec::new();
        self.routes.syncers(&mut syncers)?;
        Ok(Syncer::of_all(syncers))
    }

    async fn completed(&mut self) -> Result<(), ItemError> {
        self.routes.completed().await
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.routes.close().await
    }
}

impl<F, R> fmt::Debug for ClassifyingProcessor<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassifyingProcessor").finish_non_exhaustive()
    }
}

impl<P, R> fmt::Debug for ProcessorRoute<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorRoute").field("name", &self.name).finish_non_exhaustive()
    }
}
