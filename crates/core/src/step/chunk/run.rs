//! The loop of a chunk step: open, read and process a chunk, commit it, to the end of the input.

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::commit::Commits;
use super::{ChunkSize, CopyItem, Factory, Parts, check_size};
use crate::engine::Event;
use crate::execution::{StepState, cause_chain};
use crate::item::{ErrorKind, ItemError, ItemProcessor, ItemReader, ItemWriter};
use crate::step::policy::random_share;
use crate::step::task::after_retries;
use crate::step::{BodyEnd, BodyFault, BodyRun, RetryPolicy, StepBody, StepContext, StopRequested};

/// Every so many chunks the thread lets other futures of the author's run, which share it.
const CHUNKS_BETWEEN_YIELDS: i64 = 64;

/// The body of a chunk step: how its parts are built and its rules.
pub(super) struct ChunkBody<R: ItemReader, P, W> {
    pub(super) reader: Factory<R>,
    pub(super) processor: Factory<P>,
    pub(super) writer: Factory<W>,
    pub(super) size: ChunkSize,
    pub(super) retry: RetryPolicy,
    pub(super) copy_item: Option<CopyItem<R>>,
}

/// A chunk that was read and processed, without its outputs, which are kept apart to be used again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sealed {
    pub(super) read: i64,
    pub(super) filtered: i64,
    pub(super) retries: i64,
    pub(super) end: bool,
}

/// Why a chunk ends before its commit.
pub(super) enum Interrupt {
    /// A stop was requested while it waited.
    Stopped,
    /// A fault.
    Fault(BodyFault),
}

impl From<BodyFault> for Interrupt {
    fn from(fault: BodyFault) -> Self {
        Self::Fault(fault)
    }
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
        let BodyRun { context, state, mut transaction } = run;
        let size = self.resolve_size(&context)?;
        let mut parts = Parts {
            reader: build("reader", &self.reader, &context)?,
            processor: build("processor", &self.processor, &context)?,
            writer: build("writer", &self.writer, &context)?,
            transaction: transaction.as_mut(),
        };
        let result = match self.open(&mut parts, &state).await {
            Ok(()) => self.chunks(&mut parts, &context, state, size).await,
            Err(fault) => Err(fault),
        };
        // Everything that may be is closed; the first fault is the one that is told.
        let reader_closed = parts.reader.close().await.map_err(|error| failed("close the reader", &error));
        let writer_closed = parts.writer.close().await.map_err(|error| failed("close the writer", &error));
        let end = match result {
            Ok(end) => end,
            Err(Interrupt::Stopped) => BodyEnd::Stopped,
            Err(Interrupt::Fault(fault)) => return Err(fault),
        };
        reader_closed.and(writer_closed).map(|()| end)
    }

    fn resolve_size(&self, context: &StepContext) -> Result<usize, BodyFault> {
        let size = match &self.size {
            ChunkSize::Fixed(size) => *size,
            ChunkSize::Late(function) => function(context).map_err(|error| {
                BodyFault::Failed(format!("failed to find the chunk size: {}", cause_chain(error.as_ref())))
            })?,
        };
        check_size(size).map_err(BodyFault::Failed)
    }

    async fn open(&self, parts: &mut Parts<'_, R, P, W>, state: &StepState) -> Result<(), Interrupt> {
        parts.reader.open(state.reader.as_ref()).await.map_err(|error| failed("open the reader", &error))?;
        parts.writer.open(state.writer.as_ref()).await.map_err(|error| failed("open the writer", &error))?;
        Ok(())
    }

    async fn chunks(
        &self,
        parts: &mut Parts<'_, R, P, W>,
        context: &StepContext,
        state: StepState,
        size: usize,
    ) -> Result<BodyEnd, Interrupt> {
        let mut commits = Commits::new(context, &self.retry, state);
        // Not more than is likely to be filled: a chunk of a million would hold its room for a list of ten.
        let mut outputs: Vec<P::Output> = Vec::with_capacity(size.min(1024));
        loop {
            if context.is_stopping() {
                return Ok(BodyEnd::Stopped);
            }
            outputs.clear();
            let sealed = self.fill(parts, context, &mut outputs, size).await?;
            let stop = if sealed.read > 0 { commits.chunk(parts, &outputs, sealed).await? } else { false };
            if sealed.end {
                break;
            }
            if stop {
                return Ok(BodyEnd::Stopped);
            }
            if commits.made() % CHUNKS_BETWEEN_YIELDS == 0 {
                tokio::task::yield_now().await;
            }
        }
        commits.end(parts).await?;
        Ok(BodyEnd::Completed { exit_code: None })
    }

    /// Reads up to `size` items and processes each at once.
    #[inline]
    async fn fill(
        &self,
        parts: &mut Parts<'_, R, P, W>,
        context: &StepContext,
        outputs: &mut Vec<P::Output>,
        size: usize,
    ) -> Result<Sealed, Interrupt> {
        let (mut read, mut retries, mut end) = (0_usize, 0, false);
        while read < size {
            let item = match parts.reader.read().await {
                Ok(Some(item)) => item,
                Ok(None) => {
                    end = true;
                    break;
                }
                Err(error) => match self.read_again(parts, context, error, &mut retries).await? {
                    Some(item) => item,
                    None => {
                        end = true;
                        break;
                    }
                },
            };
            read += 1;
            let output = match self.copy_item {
                None => {
                    parts.processor.process(item).await.map_err(|error| Interrupt::Fault(failed("process", &error)))?
                }
                Some(copy) => self.process_again(parts, context, item, copy, &mut retries).await?,
            };
            if let Some(output) = output {
                outputs.push(output);
            }
        }
        let count = |items: usize| i64::try_from(items).unwrap_or(i64::MAX);
        Ok(Sealed { read: count(read), filtered: count(read - outputs.len()), retries, end })
    }

    /// Repeats a read that failed. Only a transient fault leaves the position where it was: to read again after any
    /// other would lose the item that could not be read.
    #[cold]
    async fn read_again(
        &self,
        parts: &mut Parts<'_, R, P, W>,
        context: &StepContext,
        mut error: ItemError,
        retries: &mut i64,
    ) -> Result<Option<R::Item>, Interrupt> {
        let mut made = 0;
        loop {
            if error.kind() != ErrorKind::Transient || !self.retry.allows(error.kind(), made) {
                return Err(fault_after("read", &error, made, context));
            }
            made += 1;
            *retries += 1;
            wait(&self.retry, context, made, &error).await?;
            match parts.reader.read().await {
                Ok(item) => return Ok(item),
                Err(next) => error = next,
            }
        }
    }

    async fn process_again(
        &self,
        parts: &mut Parts<'_, R, P, W>,
        context: &StepContext,
        item: R::Item,
        copy: CopyItem<R>,
        retries: &mut i64,
    ) -> Result<Option<P::Output>, Interrupt> {
        let mut made = 0;
        loop {
            let error = match parts.processor.process(copy(&item)).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            if !self.retry.allows(error.kind(), made) {
                return Err(fault_after("process", &error, made, context));
            }
            made += 1;
            *retries += 1;
            wait(&self.retry, context, made, &error).await?;
        }
    }
}

fn build<T>(what: &str, factory: &Factory<T>, context: &StepContext) -> Result<T, BodyFault> {
    factory(context)
        .map_err(|error| BodyFault::Failed(format!("failed to build the {what}: {}", cause_chain(error.as_ref()))))
}

/// A fault in the author's part of the loop.
pub(super) fn failed(what: &str, error: &ItemError) -> BodyFault {
    BodyFault::Failed(format!("failed to {what}: {error}"))
}

/// A fault after `made` repetitions; an author's `check_stop()?` is a stop, not a fault.
pub(super) fn fault_after(what: &str, error: &ItemError, made: u32, context: &StepContext) -> Interrupt {
    if context.is_stopping() && error.cause().is::<StopRequested>() {
        return Interrupt::Stopped;
    }
    Interrupt::Fault(BodyFault::Failed(format!("failed to {what}: {}", after_retries(error.to_string(), made))))
}

/// Tells of a repetition and waits before it, outside of any transaction.
pub(super) async fn wait(
    policy: &RetryPolicy,
    context: &StepContext,
    retry: u32,
    error: &ItemError,
) -> Result<(), Interrupt> {
    let delay = policy.delay(retry, random_share());
    context.scope().job.events.emit(&Event::RetryScheduled {
        execution_id: context.execution_id(),
        step_name: context.step_name(),
        retry,
        delay,
        cause: &error.to_string(),
    });
    context.sleep(delay).await.map_err(|StopRequested| Interrupt::Stopped)
}
