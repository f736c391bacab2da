//! The moments of a run at which a test has something to do: entries to give, failures, deaths.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oxbatch_core::item::ItemError;
use oxbatch_core::listener::{ChunkListener, JobContext, JobEnd, JobListener, Listeners, StepEnd, StepListener};
use oxbatch_core::{BoxError, StepContext};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A moment of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Moment {
    BeforeStep(String),
    /// The n-th chunk that the step is about to write, over all attempts.
    Chunk(String, u32),
    AfterStep(String),
    AfterJob,
}

/// The event of a moment, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Failure,
    Death,
}

/// The entries of contexts and the moments that a test has planned. A handle: clones are the same.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    plans: Mutex<Plans>,
    /// A process has died.
    died: Notify,
    /// The end of the execution whose process has died in the middle of a step: its parts hold their files until then.
    holds_files: Mutex<Option<CancellationToken>>,
    /// Permission for the dead work of this run to end: nothing of it counts any more.
    grave: Mutex<CancellationToken>,
}

#[derive(Default)]
struct Plans {
    fates: Vec<(Moment, Fate)>,
    /// Entries by the name of their step; those of the job have none.
    entries: Vec<(Option<String>, String, Value)>,
    /// Chunks that steps were about to write.
    chunks: HashMap<String, u32>,
}

/// The reason for which what is dead ends.
const DEAD: &str = "the process has died, as the test has planned";
const PLANNED: &str = "planned by the test";

impl Hooks {
    pub(super) fn plan(&mut self, moment: Moment, fate: Fate) {
        self.plans().fates.push((moment, fate));
    }

    pub(super) fn give_to_job(&mut self, key: &str, value: &impl serde::Serialize) {
        self.give(None, key, value);
    }

    pub(super) fn give_to_step(&mut self, step: String, key: &str, value: &impl serde::Serialize) {
        self.give(Some(step), key, value);
    }

    fn give(&self, step: Option<String>, key: &str, value: &impl serde::Serialize) {
        let value = serde_json::to_value(value);
        let value = value.unwrap_or_else(|error| panic!("entry '{key}' cannot be written as JSON: {error}"));
        self.plans().entries.push((step, key.to_owned(), value));
    }

    fn plans(&self) -> MutexGuard<'_, Plans> {
        self.shared.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once a process has died.
    pub(super) async fn death(&self) {
        self.shared.died.notified().await;
    }

    /// Lets what has died end, and returns when nothing of it is held any more, as files are by their writers. Nothing
    /// of it reaches the store: that is closed.
    pub(super) async fn bury(&self) {
        std::mem::take(&mut *self.grave()).cancel();
        let held = self.holds_files().clone();
        if let Some(ended) = held {
            ended.cancelled().await;
            self.holds_files().take();
        }
    }

    fn holds_files(&self) -> MutexGuard<'_, Option<CancellationToken>> {
        self.shared.holds_files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grave(&self) -> MutexGuard<'_, CancellationToken> {
        self.shared.grave.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listeners of an execution.
    pub(super) fn listeners(&self) -> Listeners {
        let ended = CancellationToken::new();
        let chunks = Chunks { hooks: self.clone(), ended: ended.clone(), _guard: ended.drop_guard() };
        Listeners::new().job(self.clone()).step(self.clone()).chunk(chunks)
    }

    /// The fate of a moment, which is over by that.
    fn take(&self, moment: &Moment) -> Option<Fate> {
        let mut plans = self.plans();
        let index = plans.fates.iter().position(|(planned, _)| planned == moment)?;
        Some(plans.fates.swap_remove(index).1)
    }

    async fn meet(&self, moment: Moment) -> Result<(), BoxError> {
        match self.take(&moment) {
            None => Ok(()),
            Some(Fate::Failure) => Err(PLANNED.into()),
            Some(Fate::Death) => {
                let buried = self.grave().clone();
                self.shared.died.notify_one();
                buried.cancelled().await;
                Err(DEAD.into())
            }
        }
    }

    /// As `meet`, where there is no future to wait in.
    fn meet_now(&self, moment: &Moment, ended: &CancellationToken) -> Result<(), ItemError> {
        match self.take(moment) {
            None => Ok(()),
            Some(Fate::Failure) => Err(ItemError::other(PLANNED)),
            Some(Fate::Death) => {
                let buried = self.grave().clone();
                *self.holds_files() = Some(ended.clone());
                self.shared.died.notify_one();
                // Elsewhere: a thread that runs futures must not wait for another one of them.
                let waited = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.map(|runtime| runtime.block_on(buried.cancelled()))
                });
                // Whatever becomes of it: what is dead writes no more.
                let _ = waited.join();
                Err(ItemError::other(DEAD))
            }
        }
    }

    /// Gives a step the entries that are there for it, once.
    fn give_entries(&self, context: &StepContext) -> Result<(), BoxError> {
        let entries = std::mem::take(&mut self.plans().entries);
        let (now, later) = entries
            .into_iter()
            .partition(|(step, _, _)| step.as_deref().is_none_or(|step| step == context.step_name()));
        self.plans().entries = later;
        let now: Vec<(Option<String>, String, Value)> = now;
        for (step, key, value) in now {
            match step {
                Some(_) => context.put(&key, value)?,
                None => context.put_into_job(&key, value)?,
            }
        }
        Ok(())
    }
}

impl JobListener for Hooks {
    async fn after_job(&self, _: &JobContext, _: &JobEnd) -> Result<(), BoxError> {
        self.meet(Moment::AfterJob).await
    }
}

impl StepListener for Hooks {
    async fn before_step(&self, context: &StepContext) -> Result<(), BoxError> {
        self.give_entries(context)?;
        self.meet(Moment::BeforeStep(context.step_name().to_owned())).await
    }

    async fn after_step(&self, context: &StepContext, _: &StepEnd) -> Result<Option<String>, BoxError> {
        // What is dead meets nothing more.
        if self.holds_files().is_some() {
            return Ok(None);
        }
        self.meet(Moment::AfterStep(context.step_name().to_owned())).await.map(|()| None)
    }
}

/// The listener of the chunks of one execution. It is gone once all parts of the execution are.
struct Chunks {
    hooks: Hooks,
    ended: CancellationToken,
    _guard: DropGuard,
}

impl ChunkListener for Chunks {
    fn before_chunk(&self, context: &StepContext) -> Result<(), ItemError> {
        let name = context.step_name();
        let number = {
            let mut plans = self.hooks.plans();
            let count = plans.chunks.entry(name.to_owned()).or_default();
            *count += 1;
            *count
        };
        self.hooks.meet_now(&Moment::Chunk(name.to_owned(), number), &self.ended)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plans = self.plans();
        f.debug_struct("Hooks").field("fates", &plans.fates).field("entries", &plans.entries).finish_non_exhaustive()
    }
}
