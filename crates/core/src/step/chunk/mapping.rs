//! Functions of the author's as processors, one behind the other.

use std::sync::Arc;

use super::builder::{ChunkStepBuilder, NoWriter};
use super::settings::Factory;
use crate::item::{
    AsyncFunctionProcessor, ChainProcessor, FilterProcessor, FunctionProcessor, ItemError, ItemProcessor, ItemReader,
};
use crate::step::context::StepContext;

/// The four below are for what needs no processor of its own. Each comes behind those before it, in the order in which
/// they stand; a [`processor`](Self::processor) comes before them, since it replaces all.
///
/// ```
/// use oxbatch::item::{FunctionWriter, ListReader};
/// use oxbatch::{ChunkStep, ItemError, Job};
///
/// let step = ChunkStep::builder("Numbers")
///     .reader(|_| Ok(ListReader::new(["1", "x", "22", "333"])))
///     .filter(|text: &&str| text.len() < 3)
///     .try_map(|text: &str| text.parse::<u32>().map_err(ItemError::parse))
///     .map(|number: u32| number * 2)
///     .map_async(|number: u32| async move { Ok(format!("<{number}>")) })
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[String]| {
///         println!("{chunk:?}");
///         Ok(())
///     })));
/// # let job = Job::builder("Numbers").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
impl<R, P> ChunkStepBuilder<R, P, NoWriter>
where
    R: ItemReader,
    P: ItemProcessor<R::Item> + 'static,
{
    /// Makes something else of each item.
    #[must_use]
    pub fn map<O, F>(
        self,
        function: F,
    ) -> ChunkStepBuilder<R, impl ItemProcessor<R::Item, Output = O> + use<R, P, O, F> + 'static, NoWriter>
    where
        R::Item: 'static,
        O: Send + Sync + 'static,
        F: Fn(P::Output) -> O + Send + Sync + 'static,
    {
        let function = Arc::new(function);
        self.behind(move || {
            let function = Arc::clone(&function);
            FunctionProcessor::new(move |item| Ok(Some(function(item))))
        })
    }

    /// Makes something else of each item, or fails with it.
    #[must_use]
    pub fn try_map<O, F>(
        self,
        function: F,
    ) -> ChunkStepBuilder<R, impl ItemProcessor<R::Item, Output = O> + use<R, P, O, F> + 'static, NoWriter>
    where
        R::Item: 'static,
        O: Send + Sync + 'static,
        F: Fn(P::Output) -> Result<O, ItemError> + Send + Sync + 'static,
    {
        let function = Arc::new(function);
        self.behind(move || {
            let function = Arc::clone(&function);
            FunctionProcessor::new(move |item| function(item).map(Some))
        })
    }

    /// Passes on the items of which `keep` says so, and filters the others.
    #[must_use]
    pub fn filter<F>(
        self,
        keep: F,
    ) -> ChunkStepBuilder<R, impl ItemProcessor<R::Item, Output = P::Output> + use<R, P, F> + 'static, NoWriter>
    where
        R::Item: 'static,
        F: Fn(&P::Output) -> bool + Send + Sync + 'static,
    {
        let keep = Arc::new(keep);
        self.behind(move || {
            let keep = Arc::clone(&keep);
            FilterProcessor::new(move |item: &P::Output| keep(item))
        })
    }

    /// Makes something else of each item, by a future, or fails with it. [`concurrency`](Self::concurrency) keeps
    /// several in flight.
    #[must_use]
    pub fn map_async<O, F, U>(
        self,
        function: F,
    ) -> ChunkStepBuilder<R, impl ItemProcessor<R::Item, Output = O> + use<R, P, O, F, U> + 'static, NoWriter>
    where
        R::Item: 'static,
        O: Send + Sync + 'static,
        F: Fn(P::Output) -> U + Send + Sync + 'static,
        U: Future<Output = Result<O, ItemError>> + Send + 'static,
    {
        let function = Arc::new(function);
        self.behind(move || {
            let function = Arc::clone(&function);
            AsyncFunctionProcessor::new(move |item| {
                let made = function(item);
                async move { made.await.map(Some) }
            })
        })
    }

    /// Puts one more processor behind those that are there.
    fn behind<N>(
        self,
        make: impl Fn() -> N + Send + Sync + 'static,
    ) -> ChunkStepBuilder<R, ChainProcessor<P, N>, NoWriter>
    where
        N: ItemProcessor<P::Output>,
    {
        let first: Factory<P> = Arc::clone(&self.processor);
        self.with_processor(Arc::new(move |context: &StepContext| Ok(ChainProcessor::new(first(context)?, make()))))
    }
}
