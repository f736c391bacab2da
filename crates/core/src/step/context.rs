//! What the author's code sees of the execution that it runs in.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::LiveCounters;
use crate::engine::EventSink;
use crate::execution::{ContextError, ExecutionContext, ExecutionId, InstanceId, StepExecutionId};
use crate::job::JobParameters;
use crate::repository::JobRepository;

/// What an execution shares among its steps.
pub(crate) struct JobScope {
    pub(crate) job_name: String,
    pub(crate) execution_id: ExecutionId,
    pub(crate) instance_id: InstanceId,
    /// The execution whose skipped items are run again.
    pub(crate) rerun_of: Option<ExecutionId>,
    pub(crate) parameters: JobParameters,
    pub(crate) context: Shared,
    /// Cancelled by a stop request or the node's shutdown.
    pub(crate) stop: CancellationToken,
    pub(crate) repository: Arc<dyn JobRepository>,
    pub(crate) events: EventSink,
}

/// What belongs to one step execution.
pub(crate) struct StepScope {
    pub(crate) job: Arc<JobScope>,
    pub(crate) step_name: String,
    pub(crate) step_id: StepExecutionId,
    pub(crate) context: Shared,
    pub(crate) live: Arc<LiveCounters>,
    /// How many threads beside the step's own run the author's code.
    pub(crate) beside: Arc<AtomicUsize>,
}

/// A context behind a lock, in layers: what the reader and the processor put, who may be a chunk ahead, what a reader puts
/// that is ahead of the chunk that is filled, and what the writer puts. Each is saved with the chunk that it belongs to.
#[derive(Default)]
pub(crate) struct Shared {
    layers: Mutex<Layers>,
    /// Whether a layer may have changed: spares the lock for each chunk of a step that never puts anything.
    touched: AtomicBool,
}

#[derive(Default)]
struct Layers {
    settling: Layer,
    reading: Layer,
    writing: Layer,
}

impl Layers {
    fn layer(&mut self, side: Side) -> Option<&mut Layer> {
        match side {
            Side::Settling => Some(&mut self.settling),
            Side::Reading => Some(&mut self.reading),
            Side::Writing => Some(&mut self.writing),
            Side::Beside => None,
        }
    }

    fn any_changed(&self) -> bool {
        self.settling.changed || self.reading.changed || self.writing.changed
    }
}

#[derive(Default)]
struct Layer {
    entries: ExecutionContext,
    changed: bool,
}

/// Whose hands a [`StepContext`] is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The reader, the processor, a task.
    Settling,
    /// A reader on a thread of its own, ahead of the chunk that is filled.
    Reading,
    /// One of several processors: what it puts would belong to no chunk in particular.
    Beside,
    /// The writer.
    Writing,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get<T: serde::de::DeserializeOwned>(&self, side: Side, key: &str) -> Result<Option<T>, ContextError> {
        let layers = self.lock();
        let Layers { settling, reading, writing } = &*layers;
        let order = match side {
            Side::Settling | Side::Beside => [settling, writing, reading],
            Side::Reading => [reading, settling, writing],
            Side::Writing => [writing, settling, reading],
        };
        for layer in order {
            if let Some(value) = layer.entries.get(key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn put(&self, side: Side, key: &str, value: impl serde::Serialize) -> Result<(), ContextError> {
        let mut layers = self.lock();
        let Some(layer) = layers.layer(side) else { return Err(ContextError::Beside { key: key.to_owned() }) };
        layer.entries.put(key, value)?;
        layer.changed = true;
        self.touched.store(true, Ordering::Release);
        Ok(())
    }

    /// What a reader on a thread of its own has put, for the chunk that takes the item that came with it.
    pub(crate) fn take_over(&self, change: &ExecutionContext) {
        let mut layers = self.lock();
        layers.settling.entries.merge(change);
        layers.settling.changed = true;
        self.touched.store(true, Ordering::Release);
    }

    /// A copy of what one side has put, when it was changed since the last call.
    pub(crate) fn take_change_of(&self, side: Side) -> Option<ExecutionContext> {
        if !self.touched.load(Ordering::Acquire) {
            return None;
        }
        let mut layers = self.lock();
        let layer = layers.layer(side)?;
        let change = std::mem::take(&mut layer.changed).then(|| layer.entries.clone());
        self.touched.store(layers.any_changed(), Ordering::Release);
        change
    }

    /// Whether there is something to take of one side.
    pub(crate) fn has_change_of(&self, side: Side) -> bool {
        self.touched.load(Ordering::Acquire) && self.lock().layer(side).is_some_and(|layer| layer.changed)
    }

    /// A copy of all, when it was changed since the last call: for tasks and ends, where nobody is ahead.
    pub(crate) fn take_change(&self) -> Option<ExecutionContext> {
        let mut layers = self.lock();
        let settling = std::mem::take(&mut layers.settling.changed);
        let writing = std::mem::take(&mut layers.writing.changed);
        (settling || writing).then(|| {
            let mut all = layers.settling.entries.clone();
            all.merge(&layers.writing.entries);
            all
        })
    }

    /// A copy of what the reader's side holds.
    pub(crate) fn current(&self) -> ExecutionContext {
        self.lock().settling.entries.clone()
    }

    pub(crate) fn replace(&self, context: ExecutionContext) {
        *self.lock() = Layers { settling: Layer { entries: context, changed: false }, ..Layers::default() };
    }

    /// Makes one layer of both, at the end of a step: what it left is where the next one starts.
    pub(crate) fn settle(&self) {
        let mut layers = self.lock();
        for other in [std::mem::take(&mut layers.reading), std::mem::take(&mut layers.writing)] {
            layers.settling.entries.merge(&other.entries);
            layers.settling.changed |= other.changed;
        }
    }
}

/// The execution as the author's code sees it: parameters, contexts, the request to stop. Cheap to clone.
///
/// Entries of the contexts are saved with the chunk in which they were put. The reader and the processor may be ahead of the
/// writer, so an entry is either theirs or the writer's: of one that both put, the writer's is stored. A processor of which
/// there are several at once can read entries, but put none.
#[derive(Clone)]
pub struct StepContext {
    scope: Arc<StepScope>,
    side: Side,
}

/// Returned by [`StepContext::check_stop`]: pass it on by `?`, and the step ends STOPPED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stop was requested")]
pub struct StopRequested;

impl StepContext {
    pub(crate) fn new(scope: Arc<StepScope>) -> Self {
        Self { scope, side: Side::Settling }
    }

    /// The same for other hands.
    pub(crate) fn for_side(&self, side: Side) -> Self {
        Self { scope: Arc::clone(&self.scope), side }
    }

    pub(crate) fn scope(&self) -> &StepScope {
        &self.scope
    }

    /// Name of the job.
    pub fn job_name(&self) -> &str {
        &self.scope.job.job_name
    }

    /// Name of the step.
    pub fn step_name(&self) -> &str {
        &self.scope.step_name
    }

    /// The instance that is run.
    pub fn instance_id(&self) -> InstanceId {
        self.scope.job.instance_id
    }

    /// The execution that runs it.
    pub fn execution_id(&self) -> ExecutionId {
        self.scope.job.execution_id
    }

    /// The execution whose skipped items this one runs again; `None` for every other execution. File writers then write a
    /// file of their own beside the first one.
    pub fn rerun_of(&self) -> Option<ExecutionId> {
        self.scope.job.rerun_of
    }

    /// Whether this is a preview: items are read and processed, and nothing is written or stored. Its ids are 0.
    pub fn is_preview(&self) -> bool {
        self.execution_id() == ExecutionId(0)
    }

    /// This attempt of the step.
    pub fn step_execution_id(&self) -> StepExecutionId {
        self.scope.step_id
    }

    /// The parameters of the launch, defaults included.
    pub fn parameters(&self) -> &JobParameters {
        &self.scope.job.parameters
    }

    /// An entry of the step's own context, which a restart of the step gets back.
    ///
    /// # Errors
    /// [`ContextError::Entry`] when it has another type.
    pub fn get<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ContextError> {
        self.scope.context.get(self.side, key)
    }

    /// Sets an entry of the step's own context; it is stored with the next commit.
    ///
    /// # Errors
    /// [`ContextError::Entry`] when the value cannot be written as JSON.
    pub fn put(&self, key: &str, value: impl serde::Serialize) -> Result<(), ContextError> {
        self.scope.context.put(self.side, key, value)
    }

    /// An entry of the job's context, which all later steps and restarts see.
    ///
    /// # Errors
    /// [`ContextError::Entry`] when it has another type.
    pub fn get_from_job<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ContextError> {
        self.scope.job.context.get(self.side, key)
    }

    /// Sets an entry of the job's context; it is stored with the next commit.
    ///
    /// # Errors
    /// [`ContextError::Entry`] when the value cannot be written as JSON.
    pub fn put_into_job(&self, key: &str, value: impl serde::Serialize) -> Result<(), ContextError> {
        self.scope.job.context.put(self.side, key, value)
    }

    /// Whether a stop was requested or the service is shutting down.
    pub fn is_stopping(&self) -> bool {
        self.scope.job.stop.is_cancelled()
    }

    /// Ends the step here when a stop was requested: `context.check_stop()?`.
    ///
    /// # Errors
    /// [`StopRequested`] when a stop was requested.
    pub fn check_stop(&self) -> Result<(), StopRequested> {
        if self.is_stopping() { Err(StopRequested) } else { Ok(()) }
    }

    /// Returns once a stop is requested; to be raced against long waits.
    pub async fn stopping(&self) {
        self.scope.job.stop.cancelled().await;
    }

    /// Waits, but not longer than until a stop is requested.
    ///
    /// # Errors
    /// [`StopRequested`] when a stop was requested.
    pub async fn sleep(&self, duration: Duration) -> Result<(), StopRequested> {
        tokio::select! {
            biased;
            () = self.stopping() => Err(StopRequested),
            () = tokio::time::sleep(duration) => Ok(()),
        }
    }

    /// The repository that keeps the execution, for readers and writers that use its database.
    pub fn repository(&self) -> &Arc<dyn JobRepository> {
        &self.scope.job.repository
    }
}

impl fmt::Debug for StepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepContext")
            .field("job", &self.job_name())
            .field("step", &self.step_name())
            .field("execution", &self.execution_id())
            .finish_non_exhaustive()
    }
}
