//! Reads and processes a chunk, and seals it: its outputs, its counts, and the position behind its last item.

use super::CopyItem;
use crate::engine::Event;
use crate::execution::ExecutionContext;
use crate::item::{Checkpoint, ErrorKind, ItemError, ItemProcessor, ItemReader};
use crate::step::policy::random_share;
use crate::step::task::after_retries;
use crate::step::{BodyFault, RetryPolicy, Side, StepContext, StopRequested};

/// A chunk whose items are settled, ready to be written and committed. What was put into the contexts, and where the
/// reader stands, travels with it: nothing of a later chunk can be committed with an earlier one.
pub(super) struct Sealed<O> {
    pub(super) outputs: Vec<O>,
    pub(super) read: i64,
    pub(super) filtered: i64,
    pub(super) retries: i64,
    /// The reader has said that there is no more.
    pub(super) end: bool,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) progress: Option<f64>,
    /// The step's and the job's context, as far as they changed.
    pub(super) context: Option<ExecutionContext>,
    pub(super) job_context: Option<ExecutionContext>,
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

/// The reading half of a step.
pub(super) struct Filler<R: ItemReader, P> {
    pub(super) reader: R,
    pub(super) processor: P,
    pub(super) context: StepContext,
    pub(super) retry: RetryPolicy,
    pub(super) copy_item: Option<CopyItem<R>>,
    pub(super) size: usize,
}

impl<R: ItemReader, P: ItemProcessor<R::Item>> Filler<R, P> {
    /// Reads up to `size` items, processes each at once, and seals the chunk. `outputs` is room that is used again.
    #[inline]
    pub(super) async fn fill(&mut self, mut outputs: Vec<P::Output>) -> Result<Sealed<P::Output>, Interrupt> {
        outputs.clear();
        let (mut read, mut retries, mut end) = (0_usize, 0, false);
        while read < self.size {
            let item = match self.reader.read().await {
                Ok(Some(item)) => item,
                Ok(None) => {
                    end = true;
                    break;
                }
                Err(error) => match self.read_again(error, &mut retries).await? {
                    Some(item) => item,
                    None => {
                        end = true;
                        break;
                    }
                },
            };
            read += 1;
            let output = match self.copy_item {
                None => match self.processor.process(item).await {
                    Ok(output) => output,
                    Err(error) => return Err(fault_after("process", &error, 0, &self.context)),
                },
                Some(copy) => self.process_again(item, copy, &mut retries).await?,
            };
            if let Some(output) = output {
                outputs.push(output);
            }
        }
        self.seal(outputs, read, retries, end)
    }

    fn seal(
        &mut self,
        outputs: Vec<P::Output>,
        read: usize,
        retries: i64,
        end: bool,
    ) -> Result<Sealed<P::Output>, Interrupt> {
        let count = |items: usize| i64::try_from(items).unwrap_or(i64::MAX);
        let checkpoint = self.reader.checkpoint().map_err(|error| failed("take the reader's checkpoint", &error))?;
        let scope = self.context.scope();
        Ok(Sealed {
            read: count(read),
            filtered: count(read - outputs.len()),
            retries,
            end,
            checkpoint,
            progress: self.reader.progress(),
            context: scope.context.take_change_of(Side::Settling),
            job_context: scope.job.context.take_change_of(Side::Settling),
            outputs,
        })
    }

    /// Repeats a read that failed. Only a transient fault leaves the position where it was: to read again after any
    /// other would lose the item that could not be read.
    #[cold]
    async fn read_again(&mut self, mut error: ItemError, retries: &mut i64) -> Result<Option<R::Item>, Interrupt> {
        let mut made = 0;
        loop {
            if error.kind() != ErrorKind::Transient || !self.retry.allows(error.kind(), made) {
                return Err(fault_after("read", &error, made, &self.context));
            }
            made += 1;
            *retries += 1;
            wait(&self.retry, &self.context, made, &error).await?;
            match self.reader.read().await {
                Ok(item) => return Ok(item),
                Err(next) => error = next,
            }
        }
    }

    async fn process_again(
        &mut self,
        item: R::Item,
        copy: CopyItem<R>,
        retries: &mut i64,
    ) -> Result<Option<P::Output>, Interrupt> {
        let mut made = 0;
        loop {
            let error = match self.processor.process(copy(&item)).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            if !self.retry.allows(error.kind(), made) {
                return Err(fault_after("process", &error, made, &self.context));
            }
            made += 1;
            *retries += 1;
            wait(&self.retry, &self.context, made, &error).await?;
        }
    }
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
