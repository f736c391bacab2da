//! The commits of a chunk step: outputs, checkpoint and counters together, replayed where a retry is allowed.

use super::Parts;
use super::run::{Interrupt, Sealed, fault_after, wait};
use crate::execution::{Counters, ExecutionContext, StepState, cause_chain};
use crate::item::{ItemError, ItemReader, ItemWriter};
use crate::repository::{ChunkSave, RepositoryError};
use crate::step::{BodyFault, RetryPolicy, StepContext};

/// What has been committed of a step, and what it takes to commit the next chunk.
pub(super) struct Commits<'a> {
    context: &'a StepContext,
    retry: &'a RetryPolicy,
    state: StepState,
    counters: Counters,
    /// Used again for each commit.
    json: String,
}

/// Why one attempt to commit failed.
enum Attempt {
    /// In the author's writer.
    Write(&'static str, ItemError),
    /// In the repository.
    Save(RepositoryError),
    /// The state does not fit its limit.
    State(String),
}

impl<'a> Commits<'a> {
    pub(super) fn new(context: &'a StepContext, retry: &'a RetryPolicy, state: StepState) -> Self {
        Self { context, retry, state, counters: Counters::default(), json: String::new() }
    }

    /// Chunks committed so far.
    pub(super) fn made(&self) -> i64 {
        self.counters.commit
    }

    /// Commits one chunk. The answer is whether somebody asked for a stop.
    pub(super) async fn chunk<R: ItemReader, P, W, O: Send + Sync>(
        &mut self,
        parts: &mut Parts<'_, R, P, W>,
        outputs: &[O],
        sealed: Sealed,
    ) -> Result<bool, Interrupt>
    where
        W: ItemWriter<O>,
    {
        // The position behind the chunk's last item: taken when the chunk is sealed, committed with it.
        self.state.reader = parts.reader.checkpoint().map_err(|error| fault("take the reader's checkpoint", &error))?;
        let progress = parts.reader.progress();
        let written = i64::try_from(outputs.len()).unwrap_or(i64::MAX);
        let mut made = 0;
        loop {
            let mut next = self.counters;
            next.read += sealed.read;
            next.filter += sealed.filtered;
            next.write += written;
            next.retry += sealed.retries;
            next.commit += 1;
            let attempt = match self.write(parts, outputs).await {
                Ok(()) => self.save(parts, next, progress).await,
                Err(error) => Err(error),
            };
            let attempt = match attempt {
                Ok(stop_requested) => {
                    parts.writer.committed();
                    return Ok(stop_requested);
                }
                Err(attempt) => attempt,
            };
            self.roll_back(parts).await?;
            let error = match attempt {
                Attempt::Save(RepositoryError::LeaseLost { .. }) => return Err(BodyFault::LeaseLost.into()),
                Attempt::Save(error) if !error.is_transient() => {
                    return Err(BodyFault::Failed(format!("failed to commit: {}", cause_chain(&error))).into());
                }
                Attempt::Save(error) => ("commit", ItemError::transient(error)),
                Attempt::State(message) => return Err(BodyFault::Failed(message).into()),
                Attempt::Write(what, error) => (what, error),
            };
            let (what, error) = error;
            if !self.retry.allows(error.kind(), made) {
                return Err(fault_after(what, &error, made, self.context));
            }
            made += 1;
            self.counters.retry += 1;
            self.show(progress);
            wait(self.retry, self.context, made, &error).await?;
        }
    }

    /// Ends the output: what closes it is committed, the ledger is checked, then it becomes visible.
    pub(super) async fn end<R: ItemReader, P, W, O: Send + Sync>(
        &mut self,
        parts: &mut Parts<'_, R, P, W>,
    ) -> Result<(), Interrupt>
    where
        W: ItemWriter<O>,
    {
        if !self.counters.balances() {
            let Counters { read, write, filter, .. } = self.counters;
            let skip = self.counters.skip();
            let message = format!(
                "the ledger does not balance: read {read}, but written {write} + filtered {filter} + skipped {skip}; this is a defect of the engine"
            );
            return Err(BodyFault::Failed(message).into());
        }
        self.state.reader = parts.reader.checkpoint().map_err(|error| fault("take the reader's checkpoint", &error))?;
        let finished =
            parts.writer.finish(parts.transaction).await.map_err(|error| Attempt::Write("finish the output", error));
        let attempt = match finished {
            Ok(()) => match self.flush(parts).await {
                Ok(()) => self.save(parts, self.counters, Some(1.0)).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match attempt {
            Ok(_) => parts.writer.committed(),
            Err(attempt) => {
                self.roll_back(parts).await?;
                return Err(match attempt {
                    Attempt::Save(RepositoryError::LeaseLost { .. }) => BodyFault::LeaseLost.into(),
                    Attempt::Save(error) => {
                        BodyFault::Failed(format!("failed to commit: {}", cause_chain(&error))).into()
                    }
                    Attempt::State(message) => BodyFault::Failed(message).into(),
                    Attempt::Write(what, error) => fault_after(what, &error, 0, self.context),
                });
            }
        }
        parts.writer.publish().await.map_err(|error| fault("publish the output", &error))
    }

    async fn write<R, P, W, O: Send + Sync>(
        &mut self,
        parts: &mut Parts<'_, R, P, W>,
        outputs: &[O],
    ) -> Result<(), Attempt>
    where
        W: ItemWriter<O>,
    {
        if !outputs.is_empty() {
            parts.writer.write(outputs, parts.transaction).await.map_err(|error| Attempt::Write("write", error))?;
        }
        self.flush(parts).await
    }

    async fn flush<R, P, W, O: Send + Sync>(&mut self, parts: &mut Parts<'_, R, P, W>) -> Result<(), Attempt>
    where
        W: ItemWriter<O>,
    {
        self.state.writer = parts.writer.flush().await.map_err(|error| Attempt::Write("flush", error))?;
        Ok(())
    }

    /// Saves the state and commits, fenced by the lease; what was committed is then the new base.
    async fn save<R, P, W>(
        &mut self,
        parts: &mut Parts<'_, R, P, W>,
        next: Counters,
        progress: Option<f64>,
    ) -> Result<bool, Attempt> {
        let scope = self.context.scope();
        let as_text = |error: crate::execution::ContextError| Attempt::State(error.to_string());
        if let Some(changed) = scope.context.take_change() {
            self.state.context = changed;
        }
        self.state.write_json(&mut self.json).map_err(as_text)?;
        let job_context = match scope.job.context.take_change() {
            Some(changed) => Some(ExecutionContext::to_json(&changed).map_err(as_text)?),
            None => None,
        };
        let save = ChunkSave { state: &self.json, counters: &next, progress, job_context: job_context.as_deref() };
        match parts.transaction.commit(save).await {
            Ok(ack) => {
                self.counters = next;
                self.show(progress);
                Ok(ack.stop_requested)
            }
            Err(error) => {
                if job_context.is_some() {
                    scope.job.context.mark_changed();
                }
                Err(Attempt::Save(error))
            }
        }
    }

    async fn roll_back<R, P, W, O: Send + Sync>(&mut self, parts: &mut Parts<'_, R, P, W>) -> Result<(), Interrupt>
    where
        W: ItemWriter<O>,
    {
        self.counters.rollback += 1;
        self.show(None);
        let transaction = parts.transaction.rollback().await;
        parts.writer.rolled_back().await.map_err(|error| fault("roll the output back", &error))?;
        transaction.map_err(|error| BodyFault::Failed(format!("failed to roll back: {}", cause_chain(&error))).into())
    }

    fn show(&self, progress: Option<f64>) {
        let live = &self.context.scope().live;
        live.store(&self.counters, progress.or_else(|| live.progress()));
    }
}

fn fault(what: &str, error: &ItemError) -> Interrupt {
    Interrupt::Fault(super::run::failed(what, error))
}
