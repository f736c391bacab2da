//! The progress of a task: its contexts as they were saved last, and the transaction by which they are saved.

use std::io;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::block::block_on;
use super::context::{StepContext, StepScope};
use crate::execution::{ContextError, Counters, ExecutionContext, StepState};
use crate::repository::{ChunkSave, ChunkTransaction, RepositoryError};

/// The reason for which the progress of a task could not be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// It is no task: a chunk step saves its contexts with its chunks.
    #[error("step '{step}' is no task: it saves its contexts with its chunks")]
    NotATask {
        /// The step.
        step: String,
    },
    /// The task has ended, or was left behind.
    #[error("step '{step}' has ended: nothing of it can be saved any more")]
    Ended {
        /// The step.
        step: String,
    },
    /// A context cannot be stored.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The repository has failed, or the execution belongs to another node by now.
    #[error("failed to save the progress of the task")]
    Repository(#[from] RepositoryError),
    /// No thread can be started.
    #[error("failed to start a thread for the save")]
    Thread(#[from] io::Error),
}

/// The last save of a task.
pub(crate) struct TaskProgress {
    /// `None` once the task has ended.
    saved: Mutex<Option<Saved>>,
}

/// Used on the runtime of the execution alone: a connection of the transaction lives on the runtime that has opened it.
struct Saved {
    transaction: Box<dyn ChunkTransaction>,
    state: StepState,
    /// The job's context.
    job: ExecutionContext,
    counters: Counters,
    /// Used again for each save.
    json: String,
}

/// The occasion of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The author has asked for it.
    Asked,
    /// The task has failed and is to be repeated.
    Retry,
}

impl TaskProgress {
    pub(super) fn new(transaction: Box<dyn ChunkTransaction>, state: StepState, job: ExecutionContext) -> Self {
        let saved = Saved { transaction, state, job, counters: Counters::default(), json: String::new() };
        Self { saved: Mutex::new(Some(saved)) }
    }

    /// Lets go of the store. One that is saving has ended before.
    pub(super) async fn end(&self) {
        self.saved.lock().await.take();
    }

    async fn save(&self, scope: &StepScope, occasion: Occasion) -> Result<(), SaveError> {
        let mut saved = self.saved.lock().await;
        let saved = saved.as_mut().ok_or_else(|| SaveError::Ended { step: scope.step_name.clone() })?;
        let result = saved.save(scope, occasion).await;
        if result.is_err() {
            // What was taken to be saved is still to be saved.
            scope.context.keep_changed();
            scope.job.context.keep_changed();
            let _ = saved.transaction.rollback().await;
        }
        result
    }
}

impl Saved {
    async fn save(&mut self, scope: &StepScope, occasion: Occasion) -> Result<(), SaveError> {
        let mut counters = self.counters;
        match occasion {
            // A recovery sees by it that the task goes on.
            Occasion::Asked => {
                counters.commit += 1;
                self.transaction.make_next_durable();
            }
            Occasion::Retry => counters.retry += 1,
        }
        if let Some(changed) = scope.context.take_change() {
            self.state.context = changed;
        }
        let job = scope.job.context.take_change();
        let changes = job.as_ref().map(|job| job.to_json().map(|_| job.changes_since(&self.job))).transpose()?;
        self.state.write_json(&mut self.json)?;
        let save = ChunkSave {
            state: &self.json,
            counters: &counters,
            control_totals: None,
            progress: None,
            job_context: changes.as_ref().filter(|changes| !changes.is_empty()),
            skips: &[],
            rerun: &[],
            time: None,
        };
        self.transaction.commit(save).await?;
        if let Some(job) = job {
            self.job = job;
        }
        self.counters = counters;
        scope.live.store(&counters, None);
        Ok(())
    }
}

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
            match scope.progress.get() {
                Some(progress) => progress.save(scope, occasion).await,
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
