//! The loop of a chunk step: open, take a sealed chunk, commit it, to the end of the input.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::ahead::{Measure, Source};
use super::commit::{Commits, Target};
use super::fill::{Filler, Interrupt, Room, Sealed, failed};
use super::input::Input;
use super::joining::Joining;
use super::parallel::{Parallel, Workers};
use super::preview::RunPreview;
use super::process::Processing;
use super::read::{Limits, Reading};
use super::rerun::Rerun;
use super::settings::{ChunkSize, Factory, ItemSettings, ReadAhead, Settings, check_size};
use super::totals::{ReadTally, Totals, TotalsLedger};
use crate::execution::{StepState, cause_chain};
use crate::item::{ItemProcessor, ItemReader, ItemWriter};
use crate::step::{BodyEnd, BodyFault, BodyRun, PreviewRun, ReadToEnd, Reruns, Side, StepBody, StepContext};

/// Every so many chunks the thread lets other futures of the author's run, which share it.
const CHUNKS_BETWEEN_YIELDS: i64 = 64;
/// How long a step that has failed waits for its reader, to close it.
const CLOSE_AFTER_FAULT: Duration = Duration::from_millis(500);
/// Room that is made for the outputs of the first chunk: not more than is likely to be filled.
const FIRST_ROOM: usize = 1024;

/// The body of a chunk step: how its parts are built and its rules.
pub(super) struct ChunkBody<R: ItemReader, P: ItemProcessor<R::Item>, W> {
    pub(super) reader: Factory<R>,
    pub(super) processor: Factory<P>,
    pub(super) writer: Factory<W>,
    pub(super) settings: Settings,
    pub(super) items: ItemSettings<R>,
    pub(super) totals: Option<Arc<Totals<R::Item, P::Output>>>,
    pub(super) rerun: Option<Rerun<R, P, W>>,
    pub(super) preview: Option<RunPreview<R, P>>,
}

impl<R, P, W> StepBody for ChunkBody<R, P, W>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output> + 'static,
{
    fn run(&self, run: BodyRun) -> LocalBoxFuture<'_, Result<BodyEnd, BodyFault>> {
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
    pub(super) async fn run_parts(&self, run: BodyRun) -> Result<BodyEnd, BodyFault> {
        let BodyRun { context, state, control_totals, resumed, mut transaction } = run;
        let ledger = match &self.totals {
            Some(totals) => Some(TotalsLedger::resume(totals, control_totals.as_deref(), resumed)?),
            None => None,
        };
        let Settings { time, retry, .. } = &self.settings;
        let side = if time.is_some() { Side::Reading } else { Side::Settling };
        let reading = Reading {
            limits: Limits { items: self.resolve_size(&context)?, time: *time, weight: self.items.weight.clone() },
            input: Input::Direct(build("reader", &self.reader, &context.for_side(side))?),
            context: context.clone(),
            retry: retry.clone(),
            skip: self.items.skip.clone(),
        };
        let processing = self.build_processors(&context)?;
        let writer = build("writer", &self.writer, &context.for_side(Side::Writing))?;
        let joins = self.settings.commit_every.or_else(|| writer.save_interval()).filter(|every| !every.is_zero());
        let joining = joins.map(|every| Joining::start(every, &context)).transpose()?;
        let mut target = Target { writer, transaction: transaction.as_mut() };
        // Everything that may be is closed; the first fault is the one that is told.
        let (result, closed) = match self.open(reading, processing, &mut target.writer, &state).await {
            Ok(source) => {
                let commits = Commits::new(&context, retry, self.items.skip.clone(), ledger, joining, state);
                self.chunks(source, &mut target, &context, commits).await
            }
            Err((fault, closed)) => (Err(fault), closed),
        };
        let writer_closed = target.writer.close().await.map_err(|error| failed("close the writer", &error));
        let end = match result {
            Ok(end) => end,
            Err(Interrupt::Stopped) => BodyEnd::Stopped,
            Err(Interrupt::Fault(fault)) => return Err(fault),
        };
        closed.and(writer_closed).map(|()| end)
    }

    /// Builds one processor, or as many as are to work at once.
    fn build_processors(&self, context: &StepContext) -> Result<Vec<Processing<R, P>>, BodyFault> {
        let (count, side) = match self.settings.workers() {
            Some(workers) => (workers.count(), Side::Beside),
            None => (1, Side::Settling),
        };
        let context = context.for_side(side);
        let one = |_| {
            Ok(Processing {
                processor: build("processor", &self.processor, &context)?,
                context: context.clone(),
                retry: self.settings.retry.clone(),
                copy: self.items.copy,
                skip: self.items.skip.clone(),
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
        writer: &mut W,
        state: &StepState,
    ) -> Result<Source<R, P>, (Interrupt, Result<(), BodyFault>)> {
        let opened = async {
            let Input::Direct(reader) = &mut reading.input else { return Ok(()) };
            reader.open(state.reader.as_ref()).await.map_err(|error| failed("open the reader", &error))?;
            match processors.as_mut_slice() {
                [one] => {
                    let opened = one.processor.open(state.processor.as_ref()).await;
                    opened.map_err(|error| failed("open the processor", &error))?;
                }
                _ if state.processor.is_some() => {
                    let message = "the last attempt of the step has kept a processor's checkpoint, which several processors at once cannot go on from; launch with force to start anew";
                    return Err(BodyFault::Failed(message.to_owned()));
                }
                _ => {}
            }
            writer.open(state.writer.as_ref()).await.map_err(|error| failed("open the writer", &error))
        };
        let opened = opened.await;
        let source = match (opened, self.settings.workers()) {
            (Err(fault), _) => Err((fault.into(), Some(reading))),
            (Ok(()), workers) => self.start(reading, &mut processors, workers).await,
        };
        match source {
            Ok(source) => Ok(source),
            Err((fault, reading)) => {
                let mut closed = match reading {
                    Some(reading) => reading.input.close(CLOSE_AFTER_FAULT).await,
                    None => Ok(()),
                };
                for mut one in processors {
                    let result = one.processor.close().await;
                    closed = closed.and(result.map_err(|error| failed("close the processor", &error)));
                }
                Err((fault, closed))
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
        let source = Source::Direct(Filler { reading, processing, skipped: 0 });
        match self.settings.read_ahead {
            ReadAhead::Always => source.go_ahead().map_err(|interrupt| (interrupt, None)),
            _ => Ok(source),
        }
    }

    fn resolve_size(&self, context: &StepContext) -> Result<usize, BodyFault> {
        let size = match &self.settings.size {
            ChunkSize::Fixed(size) => *size,
            ChunkSize::Late(function) => function(context).map_err(|error| {
                BodyFault::Failed(format!("failed to find the chunk size: {}", cause_chain(error.as_ref())))
            })?,
        };
        check_size(size).map_err(BodyFault::Failed)
    }

    /// Runs the chunks, and closes reader and processors.
    async fn chunks(
        &self,
        mut source: Source<R, P>,
        target: &mut Target<'_, W>,
        context: &StepContext,
        mut commits: Commits<'_, R, P::Output>,
    ) -> (Result<BodyEnd, Interrupt>, Result<(), BodyFault>) {
        let mut measure = Measure::new(self.settings.read_ahead);
        let mut room = Room { outputs: Vec::with_capacity(FIRST_ROOM), inputs: Vec::new() };
        let mut result = loop {
            if context.is_stopping() {
                break Ok(BodyEnd::Stopped);
            }
            let start = measure.clock();
            let sealed = match next(&mut source, room, &mut commits, target).await {
                Ok(sealed) => sealed,
                Err(interrupt) => break Err(interrupt),
            };
            let filled = start.and_then(|_| measure.clock());
            let end = sealed.seal.end;
            room = match commits.chunk(target, sealed).await {
                Ok(committed) => committed,
                Err(interrupt) => break Err(interrupt),
            };
            if end {
                break commits.end(target).await.map(|()| BodyEnd::Completed { exit_code: None });
            }
            if commits.is_stop_requested() {
                break Ok(BodyEnd::Stopped);
            }
            if measure.pays(start, filled) {
                source = match source.go_ahead() {
                    Ok(source) => source,
                    Err(fault) => return (Err(fault), Ok(())),
                };
            }
            if commits.made() % CHUNKS_BETWEEN_YIELDS == 0 {
                tokio::task::yield_now().await;
            }
        };
        if !matches!(result, Err(Interrupt::Fault(BodyFault::LeaseLost)))
            && let Err(interrupt) = commits.save_unsaved(target).await
            && !matches!(result, Err(Interrupt::Fault(_)))
        {
            result = Err(interrupt);
        }
        // A fault is told although the reader still waits for input; a stop has its own grace.
        let at_most = if matches!(result, Err(Interrupt::Fault(_))) { CLOSE_AFTER_FAULT } else { Duration::MAX };
        let completed = matches!(result, Ok(BodyEnd::Completed { .. }));
        (result, source.close(at_most, completed).await)
    }
}

/// The next chunk. When it is not there at once, what is unsaved does not wait for it longer than it may.
#[inline]
async fn next<R, P, W>(
    source: &mut Source<R, P>,
    room: Room<R::Item, P::Output>,
    commits: &mut Commits<'_, R, P::Output>,
    target: &mut Target<'_, W>,
) -> Result<Sealed<R::Item, P::Output>, Interrupt>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output>,
{
    let mut chunk = pin!(source.next(room));
    loop {
        tokio::select! {
            biased;
            sealed = &mut chunk => return sealed,
            () = commits.save_due() => {}
        }
        commits.save_unsaved(target).await?;
    }
}

fn build<T>(what: &str, factory: &Factory<T>, context: &StepContext) -> Result<T, BodyFault> {
    factory(context)
        .map_err(|error| BodyFault::Failed(format!("failed to build the {what}: {}", cause_chain(error.as_ref()))))
}
