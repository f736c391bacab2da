//! The settings of a chunk step's builder next to its three parts, and the check that they fit together.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::reject_output::RejectOutput;
use super::workers::Workers;
use crate::execution::{SkipPhase, SkippedItem};
use crate::item::{BoxError, ErrorKind, FiniteJson, ItemError, ItemReader, ShownJson};
use crate::listener::StepListeners;
use crate::step::context::StepContext;
use crate::step::exit_codes::ExitCode;
use crate::step::policy::{Classify, RetryPolicy, SkipPolicy};

/// Items in a chunk when the step does not say.
pub const DEFAULT_CHUNK_SIZE: u32 = 100;
/// Most items in a chunk: a chunk is kept in memory until it is committed.
pub const MAX_CHUNK_SIZE: u32 = 1_000_000;

/// Most processors that a step may have at once.
pub const MAX_PROCESSORS: u32 = 4096;

/// Most workers that a step may have.
pub const MAX_WORKERS: u32 = 256;

/// The author's function that builds a part for an execution.
pub(super) type Factory<T> = Arc<dyn Fn(&StepContext) -> Result<T, BoxError> + Send + Sync>;

/// Copies an item before it is processed, so that it can be processed again.
pub(super) type CopyItem<R> = fn(&<R as ItemReader>::Item) -> <R as ItemReader>::Item;

/// Reads an item back from the JSON that was kept of it.
pub(super) type FromJson<I> = fn(&str) -> Result<I, serde_json::Error>;

/// Writes an item as JSON, to be kept when it is skipped.
type DescribeItem<R> = fn(&<R as ItemReader>::Item) -> KeptText;

/// A skip policy, and what it takes to keep a skipped item.
pub(super) struct Skip<R: ItemReader> {
    pub(super) policy: SkipPolicy,
    pub(super) describe: DescribeItem<R>,
    /// Reads a kept item back, in a step that can run it again.
    pub(super) read_back: Option<FromJson<R::Item>>,
}

impl<R: ItemReader> Clone for Skip<R> {
    fn clone(&self) -> Self {
        Self { policy: self.policy.clone(), describe: self.describe, read_back: self.read_back }
    }
}

impl<R: ItemReader> Skip<R> {
    /// The record of an item that failed with `error`, or of one that could not be read.
    #[cold]
    pub(super) fn kept(&self, phase: SkipPhase, item: Option<&R::Item>, error: &ItemError) -> SkippedItem {
        let (text, whole) = match (item, phase) {
            (Some(item), _) => {
                let KeptText { text, whole } = (self.describe)(item);
                let whole = whole && text.as_deref().is_none_or(|text| self.reads_back(text));
                (text, whole)
            }
            (None, SkipPhase::Read) => (error.raw().map(str::to_owned), error.raw_is_whole()),
            (None, _) => (None, false),
        };
        let mut skipped = SkippedItem::new(phase, error.location(), text, error.cause_text());
        skipped.complete &= whole;
        skipped
    }

    /// True if the JSON of an item is all of it: read back, it is written as the same JSON. Maps and sets may be
    /// written in another order each time, so it is the letters that are compared.
    fn reads_back(&self, text: &str) -> bool {
        let Some(read_back) = self.read_back else { return true };
        let Ok(item) = read_back(text) else { return false };
        let again = (self.describe)(&item).text.unwrap_or_default();
        let letters = |text: &str| {
            let mut letters = text.as_bytes().to_vec();
            letters.sort_unstable();
            letters
        };
        again == text || letters(&again) == letters(text)
    }
}

/// The JSON that is kept of an item.
pub(super) struct KeptText {
    text: Option<String>,
    /// True if it is all of the item.
    whole: bool,
}

impl KeptText {
    /// Writes an item as JSON. One that has numbers which JSON cannot hold is shown with their names.
    pub(super) fn of(item: &impl Serialize) -> Self {
        match serde_json::to_string(&FiniteJson(item)) {
            Ok(text) => Self { text: Some(text), whole: true },
            Err(_) => Self { text: serde_json::to_string(&ShownJson(item)).ok(), whole: false },
        }
    }
}

/// The rules for items that fail.
pub(super) struct Rules<R: ItemReader> {
    pub(super) retry: RetryPolicy,
    pub(super) skip: Option<Skip<R>>,
    pub(super) classify: Option<Classify>,
}

impl<R: ItemReader> Clone for Rules<R> {
    fn clone(&self) -> Self {
        Self { retry: self.retry.clone(), skip: self.skip.clone(), classify: self.classify.clone() }
    }
}

impl<R: ItemReader> Rules<R> {
    /// An error as the policies see it: its kind may be known by its cause alone.
    #[cold]
    pub(super) fn classified(&self, error: ItemError) -> ItemError {
        let classify = self.classify.as_ref().filter(|_| error.kind() == ErrorKind::Other);
        match classify.and_then(|classify| classify(error.cause())) {
            Some(kind) => error.with_kind(kind),
            None => error,
        }
    }

    pub(super) fn skip_policy(&self) -> Option<&SkipPolicy> {
        self.skip.as_ref().map(|skip| &skip.policy)
    }

    /// True if something of an item that failed may be needed again: itself, or what it found in the contexts.
    pub(super) fn goes_on(&self) -> bool {
        self.skip.is_some() || self.retry.max_retries() > 0
    }
}

/// The author's measure of an item in bytes.
type Measure<R> = Arc<dyn Fn(&<R as ItemReader>::Item) -> u64 + Send + Sync>;

/// The limit of a chunk in bytes, and the author's measure of an item.
pub(super) struct Weight<R: ItemReader> {
    /// Bytes.
    pub(super) limit: u64,
    pub(super) measure: Measure<R>,
}

impl<R: ItemReader> Clone for Weight<R> {
    fn clone(&self) -> Self {
        Self { limit: self.limit, measure: Arc::clone(&self.measure) }
    }
}

/// The rule by which the next chunk is read and processed while the last one is written and committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadAhead {
    /// When it takes long enough to pay, measured while the step runs: by one thread, or by
    /// [workers](super::ChunkStepBuilder::workers) where the reader's source can be split.
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
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) size: ChunkSize,
    /// Longest time since the first item of a chunk.
    pub(super) time: Option<Duration>,
    /// Longest time between two saves; zero saves each chunk.
    pub(super) commit_every: Option<Duration>,
    pub(super) threads: u32,
    pub(super) concurrency: u32,
    /// Workers that share the reader's source, where the author says how many.
    pub(super) block_workers: Option<usize>,
    pub(super) retry: RetryPolicy,
    pub(super) classify: Option<Classify>,
    pub(super) read_ahead: ReadAhead,
    pub(super) listeners: StepListeners,
    /// The exit code of a complete step, by its counters.
    pub(super) exit_code: Option<ExitCode>,
    pub(super) rejects: Option<Factory<Box<dyn RejectOutput>>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            size: ChunkSize::Fixed(DEFAULT_CHUNK_SIZE),
            time: None,
            commit_every: None,
            threads: 1,
            concurrency: 1,
            block_workers: None,
            retry: RetryPolicy::default(),
            classify: None,
            read_ahead: ReadAhead::default(),
            listeners: StepListeners::default(),
            exit_code: None,
            rejects: None,
        }
    }
}

impl Settings {
    /// The first setting that cannot be, or that contradicts another. `sees_all` tells whether one processor must see
    /// all.
    pub(super) fn problem(&self, sees_all: bool) -> Option<String> {
        let Self { threads, concurrency, .. } = *self;
        if let ChunkSize::Fixed(size) = self.size
            && let Err(problem) = check_size(size)
        {
            return Some(problem);
        }
        if self.time == Some(Duration::ZERO) {
            return Some("a chunk time of zero lets nothing pass".to_owned());
        }
        let processors = u64::from(threads) * u64::from(concurrency);
        if !(1..=u64::from(MAX_PROCESSORS)).contains(&processors) {
            return Some(format!(
                "{threads} processing threads with {concurrency} items in flight on each are not within 1 to {MAX_PROCESSORS} processors"
            ));
        }
        if processors > 1 && sees_all {
            return Some(
                "its processor must see all items in their order, so it can have no processing_threads and no concurrency"
                    .to_owned(),
            );
        }
        if let Some(workers) = self.block_workers {
            if !(1..=u64::from(MAX_WORKERS)).contains(&(workers as u64)) {
                return Some(format!("{workers} workers are not within 1 to {MAX_WORKERS}"));
            }
            if processors > 1 || self.time.is_some() || self.read_ahead == ReadAhead::Never {
                return Some(
                    "workers take the place of processing_threads, concurrency, chunk_time and read_ahead(ReadAhead::Never), so it can have none of them"
                        .to_owned(),
                );
            }
        }
        let ahead = if processors > 1 { "several processors at once need" } else { "a chunk time needs" };
        if self.read_ahead == ReadAhead::Never && (processors > 1 || self.time.is_some()) {
            return Some(format!("{ahead} a reader that is ahead, which read_ahead(ReadAhead::Never) forbids"));
        }
        None
    }

    pub(super) fn workers(&self) -> Option<Workers> {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let workers = Workers { threads: count(self.threads), in_flight: count(self.concurrency) };
        (workers.count() > 1).then_some(workers)
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
    pub(super) weight: Option<Weight<R>>,
}

impl<R: ItemReader> ItemSettings<R> {
    /// The same for another reader of these items.
    pub(super) fn of_another_reader<N: ItemReader<Item = R::Item>>(&self) -> ItemSettings<N> {
        ItemSettings {
            copy: self.copy,
            weight: self.weight.as_ref().map(|weight| {
                let measure = Arc::clone(&weight.measure);
                Weight { limit: weight.limit, measure }
            }),
            skip: self.skip.as_ref().map(|skip| Skip {
                policy: skip.policy.clone(),
                describe: skip.describe,
                read_back: skip.read_back,
            }),
        }
    }

    /// The first setting that cannot be.
    pub(super) fn problem(&self) -> Option<String> {
        let nothing_fits = self.weight.as_ref().is_some_and(|weight| weight.limit == 0);
        nothing_fits.then(|| "a chunk of 0 bytes holds nothing".to_owned())
    }
}

impl<R: ItemReader> Default for ItemSettings<R> {
    fn default() -> Self {
        Self { copy: None, skip: None, weight: None }
    }
}
