//! The progress of a task: its contexts as they were saved last, and the transaction by which they are saved.

use std::io;

use tokio::sync::Mutex;

use super::live::LiveCounters;
use super::shared::Shared;
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

/// The parts of a step execution that a save takes from and shows itself in.
#[derive(Clone, Copy)]
pub(super) struct SavedParts<'a> {
    pub(super) step_name: &'a str,
    pub(super) context: &'a Shared,
    pub(super) job_context: &'a Shared,
    pub(super) live: &'a LiveCounters,
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

    pub(super) async fn save(&self, parts: SavedParts<'_>, occasion: Occasion) -> Result<(), SaveError> {
        let mut saved = self.saved.lock().await;
        let saved = saved.as_mut().ok_or_else(|| SaveError::Ended { step: parts.step_name.to_owned() })?;
        let result = saved.save(parts, occasion).await;
        if result.is_err() {
            // What was taken to be saved is still to be saved.
            parts.context.keep_changed();
            parts.job_context.keep_changed();
            let _ = saved.transaction.rollback().await;
        }
        result
    }
}

impl Saved {
    async fn save(&mut self, parts: SavedParts<'_>, occasion: Occasion) -> Result<(), SaveError> {
        let mut counters = self.counters;
        match occasion {
            // A recovery sees by it that the task goes on.
            Occasion::Asked => {
                counters.commit += 1;
                self.transaction.make_next_durable();
            }
            Occasion::Retry => counters.retry += 1,
        }
        if let Some(changed) = parts.context.take_change() {
            self.state.context = changed;
        }
        let job = parts.job_context.take_change();
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
        parts.live.store(&counters, None);
        Ok(())
    }
}
