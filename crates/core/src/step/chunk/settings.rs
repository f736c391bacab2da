//! What a chunk step's builder collects beside its three parts, and whether it fits together.

use std::sync::Arc;

use crate::item::{BoxError, ItemReader};
use crate::step::{RetryPolicy, SkipPolicy, StepContext};

/// Items in a chunk when the step does not say.
pub const DEFAULT_CHUNK_SIZE: u32 = 100;
/// Most items in a chunk: a chunk is kept in memory until it is committed.
pub const MAX_CHUNK_SIZE: u32 = 1_000_000;

/// The author's function that builds a part for an execution.
pub(super) type Factory<T> = Arc<dyn Fn(&StepContext) -> Result<T, BoxError> + Send + Sync>;

/// Copies an item before it is processed, so that it can be processed again.
pub(super) type CopyItem<R> = fn(&<R as ItemReader>::Item) -> <R as ItemReader>::Item;

/// Writes an item as JSON, to be kept when it is skipped.
type DescribeItem<R> = fn(&<R as ItemReader>::Item) -> Option<String>;

/// A skip policy, and what it takes to keep a skipped item.
pub(super) struct Skip<R: ItemReader> {
    pub(super) policy: SkipPolicy,
    pub(super) describe: DescribeItem<R>,
}

impl<R: ItemReader> Clone for Skip<R> {
    fn clone(&self) -> Self {
        Self { policy: self.policy.clone(), describe: self.describe }
    }
}

/// Whether the next chunk is read and processed while the last one is written and committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadAhead {
    /// When both take long enough for it to pay: measured while the step runs.
    #[default]
    Auto,
    /// From the first chunk on.
    Always,
    /// One after the other, on one thread: for a reader or processor that depends on what the writer has written.
    Never,
}

#[derive(Clone)]
pub(super) enum ChunkSize {
    Fixed(u32),
    Late(Factory<u32>),
}

/// Settings that do not depend on the items.
pub(super) struct Settings {
    pub(super) size: ChunkSize,
    pub(super) retry: RetryPolicy,
    pub(super) read_ahead: ReadAhead,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            size: ChunkSize::Fixed(DEFAULT_CHUNK_SIZE),
            retry: RetryPolicy::default(),
            read_ahead: ReadAhead::default(),
        }
    }
}

impl Settings {
    /// The first setting that cannot be, or that contradicts another.
    pub(super) fn problem(&self) -> Option<String> {
        match self.size {
            ChunkSize::Fixed(size) => check_size(size).err(),
            ChunkSize::Late(_) => None,
        }
    }

    pub(super) fn fixed_size(&self) -> Option<u32> {
        match self.size {
            ChunkSize::Fixed(size) => Some(size),
            ChunkSize::Late(_) => None,
        }
    }
}

pub(super) fn check_size(size: u32) -> Result<usize, String> {
    match usize::try_from(size) {
        Ok(items) if (1..=MAX_CHUNK_SIZE).contains(&size) => Ok(items),
        _ => Err(format!("chunk size {size} is not within 1 to {MAX_CHUNK_SIZE}")),
    }
}

/// Settings that depend on what is read.
pub(super) struct ItemSettings<R: ItemReader> {
    pub(super) copy: Option<CopyItem<R>>,
    pub(super) skip: Option<Skip<R>>,
}

impl<R: ItemReader> Default for ItemSettings<R> {
    fn default() -> Self {
        Self { copy: None, skip: None }
    }
}
