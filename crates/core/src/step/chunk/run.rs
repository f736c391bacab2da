//! The loop of a chunk step: open, take a sealed chunk, commit it, to the end of the input.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::ahead::{Measure, Pays, Source};
use super::buffers::Buffers;
use super::commit::Commits;
use super::definition::{ChunkBody, Rerun};
use super::fill::Filler;
use super::input::Input;
use super::interrupt::{Interrupt, failed};
use super::joining::Joining;
use super::parallel::Parallel;
use super::process::Processing;
use super::read::{Limits, Reading};
use super::sealed::Sealed;
use super::settings::{ChunkSize, Factory, ReadAhead, check_size};
use super::span::Span;
use super::standing::Standing;
use super::stopwatch::{CommitClock, FillClock};
use super::target::Target;
use super::totals::{ReadTally, TotalsLedger};
use super::workers::Workers;
use crate::execution::{StepState, cause_chain};
use crate::item::{Checkpoint, ItemProcessor, ItemReader, ItemWriter, Origin};
use crate::job::PartNames;
use crate::listener::StepListeners;
use crate::step::body::{BodyEnd, BodyError, BodyRun, Reruns, StepBody};
use crate::step::context::StepContext;
use crate::step::item_origin::ItemOrigin;
use crate::step::preview::{PreviewRun, ReadToEnd};
use crate::step::shared::Side;

/// Every so many chunks the thread lets other futures of the author's run, which share it.
const CHUNKS_BETWEEN_YIELDS: i64 = 64;
/// The time for which a step that has failed waits for its reader, to close it.
const CLOSE_AFTER_FAULT: Duration = Duration::from_millis(500);
/// Outputs of the first chunk that memory is taken for: not more than is likely to be filled.
const FIRST_OUTPUTS: usize = 1024;

impl<R, P, W> StepBody for ChunkBody<R, P, W>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output> + 'static,
{
    fn run(&self, run: BodyRun) -> LocalBoxFuture<'_, Result<BodyEnd, BodyError>> {
        match &self.rerun {
            Some(rerun) if run.context.rerun_of().is_some() => (rerun.run)(self, run),
            _ => self.run_parts(run).boxed_local(),
        }
    }

    fn preview(&self, run: PreviewRun) -> LocalBoxFuture<'_, Result<ReadToEnd, String>> {
        match self.preview {
            Some(preview) => preview(&self.reader, &self.processor, run),
            None => Box::pin(std::future::ready(Err("the step has no preview".to_owned()))),
        }
    }

    fn can_preview(&self) -> bool {
        self.preview.is_some()
    }

    fn part_names(&self) -> Option<PartNames> {
        Some(PartNames::of::<R, W>())
    }

    fn listeners(&self) -> Option<&StepListeners> {
        Some(&self.settings.listeners)
    }

    fn place_of(&self, checkpoint: &Checkpoint) -> Option<Origin> {
        R::place_of(checkpoint)
    }

    fn reruns(&self) -> Reruns {
        match &self.rerun {
            None => Reruns::Nothing,
            Some(Rerun { from_raw: None, .. }) => Reruns::Items,
            Some(Rerun { from_raw: Some(_), .. }) => Reruns::ItemsAndRaw,
        }
    }
}

impl<R, P, W> ChunkBody<R, P, W>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output> + 'static,
{
    pub(super) async fn run_parts(&self, run: BodyRun) -> Result<BodyEnd, BodyError> {
        let BodyRun { context, state, control_totals, resumed, mut transaction } = run;
        let totals = match &self.totals {
            Some(totals) => Some(TotalsLedger::resume(totals, control_totals.as_deref(), resumed)?),
            None => None,
        };
        let rules = self.rules();
        record_changes(&context, rules.goes_on());
        let reading = self.build_reader(&context)?;
        let processing = self.build_processors(&context)?;
        let writer = build("writer", &self.writer, &context.for_side(Side::Writing))?;
        let joins = self.settings.commit_every.or_else(|| writer.save_interval()).filter(|every| !every.is_zero());
        let joining = joins.map(|every| Joining::start(every, &context)).transpose()?;
        let rejects = self.settings.rejects.as_ref();
        let rejects = rejects.map(|rejects| build("output of rejects", rejects, &context.for_side(Side::Writing)));
        let (transaction, syncer, rejects) = (transaction.as_mut(), None, rejects.transpose()?);
        let mut target = Target { writer, transaction, context: context.clone(), syncer, rejects };
        // Everything that may be is closed; the first error is the one that is reported.
        let (result, closed) = match self.open(reading, processing, &mut target, &state).await {
            Ok(source) => {
                let standing = Standing::new(&context, state, totals, joining);
                let (clock, span) = (CommitClock::default(), Span::default());
                let commits = Commits { context: &context, rules, standing, clock, span };
                self.chunks(source, &mut target, commits).await
            }
            Err((error, closed)) => (Err(error), closed),
        };
        let is_failed = matches!(result, Err(Interrupt::Body(BodyError::Failed(_))));
        let writer_closed = target.close(is_failed).await;
        let end = match result {
            Ok(end) => end,
            Err(Interrupt::Stopped) => BodyEnd::Stopped,
            Err(Interrupt::Body(error)) => return Err(error),
        };
        closed.and(writer_closed)?;
        self.with_exit_code(end, &context)
    }

    /// A complete end with the exit code of the step's function.
    fn with_exit_code(&self, end: BodyEnd, context: &StepContext) -> Result<BodyEnd, BodyError> {
        let (BodyEnd::Completed { .. }, Some(function)) = (&end, &self.settings.exit_code) else { return Ok(end) };
        let scope = context.scope();
        let exit_code = function.of(&scope.earlier.plus(&scope.live.counters())).map_err(BodyError::Failed)?;
        Ok(BodyEnd::Completed { exit_code })
    }

    fn build_reader(&self, context: &StepContext) -> Result<Reading<R>, BodyError> {
        let time = self.settings.time;
        let side = if time.is_some() { Side::Reading } else { Side::Processing };
        Ok(Reading {
            limits: Limits { items: self.resolve_size(context)?, time, weight: self.items.weight.clone() },
            input: Input::Direct(build("reader", &self.reader, &context.for_side(side))?),
            context: context.clone(),
            rules: self.rules(),
            kept_ids: self.kept_ids.clone(),
        })
    }

    /// Builds one processor, or as many as are to work at once.
    fn build_processors(&self, context: &StepContext) -> Result<Vec<Processing<R, P>>, BodyError> {
        let (count, side) = match self.settings.workers() {
            Some(workers) => (workers.count(), Side::Beside),
            None => (1, Side::Processing),
        };
        let undoes = side == Side::Processing;
        let one = |_| {
            let origin = ItemOrigin::default();
            let context = context.for_processor(side, &origin);
            Ok(Processing {
                processor: build("processor", &self.processor, &context)?,
                context,
                origin,
                rules: self.rules(),
                copy: self.items.copy,
                undoes,
                totals: self.totals.as_ref().map(ReadTally::new),
            })
        };
        (0..count).map(one).collect()
    }

    /// Opens reader, processors and writer, and closes what it can where one cannot be opened.
    async fn open(
        &self,
        mut reading: Reading<R>,
        mut processors: Vec<Processing<R, P>>,
        target: &mut Target<'_, W>,
        state: &StepState,
    ) -> Result<Source<R, P>, (Interrupt, Result<(), BodyError>)> {
        let opened = async {
            let Input::Direct(reader) = &mut reading.input else { return Ok(()) };
            reader.open(state.reader.as_ref()).await.map_err(|error| failed("open the reader", &error))?;
            match processors.as_mut_slice() {
                [one] => {
                    let opened = one.processor.open(state.processor.as_ref()).await;
                    let syncer = opened.and_then(|()| one.processor.syncer());
                    target.syncer = syncer.map_err(|error| failed("open the processor", &error))?;
                }
                _ if state.processor.is_some() => {
                    let message = "the last attempt of the step has kept a processor's checkpoint, which several processors at once cannot go on from; launch with force to start anew";
                    return Err(BodyError::Failed(message.to_owned()));
                }
                _ => {}
            }
            let files = reader.files();
            target.writer.inputs(&files);
            target.open_rejects(&files, state.rejects.as_ref()).await?;
            target.writer.open(state.writer.as_ref()).await.map_err(|error| failed("open the writer", &error))
        };
        let opened = opened.await;
        let source = match (opened, self.settings.workers()) {
            (Err(failure), _) => Err((failure.into(), Some(reading))),
            (Ok(()), workers) => self.start(reading, &mut processors, workers).await,
        };
        match source {
            Ok(source) => Ok(source),
            Err((failure, reading)) => {
                let mut closed = match reading {
                    Some(reading) => reading.input.close(CLOSE_AFTER_FAULT).await,
                    None => Ok(()),
                };
                for mut one in processors {
                    let result = one.processor.close().await;
                    closed = closed.and(result.map_err(|error| failed("close the processor", &error)));
                }
                Err((failure, closed))
            }
        }
    }

    /// Brings opened parts to the threads that they are to run on.
    async fn start(
        &self,
        mut reading: Reading<R>,
        processors: &mut Vec<Processing<R, P>>,
        workers: Option<Workers>,
    ) -> Result<Source<R, P>, (Interrupt, Option<Reading<R>>)> {
        if reading.limits.time.is_some() {
            reading.input = match reading.input.on_its_own_thread(&reading.context) {
                Ok(input) => input,
                Err(interrupt) => return Err((interrupt, None)),
            };
        }
        if let Some(workers) = workers {
            return Parallel::start(reading, std::mem::take(processors), workers).await.map(Source::Parallel);
        }
        let Some(processing) = processors.pop() else { return Err((Interrupt::Stopped, Some(reading))) };
        let source = Source::Direct(Filler { reading, processing, skipped: 0, clock: FillClock::default() });
        match self.settings.read_ahead {
            ReadAhead::Always => source.go_ahead().map_err(|interrupt| (interrupt, None)),
            _ => Ok(source),
        }
    }

    fn resolve_size(&self, context: &StepContext) -> Result<usize, BodyError> {
        let size = match &self.settings.size {
            ChunkSize::Fixed(size) => *size,
            ChunkSize::Late(function) => function(context).map_err(|error| {
                BodyError::Failed(format!("failed to find the chunk size: {}", cause_chain(error.as_ref())))
            })?,
        };
        check_size(size).map_err(BodyError::Failed)
    }

    /// Brings the source to more threads: to the workers that the author asks for, once it can be split, or by what was
    /// measured.
    fn use_threads(&self, source: Source<R, P>, pays: Option<Pays>) -> Result<Source<R, P>, Interrupt> {
        let source = match self.settings.block_workers {
            Some(workers) => source.go_by_blocks(workers)?,
            None => source,
        };
        match pays {
            Some(pays) => source.go_on(pays),
            None => Ok(source),
        }
    }

    /// Runs the chunks, and closes reader and processors.
    async fn chunks(
        &self,
        mut source: Source<R, P>,
        target: &mut Target<'_, W>,
        mut commits: Commits<'_, R, P::Output>,
    ) -> (Result<BodyEnd, Interrupt>, Result<(), BodyError>) {
        let mut measure = Measure::new(self.settings.read_ahead, source.chunk_size());
        let mut buffers = Buffers::with_outputs(Vec::with_capacity(FIRST_OUTPUTS));
        let mut pays = None;
        let mut result = loop {
            if commits.context.is_stopping() {
                break Ok(BodyEnd::Stopped);
            }
            if pays.is_some() || self.settings.block_workers.is_some() && matches!(source, Source::Direct(_)) {
                source = match self.use_threads(source, pays) {
                    Ok(source) => source,
                    Err(error) => return (Err(error), Ok(())),
                };
            }
            share_encoder(&source, target);
            // A transaction that nobody has asked to be shared stays open only while this thread has nothing else to do.
            commits.standing.joins_transactions =
                self.settings.commit_every.is_some() || !matches!(source, Source::Direct(_));
            let start = measure.clock();
            let sealed = match next(&mut source, buffers, &mut commits, target).await {
                Ok(sealed) => sealed,
                Err(interrupt) => break Err(interrupt),
            };
            let filled = start.and_then(|_| measure.clock());
            let (end, read) = (sealed.seal.end, sealed.seal.read);
            buffers = match commits.chunk(target, sealed).await {
                Ok(committed) => committed,
                Err(interrupt) => break Err(interrupt),
            };
            if end {
                break commits.end(target).await.map(|()| BodyEnd::Completed { exit_code: None });
            }
            if commits.standing.stop_requested {
                break Ok(BodyEnd::Stopped);
            }
            pays = measure.take(read, start, filled);
            if commits.standing.counters.commit % CHUNKS_BETWEEN_YIELDS == 0 {
                tokio::task::yield_now().await;
            }
        };
        if !matches!(result, Err(Interrupt::Body(BodyError::LeaseLost)))
            && let Err(interrupt) = commits.save_waiting(target).await
            && !matches!(result, Err(Interrupt::Body(_)))
        {
            result = Err(interrupt);
        }
        // An error is reported although the reader still waits for input; a stop has its own grace.
        let at_most = if matches!(result, Err(Interrupt::Body(_))) { CLOSE_AFTER_FAULT } else { Duration::MAX };
        let completed = matches!(result, Ok(BodyEnd::Completed { .. }));
        (result, source.close(at_most, completed).await)
    }
}

/// Has the workers encode the outputs, once there are some and the writer has an encoder.
#[inline]
fn share_encoder<R, P, W>(source: &Source<R, P>, target: &Target<'_, W>)
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output> + 'static,
{
    if let Source::Blocks(blocks) = source
        && blocks.lacks_encoder()
        && let Some(encoder) = target.writer.encoder()
    {
        blocks.set_encoder(encoder);
    }
}

/// The next chunk. When it is not there at once, what is unsaved does not wait for it longer than it may.
#[inline]
async fn next<R, P, W>(
    source: &mut Source<R, P>,
    buffers: Buffers<R::Item, P::Output>,
    commits: &mut Commits<'_, R, P::Output>,
    target: &mut Target<'_, W>,
) -> Result<Sealed<R::Item, P::Output>, Interrupt>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output>,
{
    let mut chunk = pin!(source.next(buffers));
    loop {
        tokio::select! {
            biased;
            sealed = &mut chunk => return sealed,
            () = commits.standing.save_due() => {}
        }
        commits.save_waiting(target).await?;
    }
}

fn build<T>(what: &str, factory: &Factory<T>, context: &StepContext) -> Result<T, BodyError> {
    factory(context)
        .map_err(|error| BodyError::Failed(format!("failed to build the {what}: {}", cause_chain(error.as_ref()))))
}

/// Records the entries of a writer, so that they can be rolled back; those of an item where the step may go on after
/// it.
fn record_changes(context: &StepContext, of_items: bool) {
    let sides: &[Side] = if of_items { &[Side::Writing, Side::Processing, Side::Reading] } else { &[Side::Writing] };
    context.scope().context.record(sides);
    context.scope().job.context.record(sides);
}
