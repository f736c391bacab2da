//! The writing half of a step: the author's writer and the repository's transaction.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use super::interrupt::{Interrupt, error_after, failed, unless_stopped};
use super::kept::KeptSkips;
use super::reject_output::RejectOutput;
use crate::execution::cause_chain;
use crate::item::{Checkpoint, EncodedOutputs, ErrorKind, ItemError, ItemWriter, Syncer};
use crate::repository::{ChunkTransaction, RepositoryError};
use crate::step::body::BodyError;
use crate::step::context::StepContext;
use crate::step::shared::Side;

/// The time for which a write that waits may go on after a stop: most end by themselves, and their chunk is saved.
const WRITE_AFTER_STOP: Duration = Duration::from_secs(1);

/// The target of the output.
pub(super) struct Target<'a, W> {
    pub(super) writer: W,
    pub(super) transaction: &'a mut dyn ChunkTransaction,
    pub(super) context: StepContext,
    /// Of the processor.
    pub(super) syncer: Option<Syncer>,
    /// The output for the items that the step goes on without.
    pub(super) rejects: Option<Box<dyn RejectOutput>>,
}

/// Where the outputs stand behind what was flushed.
#[derive(Default)]
pub(super) struct Flushed {
    pub(super) writer: Option<Checkpoint>,
    pub(super) rejects: Option<Checkpoint>,
}

/// The reason for which an attempt to commit a chunk failed.
pub(super) enum Failure {
    /// In the author's writer, when it was asked to do this.
    Output(&'static str, ItemError),
    /// In the repository.
    Save(RepositoryError),
    /// A stop was requested while a write hung.
    Stopped,
    /// An error that no policy is asked about.
    Body(BodyError),
}

impl Failure {
    /// The error for listeners; `None` for what is none of the chunk's.
    pub(super) fn message(&self) -> Option<String> {
        match self {
            Self::Output(what, error) => Some(format!("failed to {what}: {error}")),
            Self::Save(RepositoryError::LeaseLost { .. } | RepositoryError::WaitStopped { .. }) => None,
            Self::Save(error) => Some(format!("failed to commit: {}", cause_chain(error))),
            Self::Body(BodyError::Failed(message)) => Some(message.clone()),
            Self::Body(BodyError::LeaseLost) | Self::Stopped => None,
        }
    }

    /// True if no chunk is tried again after it.
    pub(super) fn ends_the_step(&self) -> bool {
        match self {
            Self::Stopped | Self::Body(BodyError::LeaseLost) => true,
            Self::Save(RepositoryError::LeaseLost { .. } | RepositoryError::WaitStopped { .. }) => true,
            Self::Output(..) | Self::Save(_) | Self::Body(_) => false,
        }
    }

    /// The action that failed, and its error that a policy is asked about; any other ends the step.
    pub(super) fn for_policies(self) -> Result<(&'static str, ItemError), Interrupt> {
        match self {
            Self::Output(what, error) => Ok((what, error)),
            Self::Save(error) if error.is_transient() => Ok(("commit", ItemError::transient(error))),
            Self::Save(error @ RepositoryError::RowsRefused { .. }) => {
                Ok(("commit", ItemError::new(ErrorKind::Constraint, error)))
            }
            other => Err(other.fails(None)),
        }
    }

    /// The end of the step by an attempt that is not repeated.
    pub(super) fn fails(self, context: Option<&StepContext>) -> Interrupt {
        match (self, context) {
            (Self::Output(what, error), Some(context)) => error_after(what, &error, 0, context),
            (Self::Output(what, error), None) => failed(what, &error).into(),
            (Self::Save(RepositoryError::LeaseLost { .. }), _) => BodyError::LeaseLost.into(),
            (Self::Save(RepositoryError::WaitStopped { .. }), _) => Interrupt::Stopped,
            (Self::Save(error), _) => BodyError::Failed(format!("failed to commit: {}", cause_chain(&error))).into(),
            (Self::Stopped, _) => Interrupt::Stopped,
            (Self::Body(error), _) => error.into(),
        }
    }
}

impl From<RepositoryError> for Failure {
    /// A write whose answer has come with that of the commit is a write.
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::WriteFailed { error } => Self::Output("write", *error),
            error => Self::Save(error),
        }
    }
}

/// Waits for a write.
async fn written(context: &StepContext, write: impl Future<Output = Result<(), ItemError>>) -> Result<(), Failure> {
    let mut write = std::pin::pin!(write);
    let written = match unless_stopped(context, write.as_mut()).await {
        Some(written) => written,
        None => tokio::time::timeout(WRITE_AFTER_STOP, write).await.map_err(|_| Failure::Stopped)?,
    };
    written.map_err(|error| Failure::Output("write", error))
}

impl<W> Target<'_, W> {
    /// Writes outputs; a write that hangs is given up some time after a stop.
    pub(super) async fn write<O>(&mut self, outputs: &[O]) -> Result<(), Failure>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        written(&self.context, self.writer.write(outputs, self.transaction)).await
    }

    /// As [`write`](Self::write), for outputs that are encoded.
    pub(super) async fn write_encoded<O>(&mut self, outputs: &EncodedOutputs) -> Result<(), Failure>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        written(&self.context, self.writer.write_encoded(outputs, self.transaction)).await
    }

    /// Writes outputs that are rolled back next, and checks what only a commit would check of them.
    pub(super) async fn try_out<O>(&mut self, outputs: &[O]) -> Result<(), Failure>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        self.write(outputs).await?;
        Ok(self.transaction.check().await?)
    }

    /// Writes what the chunk in hand goes on without, where that has an output.
    pub(super) async fn write_rejects(&mut self, skips: &KeptSkips) -> Result<(), Failure> {
        let Some(output) = self.rejects.as_mut().filter(|_| !skips.is_empty()) else { return Ok(()) };
        // An error of the outputs must not be taken for one of the rejects.
        self.transaction.settle().await?;
        let written = output.write(&skips.rejects(), self.transaction).await;
        written.map_err(|error| Failure::Output("write the rejects", error))
    }

    pub(super) async fn flush<O>(&mut self) -> Result<Flushed, Failure>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        let writer = self.writer.flush().await.map_err(|error| Failure::Output("flush", error))?;
        let rejects = match &mut self.rejects {
            Some(output) => output.flush().await.map_err(|error| Failure::Output("flush the rejects", error))?,
            None => None,
        };
        Ok(Flushed { writer, rejects })
    }

    /// Marks all that was flushed as committed, or as waiting for a save with what comes next.
    #[inline]
    pub(super) fn committed<O>(&mut self)
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        self.writer.committed();
        if let Some(output) = &mut self.rejects {
            output.committed();
        }
    }

    /// Writes what closes the outputs.
    pub(super) async fn finish<O>(&mut self) -> Result<(), Failure>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        let finished = self.writer.finish(self.transaction).await;
        finished.map_err(|error| Failure::Output("finish the output", error))?;
        let Some(output) = &mut self.rejects else { return Ok(()) };
        let finished = output.finish(self.transaction).await;
        finished.map_err(|error| Failure::Output("finish the rejects", error))
    }

    /// Makes the outputs visible, the step's own last: who sees it sees the rejects.
    pub(super) async fn publish<O>(&mut self) -> Result<(), BodyError>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        if let Some(output) = &mut self.rejects {
            output.publish().await.map_err(|error| failed("publish the rejects", &error))?;
        }
        self.writer.publish().await.map_err(|error| failed("publish the output", &error))
    }

    /// Opens the output of rejects.
    pub(super) async fn open_rejects(
        &mut self,
        inputs: &[PathBuf],
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(), BodyError> {
        let Some(output) = &mut self.rejects else { return Ok(()) };
        output.inputs(inputs);
        output.open(checkpoint).await.map_err(|error| failed("open the output of rejects", &error))
    }

    /// Closes the outputs; the rejects of a step that has failed are shown before, as a copy.
    pub(super) async fn close<O>(&mut self, is_failed: bool) -> Result<(), BodyError>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        let closed = self.writer.close().await.map_err(|error| failed("close the writer", &error));
        let Some(output) = &mut self.rejects else { return closed };
        let shown = match is_failed {
            true => output.rolled_back().await.and(output.publish_copy().await),
            false => Ok(()),
        };
        let shown = shown.map_err(|error| failed("publish a copy of the rejects", &error));
        let rejects = output.close().await.map_err(|error| failed("close the output of rejects", &error));
        closed.and(shown).and(rejects)
    }

    /// Makes durable what the next save counts on: what the processor keeps, and what was flushed.
    pub(super) async fn sync<O>(&mut self) -> Result<(), ItemError>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        if let Some(syncer) = &self.syncer {
            syncer.sync()?;
        }
        self.writer.sync().await?;
        match &mut self.rejects {
            Some(output) => output.sync().await,
            None => Ok(()),
        }
    }

    /// Takes back what was written since the last commit: in the contexts, in the database, in the output.
    pub(super) async fn roll_back<O>(&mut self) -> Result<(), BodyError>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        self.undo_contexts();
        let transaction = self.transaction.rollback().await;
        self.writer.rolled_back().await.map_err(|error| failed("roll the output back", &error))?;
        if let Some(output) = &mut self.rejects {
            output.rolled_back().await.map_err(|error| failed("roll the rejects back", &error))?;
        }
        transaction.map_err(|error| BodyError::Failed(format!("failed to roll back: {}", cause_chain(&error))))
    }

    /// Undoes what the writer has put since the last mark.
    pub(super) fn undo_contexts(&self) {
        let scope = self.context.scope();
        scope.context.undo(Side::Writing);
        scope.job.context.undo(Side::Writing);
    }

    /// Keeps what the writer has put.
    pub(super) fn mark_contexts(&self) {
        let scope = self.context.scope();
        scope.context.mark(Side::Writing);
        scope.job.context.mark(Side::Writing);
    }
}
