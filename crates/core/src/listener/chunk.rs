//! Listeners of chunks, skips and retries.

use std::sync::Arc;
use std::time::Duration;

use crate::execution::SkippedItem;
use crate::item::{BoxError, ErrorKind, ItemError};
use crate::step::StepContext;

/// Is called around each attempt to write a chunk and commit it.
///
/// # Contract
/// - For each attempt `before_chunk`, then either `after_chunk` or `on_chunk_error`. The trials by which an item is
///   found that cannot be written are no attempts of their own.
/// - The chunk was read and processed before: with [read-ahead](crate::step::ReadAhead), so were the first items behind
///   it.
/// - `after_chunk` is called once the chunk is committed; where
///   [saves are joined](crate::step::ChunkStepBuilder::commit_every), once it is written. Chunks that shared a
///   transaction which has failed are attempted again, by themselves.
pub trait ChunkListener: Send + Sync + 'static {
    /// The chunk is to be written. An error rolls it back, as an error of the writer does; a transient one is repeated
    /// where the step's retry policy allows it.
    fn before_chunk(&self, context: &StepContext) -> Result<(), ItemError> {
        let _ = context;
        Ok(())
    }

    /// The chunk is committed.
    fn after_chunk(&self, context: &StepContext) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }

    /// The chunk was rolled back, because of `error`; it may be tried again.
    fn on_chunk_error(&self, context: &StepContext, error: &str) -> Result<(), BoxError> {
        let _ = (context, error);
        Ok(())
    }
}

/// Is called once for each skipped item whose chunk was committed.
///
/// # Contract
/// - What was rolled back, or is found again by a replay of its chunk, is not reported before its commit.
/// - A process that dies between the commit and the call reports nothing again. The skipped items themselves are in the
///   repository.
pub trait SkipListener: Send + Sync + 'static {
    /// The item was skipped, and its chunk is committed.
    fn on_skip(&self, context: &StepContext, skipped: &SkippedItem) -> Result<(), BoxError> {
        let _ = (context, skipped);
        Ok(())
    }
}

/// Is called before each repetition, and before its wait.
pub trait RetryListener: Send + Sync + 'static {
    /// A repetition is due.
    fn on_retry(&self, context: &StepContext, retry: &Retry<'_>) -> Result<(), BoxError> {
        let _ = (context, retry);
        Ok(())
    }
}

/// The phase that failed and is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryPhase {
    /// The read of an item.
    Read,
    /// The processing of an item.
    Process,
    /// The writing of a chunk, up to its commit.
    Write,
    /// The commit of what was written.
    Commit,
    /// A task.
    Task,
}

/// A repetition.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Retry<'a> {
    /// The phase that failed.
    pub phase: RetryPhase,
    /// The number of the repetition, from 1.
    pub attempt: u32,
    /// The wait before it.
    pub delay: Duration,
    /// The kind of the error.
    pub kind: ErrorKind,
    /// The error, with its causes.
    pub error: &'a str,
}

impl<L: ChunkListener> ChunkListener for Arc<L> {
    fn before_chunk(&self, context: &StepContext) -> Result<(), ItemError> {
        (**self).before_chunk(context)
    }

    fn after_chunk(&self, context: &StepContext) -> Result<(), BoxError> {
        (**self).after_chunk(context)
    }

    fn on_chunk_error(&self, context: &StepContext, error: &str) -> Result<(), BoxError> {
        (**self).on_chunk_error(context, error)
    }
}

impl<L: SkipListener> SkipListener for Arc<L> {
    fn on_skip(&self, context: &StepContext, skipped: &SkippedItem) -> Result<(), BoxError> {
        (**self).on_skip(context, skipped)
    }
}

impl<L: RetryListener> RetryListener for Arc<L> {
    fn on_retry(&self, context: &StepContext, retry: &Retry<'_>) -> Result<(), BoxError> {
        (**self).on_retry(context, retry)
    }
}
