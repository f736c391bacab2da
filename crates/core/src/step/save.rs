//! Saves of a task's contexts when its author asks for one.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::block::block_on;
use super::context::StepContext;
use super::task_progress::{Occasion, SaveError, SavedParts};

impl StepContext {
    /// Makes the entries of the step's and the job's context durable now, in one fenced statement: a task that does its
    /// work in parts says so after each, and when its process is killed the next attempt goes on from there.
    ///
    /// ```
    /// use oxbatch::TaskStep;
    ///
    /// let step = TaskStep::builder("Send", |context| {
    ///     let sent: u32 = context.get("sent")?.unwrap_or(0);
    ///     for part in sent..10 {
    ///         context.check_stop()?;
    ///         println!("part {part}");
    ///         context.put("sent", part + 1)?;
    ///         context.save()?;
    ///     }
    ///     Ok(())
    /// });
    /// ```
    ///
    /// The work of a part comes before its save, so it is done again when the process dies between the two: at
    /// least once. Each save counts as a commit. It blocks the thread until the store has answered; on the [runtime of
    /// the execution](Self::execution_runtime) use [`save_async`](Self::save_async).
    ///
    /// # Errors
    /// [`SaveError`]; the entries stay, and are saved by the next call or the end of the task.
    pub fn save(&self) -> Result<(), SaveError> {
        let saving = self.begin_save(Occasion::Asked)?;
        block_on(saving, Duration::MAX).map_or_else(|| Err(self.save_lost()), |saved| self.saved(saved))
    }

    /// As [`save`](Self::save), without blocking the thread.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn save_async(&self) -> Result<(), SaveError> {
        self.save_on(Occasion::Asked).await
    }

    pub(super) async fn save_on(&self, occasion: Occasion) -> Result<(), SaveError> {
        let saving = self.begin_save(occasion)?;
        self.saved(saving.await)
    }

    fn begin_save(&self, occasion: Occasion) -> Result<JoinHandle<Result<(), SaveError>>, SaveError> {
        let context = self.clone();
        if context.scope().progress.get().is_none() {
            return Err(SaveError::NotATask { step: self.step_name().to_owned() });
        }
        let runtime = self.execution_runtime()?;
        Ok(runtime.spawn(async move {
            let scope = context.scope();
            let parts = SavedParts {
                step_name: &scope.step_name,
                context: &scope.context,
                job_context: &scope.job.context,
                live: &scope.live,
            };
            match scope.progress.get() {
                Some(progress) => progress.save(parts, occasion).await,
                None => Err(context.save_lost()),
            }
        }))
    }

    fn saved(&self, saved: Result<Result<(), SaveError>, tokio::task::JoinError>) -> Result<(), SaveError> {
        saved.unwrap_or_else(|_| Err(self.save_lost()))
    }

    fn save_lost(&self) -> SaveError {
        SaveError::Ended { step: self.step_name().to_owned() }
    }
}
