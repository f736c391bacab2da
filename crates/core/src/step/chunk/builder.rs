//! Builds chunk steps.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::definition::{ChunkBody, RunPreview};
use super::part::{IntoProcessor, IntoWriter};
use super::preview;
use super::rerun::DeclaredRerun;
use super::settings::{ChunkSize, Factory, ItemSettings, ReadAhead, Settings, Weight};
use super::totals::Declared;
use crate::execution::Counters;
use crate::item::{BoxError, ItemProcessor, ItemReader, ItemWriter};
use crate::job::BuildError;
use crate::step::context::StepContext;
use crate::step::definition::{IntoStep, Step, StepKind, StepRules, rule_methods};
use crate::step::exit_codes::ExitCode;

/// Stands in a [`ChunkStepBuilder`] for a writer that has yet to be given; a step with it cannot be built.
#[derive(Debug)]
pub struct NoWriter(pub(super) ());

/// Builds a chunk step; given to [`JobBuilder::step`](crate::JobBuilder::step) as it is.
pub struct ChunkStepBuilder<R: ItemReader, P, W> {
    pub(super) name: String,
    pub(super) reader: Factory<R>,
    pub(super) processor: Factory<P>,
    pub(super) writer: Factory<W>,
    pub(super) settings: Settings,
    pub(super) items: ItemSettings<R>,
    pub(super) totals: Declared<R::Item>,
    pub(super) rerun: DeclaredRerun<R::Item>,
    /// A `RunPreview` of the parts that are set at the time; its type shows whether they still are.
    pub(super) preview: Option<Box<dyn Any>>,
    pub(super) rules: StepRules,
}

impl<R: ItemReader, P, W> fmt::Debug for ChunkStepBuilder<R, P, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkStepBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<R: ItemReader, P, W> ChunkStepBuilder<R, P, W> {
    /// The function that builds the processor of an execution: it returns the processor, or a `Result` of it.
    #[must_use]
    pub fn processor<T, F, How>(self, factory: F) -> ChunkStepBuilder<R, T::Processor, W>
    where
        T: IntoProcessor<R::Item, How>,
        F: Fn(&StepContext) -> T + Send + Sync + 'static,
    {
        self.with_processor(Arc::new(move |context| factory(context).into_processor()))
    }

    pub(super) fn with_processor<N>(self, processor: Factory<N>) -> ChunkStepBuilder<R, N, W> {
        let Self { name, reader, writer, settings, items, totals, rerun, preview, rules, .. } = self;
        ChunkStepBuilder { name, reader, processor, writer, settings, items, totals, rerun, preview, rules }
    }

    /// The function that builds the writer of an execution: it returns the writer, or a `Result` of it.
    #[must_use]
    pub fn writer<T, F, How>(self, factory: F) -> ChunkStepBuilder<R, P, T::Writer>
    where
        P: ItemProcessor<R::Item>,
        T: IntoWriter<P::Output, How>,
        F: Fn(&StepContext) -> T + Send + Sync + 'static,
    {
        let Self { name, reader, processor, settings, items, totals, rerun, preview, rules, .. } = self;
        let writer: Factory<T::Writer> = Arc::new(move |context| factory(context).into_writer());
        ChunkStepBuilder { name, reader, processor, writer, settings, items, totals, rerun, preview, rules }
    }

    /// The number of items of a chunk; [`DEFAULT_CHUNK_SIZE`](crate::step::DEFAULT_CHUNK_SIZE) when it is not set, at
    /// most [`MAX_CHUNK_SIZE`](crate::step::MAX_CHUNK_SIZE).
    #[must_use]
    pub fn chunk_size(mut self, items: u32) -> Self {
        self.settings.size = ChunkSize::Fixed(items);
        self
    }

    /// The number of items of a chunk, by a function that sees the parameters of the execution.
    #[must_use]
    pub fn chunk_size_from<F>(mut self, function: F) -> Self
    where
        F: Fn(&StepContext) -> Result<u32, BoxError> + Send + Sync + 'static,
    {
        self.settings.size = ChunkSize::Late(Arc::new(function));
        self
    }

    /// Seals a chunk that holds so many bytes, by the author's measure of an item that was read: for items of very
    /// different sizes. A chunk is heavier by its last item at most; [`chunk_size`](Self::chunk_size) is a limit too.
    #[must_use]
    pub fn chunk_bytes<F>(mut self, bytes: u64, measure: F) -> Self
    where
        F: Fn(&R::Item) -> u64 + Send + Sync + 'static,
    {
        self.items.weight = Some(Weight { limit: bytes, measure: Arc::new(measure) });
        self
    }

    /// Seals a chunk when so much time has passed since its first item, also while the reader waits for more: for input
    /// that comes slowly. [`chunk_size`](Self::chunk_size) is a limit too.
    ///
    /// The reader runs on a thread of its own, a few items ahead, and is asked for its checkpoint behind each item,
    /// which costs about a tenth of a microsecond. Of an entry of the contexts that reader and processor both put, the
    /// reader's is stored. A read that fails and is repeated is waited for.
    #[must_use]
    pub fn chunk_time(mut self, time: Duration) -> Self {
        self.settings.time = Some(time);
        self
    }

    /// Processes by so many processors at once, each built by the factory and on a thread of its own: for processors
    /// that keep a processor busy. What comes of it is the same as with one: the order of the outputs, the counts, the
    /// skipped items, the checkpoints.
    ///
    /// - Each processor sees some of the items. One that must see all of them [says
    ///   so](ItemProcessor::NEEDS_ALL_ITEMS), and the step is not built; one that keeps a checkpoint fails the step at
    ///   its start.
    /// - A processor can read the entries of the contexts and put none.
    /// - Items behind one that fails the step may have been processed too: effects are at least once, as ever.
    /// - A stop does not wait for the chunk in hand: its items are processed again by the next attempt.
    /// - Memory is bounded by four chunks and 128 items for each processor.
    #[must_use]
    pub fn processing_threads(mut self, threads: u32) -> Self {
        self.settings.threads = threads;
        self
    }

    /// Keeps so many items in flight, each in a processor of its own, built by the factory: for async processors that
    /// wait, as for the answer of a service. They share one thread. All else is as with
    /// [`processing_threads`](Self::processing_threads); both together make so many items in flight on each of the
    /// threads. A retry waits in its item's place, while the others go on. A processor that is awaited when the step is
    /// stopped, or fails, is dropped where it waits.
    #[must_use]
    pub fn concurrency(mut self, items: u32) -> Self {
        self.settings.concurrency = items;
        self
    }

    /// Reads, and encodes what is written, by so many workers at once: each takes a block of whole records of the
    /// source, makes items of it, and encodes the outputs, while others do so with theirs. In between the processor
    /// has the items in their order, one worker at a time. What comes of it is the same as with one thread: outputs,
    /// counts, skipped items, checkpoints, contexts.
    ///
    /// Without it a step has as many workers as there are cores, up to 8, once it is measured that this pays. It takes
    /// a reader whose source [can be split](ItemReader::split): of any other the step goes on as if nothing was set. A
    /// writer that has no [encoder](ItemWriter::encoder) is given the outputs as they are. The memory of a worker is
    /// that of a block, some 4 MiB at most, and of the chunks that end in it.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.settings.block_workers = Some(usize::try_from(workers).unwrap_or(usize::MAX));
        self
    }

    /// Saves the states of several chunks at once, when so much time has passed since the last save: for chunks that
    /// take less time than a save, about 10 µs. Without it the [writer decides](ItemWriter::save_interval): files ask
    /// for such a time, since each save waits for them to be on disk. Zero saves each chunk as it is committed.
    ///
    /// A chunk whose state waits is written and flushed, and the writer will not be asked to take it back. It is saved
    /// at the end of that time, at a stop, an error, and the end of the input. After a kill, a loss of the lease or a
    /// panic the next attempt repeats what was not saved: files are cut back and hold everything once as before, other
    /// targets outside of the repository may be given more again than the last chunk. A chunk is never kept waiting
    /// that holds skipped items or in which a context has changed, nor one that was written through the repository's
    /// transaction, unless its writer [joins transactions](ItemWriter::joins_transactions).
    ///
    /// `PostgresWriter` joins them for inserts: the rows of all chunks until the save are one transaction and become
    /// visible together. A row that is refused has it rolled back, and its chunks committed one by one. The transaction
    /// is open for as long as this time, while the next chunks are read and processed. Without it they are joined for a
    /// short time of the writer's own, where the chunks come from other threads than the step's.
    ///
    /// A stop that another node records is seen with the next save, at the latest. Where a reader or processor blocks
    /// its thread, the save waits for it, unless the step [reads ahead](ReadAhead::Always).
    #[must_use]
    pub fn commit_every(mut self, time: Duration) -> Self {
        self.settings.commit_every = Some(time);
        self
    }

    /// Takes the exit code of the step, once it is complete, from its counters, for transitions to match; `None` leaves
    /// the name of the status. The counters are sums over all attempts since the last forced launch, so that a crash
    /// does not change the way. [`exit_codes`](crate::step::exit_codes) has functions that are ready to use.
    ///
    /// It is called when all chunks are committed. When it fails or panics, the step is FAILED, and a restart calls it
    /// again and writes nothing.
    #[must_use]
    pub fn exit_code<F>(mut self, function: F) -> Self
    where
        F: Fn(&Counters) -> Result<Option<String>, BoxError> + Send + Sync + 'static,
    {
        self.settings.exit_code = Some(ExitCode::new(function));
        self
    }

    /// Makes the step such that its first items can be shown, input next to output, without writing or storing
    /// anything: `run JOB --preview 20`, `POST /jobs/{name}/preview`. Set after the processor.
    #[must_use]
    pub fn preview(mut self) -> Self
    where
        R: ItemReader<Item: serde::Serialize> + 'static,
        P: ItemProcessor<R::Item, Output: serde::Serialize> + 'static,
    {
        let run: RunPreview<R, P> = preview::run_preview;
        self.preview = Some(Box::new(run));
        self
    }

    /// The rule by which the next chunk is read and processed while the last one is written and committed. What is
    /// committed is the same either way: a checkpoint travels with its chunk. At most three chunks are in memory.
    #[must_use]
    pub fn read_ahead(mut self, read_ahead: ReadAhead) -> Self {
        self.settings.read_ahead = read_ahead;
        self
    }

    rule_methods!();
}

impl<R, P, W> IntoStep for ChunkStepBuilder<R, P, W>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output> + 'static,
{
    fn into_step(self) -> Result<Step, BuildError> {
        self.try_into()
    }
}

impl<R, P, W> TryFrom<ChunkStepBuilder<R, P, W>> for Step
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output> + 'static,
{
    type Error = BuildError;

    fn try_from(builder: ChunkStepBuilder<R, P, W>) -> Result<Self, BuildError> {
        let ChunkStepBuilder { name, reader, processor, writer, settings, mut items, totals, rerun, preview, rules } =
            builder;
        let error = |problem| BuildError::Step { step: name.clone(), problem };
        let totals = totals.build().map_err(error)?;
        let rerun = rerun.build(items.skip.is_some()).map_err(error)?;
        if let (Some(skip), Some(rerun)) = (&mut items.skip, &rerun) {
            skip.read_back = Some(rerun.from_json);
        }
        let preview = match preview.map(|preview| preview.downcast::<RunPreview<R, P>>()) {
            None => None,
            Some(Ok(preview)) => Some(*preview),
            Some(Err(_)) => {
                return Err(error("preview must come after the processor and the item listener".to_owned()));
            }
        };
        let problem = settings
            .problem(P::NEEDS_ALL_ITEMS)
            .or_else(|| items.problem())
            .or_else(|| {
                let none = settings.rejects.is_some() && items.skip.is_none();
                none.then(|| "it has an output of rejects, but no skip policy: nothing is ever skipped".to_owned())
            })
            .or_else(|| rules.problem());
        if let Some(problem) = problem {
            return Err(BuildError::Step { step: name, problem });
        }
        let kind = StepKind::Chunk { size: settings.fixed_size() };
        Ok(Self::new(
            name,
            kind,
            rules,
            ChunkBody { reader, processor, writer, settings, items, totals, rerun, preview, kept_ids: None },
        ))
    }
}
