//! The loop of a chunk step: open, take a sealed chunk, commit it, to the end of the input.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::ahead::{Measure, Source};
use super::commit::{Commits, Target};
use super::fill::{Filler, Interrupt, Room, failed};
use super::settings::{ChunkSize, Factory, ItemSettings, ReadAhead, Settings, check_size};
use super::totals::{ReadTally, Totals, TotalsLedger};
use crate::execution::{StepState, cause_chain};
use crate::item::{ItemProcessor, ItemReader, ItemWriter};
use crate::step::{BodyEnd, BodyFault, BodyRun, StepBody, StepContext};

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
}

impl<R, P, W> StepBody for ChunkBody<R, P, W>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output> + 'static,
{
    fn run(&self, run: BodyRun) -> LocalBoxFuture<'_, Result<BodyEnd, BodyFault>> {
        self.run_parts(run).boxed_local()
    }
}

impl<R, P, W> ChunkBody<R, P, W>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output> + 'static,
{
    async fn run_parts(&self, run: BodyRun) -> Result<BodyEnd, BodyFault> {
        let BodyRun { context, state, control_totals, resumed, mut transaction } = run;
        let ledger = match &self.totals {
            Some(totals) => Some(TotalsLedger::resume(totals, control_totals.as_deref(), resumed)?),
            None => None,
        };
        let mut filler = Filler {
            size: self.resolve_size(&context)?,
            reader: build("reader", &self.reader, &context)?,
            processor: build("processor", &self.processor, &context)?,
            context: context.clone(),
            retry: self.settings.retry.clone(),
            copy_item: self.items.copy,
            skip: self.items.skip.clone(),
            totals: self.totals.as_ref().map(ReadTally::new),
            skipped: 0,
        };
        let writer = build("writer", &self.writer, &context.for_writer())?;
        let mut target = Target { writer, transaction: transaction.as_mut() };
        let (result, filler) = match open(&mut filler, &mut target.writer, &state).await {
            Ok(()) => {
                let commits = Commits::new(&context, &self.settings.retry, self.items.skip.clone(), ledger, state);
                self.chunks(filler, &mut target, &context, commits).await
            }
            Err(fault) => (Err(fault), Some(filler)),
        };
        // Everything that may be is closed; the first fault is the one that is told.
        let filler_closed = match filler {
            Some(mut filler) => filler.close().await,
            None => Ok(()),
        };
        let writer_closed = target.writer.close().await.map_err(|error| failed("close the writer", &error));
        let end = match result {
            Ok(end) => end,
            Err(Interrupt::Stopped) => BodyEnd::Stopped,
            Err(Interrupt::Fault(fault)) => return Err(fault),
        };
        filler_closed.and(writer_closed).map(|()| end)
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

    /// Runs the chunks; gives reader and processor back to be closed.
    async fn chunks(
        &self,
        filler: Filler<R, P>,
        target: &mut Target<'_, W>,
        context: &StepContext,
        mut commits: Commits<'_, R, P::Output>,
    ) -> (Result<BodyEnd, Interrupt>, Option<Filler<R, P>>) {
        let mut source = Source::Direct(filler);
        if self.settings.read_ahead == ReadAhead::Always {
            source = match source.go_ahead() {
                Ok(source) => source,
                Err(fault) => return (Err(fault), None),
            };
        }
        let mut measure = Measure::new(self.settings.read_ahead);
        let mut room = Room { outputs: Vec::with_capacity(FIRST_ROOM), inputs: Vec::new() };
        let result = loop {
            if context.is_stopping() {
                break Ok(BodyEnd::Stopped);
            }
            let start = measure.clock();
            let sealed = match source.next(room).await {
                Ok(sealed) => sealed,
                Err(interrupt) => break Err(interrupt),
            };
            let filled = start.and_then(|_| measure.clock());
            let end = sealed.end;
            let stop_requested;
            (room, stop_requested) = match commits.chunk(target, sealed).await {
                Ok(committed) => committed,
                Err(interrupt) => break Err(interrupt),
            };
            if end {
                break commits.end(target).await.map(|()| BodyEnd::Completed { exit_code: None });
            }
            if stop_requested {
                break Ok(BodyEnd::Stopped);
            }
            if measure.pays(start, filled) {
                source = match source.go_ahead() {
                    Ok(source) => source,
                    Err(fault) => return (Err(fault), None),
                };
            }
            if commits.made() % CHUNKS_BETWEEN_YIELDS == 0 {
                tokio::task::yield_now().await;
            }
        };
        // A fault is told although the reader still waits for input; a stop has its own grace.
        let at_most = if matches!(result, Err(Interrupt::Fault(_))) { CLOSE_AFTER_FAULT } else { Duration::MAX };
        (result, source.into_filler(at_most).await)
    }
}

async fn open<R, P, W>(filler: &mut Filler<R, P>, writer: &mut W, state: &StepState) -> Result<(), Interrupt>
where
    R: ItemReader,
    P: ItemProcessor<R::Item>,
    W: ItemWriter<P::Output>,
{
    filler.open(state).await?;
    writer.open(state.writer.as_ref()).await.map_err(|error| failed("open the writer", &error))?;
    Ok(())
}

fn build<T>(what: &str, factory: &Factory<T>, context: &StepContext) -> Result<T, BodyFault> {
    factory(context)
        .map_err(|error| BodyFault::Failed(format!("failed to build the {what}: {}", cause_chain(error.as_ref()))))
}
