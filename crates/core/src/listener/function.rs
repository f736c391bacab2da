//! Functions of the author's as listeners, and the methods of builders that take them.

use super::chunk::{ChunkListener, Retry, RetryListener, SkipListener};
use super::job::{JobContext, JobEnd, JobListener};
use super::step::{StepEnd, StepListener};
use crate::execution::SkippedItem;
use crate::item::{BoxError, ItemError};
use crate::step::StepContext;

pub(crate) struct BeforeJob<F>(pub(crate) F);

impl<F: Fn(&JobContext) -> Result<(), BoxError> + Send + Sync + 'static> JobListener for BeforeJob<F> {
    async fn before_job(&self, context: &JobContext) -> Result<(), BoxError> {
        (self.0)(context)
    }
}

pub(crate) struct AfterJob<F>(pub(crate) F);

impl<F: Fn(&JobContext, &JobEnd) -> Result<(), BoxError> + Send + Sync + 'static> JobListener for AfterJob<F> {
    async fn after_job(&self, context: &JobContext, end: &JobEnd) -> Result<(), BoxError> {
        (self.0)(context, end)
    }
}

pub(crate) struct BeforeStep<F>(pub(crate) F);

impl<F: Fn(&StepContext) -> Result<(), BoxError> + Send + Sync + 'static> StepListener for BeforeStep<F> {
    async fn before_step(&self, context: &StepContext) -> Result<(), BoxError> {
        (self.0)(context)
    }
}

pub(crate) struct AfterStep<F>(pub(crate) F);

impl<F: Fn(&StepContext, &StepEnd) -> Result<Option<String>, BoxError> + Send + Sync + 'static> StepListener
    for AfterStep<F>
{
    async fn after_step(&self, context: &StepContext, end: &StepEnd) -> Result<Option<String>, BoxError> {
        (self.0)(context, end)
    }
}

pub(crate) struct BeforeChunk<F>(pub(crate) F);

impl<F: Fn(&StepContext) -> Result<(), ItemError> + Send + Sync + 'static> ChunkListener for BeforeChunk<F> {
    fn before_chunk(&self, context: &StepContext) -> Result<(), ItemError> {
        (self.0)(context)
    }
}

pub(crate) struct AfterChunk<F>(pub(crate) F);

impl<F: Fn(&StepContext) -> Result<(), BoxError> + Send + Sync + 'static> ChunkListener for AfterChunk<F> {
    fn after_chunk(&self, context: &StepContext) -> Result<(), BoxError> {
        (self.0)(context)
    }
}

pub(crate) struct OnChunkError<F>(pub(crate) F);

impl<F: Fn(&StepContext, &str) -> Result<(), BoxError> + Send + Sync + 'static> ChunkListener for OnChunkError<F> {
    fn on_chunk_error(&self, context: &StepContext, error: &str) -> Result<(), BoxError> {
        (self.0)(context, error)
    }
}

pub(crate) struct OnSkip<F>(pub(crate) F);

impl<F: Fn(&StepContext, &SkippedItem) -> Result<(), BoxError> + Send + Sync + 'static> SkipListener for OnSkip<F> {
    fn on_skip(&self, context: &StepContext, skipped: &SkippedItem) -> Result<(), BoxError> {
        (self.0)(context, skipped)
    }
}

pub(crate) struct OnRetry<F>(pub(crate) F);

impl<F: Fn(&StepContext, &Retry<'_>) -> Result<(), BoxError> + Send + Sync + 'static> RetryListener for OnRetry<F> {
    fn on_retry(&self, context: &StepContext, retry: &Retry<'_>) -> Result<(), BoxError> {
        (self.0)(context, retry)
    }
}

/// The methods of builders that take functions as listeners of jobs. The builder has `listen(Listeners)`.
macro_rules! job_methods {
    () => {
        /// Calls a function before the first step of each execution, as
        /// [`JobListener::before_job`]($crate::listener::JobListener::before_job).
        #[must_use]
        pub fn before_job<F>(self, function: F) -> Self
        where
            F: Fn(&$crate::listener::JobContext) -> Result<(), $crate::item::BoxError> + Send + Sync + 'static,
        {
            self.listen($crate::listener::Listeners::new().job($crate::listener::functions::BeforeJob(function)))
        }

        /// Calls a function when an execution has ended, as
        /// [`JobListener::after_job`]($crate::listener::JobListener::after_job).
        #[must_use]
        pub fn after_job<F>(self, function: F) -> Self
        where
            F: Fn(&$crate::listener::JobContext, &$crate::listener::JobEnd) -> Result<(), $crate::item::BoxError>
                + Send
                + Sync
                + 'static,
        {
            self.listen($crate::listener::Listeners::new().job($crate::listener::functions::AfterJob(function)))
        }
    };
}

/// The methods of builders that take functions as listeners of steps: `task` those that all steps have, `chunk` the
/// others. The builder has `listen(Listeners)`.
macro_rules! step_methods {
    (task) => {
        /// Calls a function before the step, as
        /// [`StepListener::before_step`]($crate::listener::StepListener::before_step).
        #[must_use]
        pub fn before_step<F>(self, function: F) -> Self
        where
            F: Fn(&$crate::step::StepContext) -> Result<(), $crate::item::BoxError> + Send + Sync + 'static,
        {
            self.listen($crate::listener::Listeners::new().step($crate::listener::functions::BeforeStep(function)))
        }

        /// Calls a function when the step has ended, as
        /// [`StepListener::after_step`]($crate::listener::StepListener::after_step): it may return another exit code.
        #[must_use]
        pub fn after_step<F>(self, function: F) -> Self
        where
            F: Fn(
                    &$crate::step::StepContext,
                    &$crate::listener::StepEnd,
                ) -> Result<Option<String>, $crate::item::BoxError>
                + Send
                + Sync
                + 'static,
        {
            self.listen($crate::listener::Listeners::new().step($crate::listener::functions::AfterStep(function)))
        }

        /// Calls a function before each repetition, as
        /// [`RetryListener::on_retry`]($crate::listener::RetryListener::on_retry).
        #[must_use]
        pub fn on_retry<F>(self, function: F) -> Self
        where
            F: Fn(&$crate::step::StepContext, &$crate::listener::Retry<'_>) -> Result<(), $crate::item::BoxError>
                + Send
                + Sync
                + 'static,
        {
            self.listen($crate::listener::Listeners::new().retry($crate::listener::functions::OnRetry(function)))
        }
    };
    (chunk) => {
        /// Calls a function before each attempt to write a chunk, as
        /// [`ChunkListener::before_chunk`]($crate::listener::ChunkListener::before_chunk).
        #[must_use]
        pub fn before_chunk<F>(self, function: F) -> Self
        where
            F: Fn(&$crate::step::StepContext) -> Result<(), $crate::item::ItemError> + Send + Sync + 'static,
        {
            self.listen($crate::listener::Listeners::new().chunk($crate::listener::functions::BeforeChunk(function)))
        }

        /// Calls a function behind the commit of each chunk, as
        /// [`ChunkListener::after_chunk`]($crate::listener::ChunkListener::after_chunk).
        #[must_use]
        pub fn after_chunk<F>(self, function: F) -> Self
        where
            F: Fn(&$crate::step::StepContext) -> Result<(), $crate::item::BoxError> + Send + Sync + 'static,
        {
            self.listen($crate::listener::Listeners::new().chunk($crate::listener::functions::AfterChunk(function)))
        }

        /// Calls a function for each attempt at a chunk that was rolled back, as
        /// [`ChunkListener::on_chunk_error`]($crate::listener::ChunkListener::on_chunk_error).
        #[must_use]
        pub fn on_chunk_error<F>(self, function: F) -> Self
        where
            F: Fn(&$crate::step::StepContext, &str) -> Result<(), $crate::item::BoxError> + Send + Sync + 'static,
        {
            self.listen($crate::listener::Listeners::new().chunk($crate::listener::functions::OnChunkError(function)))
        }

        /// Calls a function once for each skipped item whose chunk was committed, as
        /// [`SkipListener::on_skip`]($crate::listener::SkipListener::on_skip).
        #[must_use]
        pub fn on_skip<F>(self, function: F) -> Self
        where
            F: Fn(&$crate::step::StepContext, &$crate::execution::SkippedItem) -> Result<(), $crate::item::BoxError>
                + Send
                + Sync
                + 'static,
        {
            self.listen($crate::listener::Listeners::new().skip($crate::listener::functions::OnSkip(function)))
        }
    };
}

pub(crate) use {job_methods, step_methods};
