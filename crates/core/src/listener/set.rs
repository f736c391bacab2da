//! Sets of listeners, and the functions that build them for each execution.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::chunk::{ChunkListener, RetryListener, SkipListener};
use super::job::{JobContext, JobEnd, JobListener};
use super::step::{StepEnd, StepListener};
use crate::item::BoxError;
use crate::step::StepContext;

/// A job listener whose type is erased.
pub(super) trait AnyJobListener: Send + Sync {
    fn before<'a>(&'a self, context: &'a JobContext) -> BoxFuture<'a, Result<(), BoxError>>;
    fn after<'a>(&'a self, context: &'a JobContext, end: &'a JobEnd) -> BoxFuture<'a, Result<(), BoxError>>;
}

impl<L: JobListener> AnyJobListener for L {
    fn before<'a>(&'a self, context: &'a JobContext) -> BoxFuture<'a, Result<(), BoxError>> {
        // Within the future, so that a panic of the method is caught with those of its future.
        async move { self.before_job(context).await }.boxed()
    }

    fn after<'a>(&'a self, context: &'a JobContext, end: &'a JobEnd) -> BoxFuture<'a, Result<(), BoxError>> {
        async move { self.after_job(context, end).await }.boxed()
    }
}

/// A step listener whose type is erased.
pub(super) trait AnyStepListener: Send + Sync {
    fn before<'a>(&'a self, context: &'a StepContext) -> BoxFuture<'a, Result<(), BoxError>>;
    fn after<'a>(
        &'a self,
        context: &'a StepContext,
        end: &'a StepEnd,
    ) -> BoxFuture<'a, Result<Option<String>, BoxError>>;
}

impl<L: StepListener> AnyStepListener for L {
    fn before<'a>(&'a self, context: &'a StepContext) -> BoxFuture<'a, Result<(), BoxError>> {
        async move { self.before_step(context).await }.boxed()
    }

    fn after<'a>(
        &'a self,
        context: &'a StepContext,
        end: &'a StepEnd,
    ) -> BoxFuture<'a, Result<Option<String>, BoxError>> {
        async move { self.after_step(context, end).await }.boxed()
    }
}

/// A set of listeners. One object can stand in it several times, as an [`Arc`].
///
/// Listeners of jobs in the set of a step are never called.
#[derive(Clone, Default)]
pub struct Listeners {
    pub(super) jobs: Vec<Arc<dyn AnyJobListener>>,
    pub(super) steps: Vec<Arc<dyn AnyStepListener>>,
    pub(super) chunks: Vec<Arc<dyn ChunkListener>>,
    pub(super) skips: Vec<Arc<dyn SkipListener>>,
    pub(super) retries: Vec<Arc<dyn RetryListener>>,
}

impl Listeners {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a listener of the job.
    #[must_use]
    pub fn job(mut self, listener: impl JobListener) -> Self {
        self.jobs.push(Arc::new(listener));
        self
    }

    /// Adds a listener of steps.
    #[must_use]
    pub fn step(mut self, listener: impl StepListener) -> Self {
        self.steps.push(Arc::new(listener));
        self
    }

    /// Adds a listener of chunks.
    #[must_use]
    pub fn chunk(mut self, listener: impl ChunkListener) -> Self {
        self.chunks.push(Arc::new(listener));
        self
    }

    /// Adds a listener of skipped items.
    #[must_use]
    pub fn skip(mut self, listener: impl SkipListener) -> Self {
        self.skips.push(Arc::new(listener));
        self
    }

    /// Adds a listener of retries.
    #[must_use]
    pub fn retry(mut self, listener: impl RetryListener) -> Self {
        self.retries.push(Arc::new(listener));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        let Self { jobs, steps, chunks, skips, retries } = self;
        jobs.is_empty() && steps.is_empty() && chunks.is_empty() && skips.is_empty() && retries.is_empty()
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.jobs.extend(more.jobs);
        self.steps.extend(more.steps);
        self.chunks.extend(more.chunks);
        self.skips.extend(more.skips);
        self.retries.extend(more.retries);
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners")
            .field("jobs", &self.jobs.len())
            .field("steps", &self.steps.len())
            .field("chunks", &self.chunks.len())
            .field("skips", &self.skips.len())
            .field("retries", &self.retries.len())
            .finish()
    }
}

type BuildForJob = dyn Fn(&JobContext) -> Result<Listeners, BoxError> + Send + Sync;

/// A function of the author's that builds a set of listeners for each execution. Cheap to clone.
#[derive(Clone)]
pub struct ListenerFactory {
    build: Arc<BuildForJob>,
}

impl ListenerFactory {
    /// The function as a factory. Its error fails the execution.
    pub fn new<F>(build: F) -> Self
    where
        F: Fn(&JobContext) -> Result<Listeners, BoxError> + Send + Sync + 'static,
    {
        Self { build: Arc::new(build) }
    }

    /// Listeners without a state of their own, the same for all executions.
    pub(crate) fn fixed(listeners: Listeners) -> Self {
        Self::new(move |_| Ok(listeners.clone()))
    }

    pub(super) fn build(&self, context: &JobContext) -> Result<Listeners, BoxError> {
        (self.build)(context)
    }
}

impl fmt::Debug for ListenerFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerFactory").finish_non_exhaustive()
    }
}

type BuildForStep = dyn Fn(&StepContext) -> Result<Listeners, BoxError> + Send + Sync;

/// The listeners that a step declares, each built for a step execution.
#[derive(Clone, Default)]
pub(crate) struct StepListeners {
    factories: Vec<Arc<BuildForStep>>,
}

impl StepListeners {
    pub(crate) fn add<F>(&mut self, build: F)
    where
        F: Fn(&StepContext) -> Result<Listeners, BoxError> + Send + Sync + 'static,
    {
        self.factories.push(Arc::new(build));
    }

    /// Adds listeners without a state of their own.
    pub(crate) fn add_fixed(&mut self, listeners: Listeners) {
        self.add(move |_| Ok(listeners.clone()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.factories.is_empty()
    }

    pub(super) fn build(&self, context: &StepContext) -> Result<Listeners, BoxError> {
        let mut listeners = Listeners::new();
        for factory in &self.factories {
            listeners.extend(factory(context)?);
        }
        Ok(listeners)
    }
}
