//! The execution as the author's code sees it.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::item_origin::ItemOrigin;
use super::live::LiveCounters;
use super::runtime::ExecutionRuntime;
use super::saved_contexts::SavedContexts;
use super::shared::{Shared, Side};
use super::task_progress::TaskProgress;
use crate::event::EventSink;
use crate::execution::{
    ContextError, ControlTotals, Counters, ExecutionId, InstanceId, JobParameters, StepExecutionId, StepSummaries,
    StepSummary,
};
use crate::listener::{JobListening, Listeners, StepListening};
use crate::log::ExecutionLog;
use crate::repository::JobRepository;
use crate::secret::ActiveMask;

/// The entry of the job's context that holds the exit code which a step has set for the job.
pub(crate) const EXIT_CODE_ENTRY: &str = "oxbatch.exit_code";

/// The part of an execution that its steps share.
pub(crate) struct JobScope {
    pub(crate) job_name: String,
    pub(crate) execution_id: ExecutionId,
    pub(crate) instance_id: InstanceId,
    /// The execution whose skipped items are run again.
    pub(crate) rerun_of: Option<ExecutionId>,
    /// With its secrets open.
    pub(crate) parameters: JobParameters,
    /// Finds them in what the execution says.
    pub(crate) mask: ActiveMask,
    pub(crate) context: Shared,
    /// The steps that have run before, as later ones see them.
    pub(crate) steps: RwLock<StepSummaries>,
    /// Cancelled by a stop request or the node's shutdown.
    pub(crate) stop: CancellationToken,
    pub(crate) repository: Arc<dyn JobRepository>,
    pub(crate) events: EventSink,
    /// Where the lines of the author's code are collected.
    pub(crate) log: Arc<ExecutionLog>,
    pub(crate) listening: JobListening,
    /// Where the author's code runs that belongs to no step.
    pub(crate) runtime: ExecutionRuntime,
    /// Stops the execution as a person does.
    pub(crate) request_stop: Box<dyn Fn() + Send + Sync>,
}

/// The part of an execution that belongs to one step execution.
pub(crate) struct StepScope {
    pub(crate) job: Arc<JobScope>,
    /// Cancelled with that of the job, and by a time limit.
    pub(crate) stop: CancellationToken,
    pub(crate) step_name: String,
    pub(crate) step_id: StepExecutionId,
    pub(crate) context: Shared,
    pub(crate) saved: SavedContexts,
    pub(crate) live: Arc<LiveCounters>,
    /// Sums of the counters of earlier attempts.
    pub(crate) earlier: Counters,
    /// The number of threads next to the step's own that run the author's code.
    pub(crate) beside: Arc<AtomicUsize>,
    pub(crate) listening: StepListening,
    /// Of a task, as long as it runs.
    pub(crate) progress: OnceLock<TaskProgress>,
    pub(crate) totals: Mutex<ControlTotals>,
}

impl StepScope {
    pub(crate) fn show_totals(&self, totals: ControlTotals) {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = totals;
    }
}

/// The execution as the author's code sees it: parameters, contexts, the request to stop. Cheap to clone.
///
/// # Threads and runtimes
/// The factories of a step and its parts run on a thread of the step execution, with a tokio runtime of its own for
/// timers and sockets. A step that reads ahead, has a chunk time or several processors runs reader and processors on
/// more such threads, each with a runtime of its own. All of these runtimes end with the execution: what was made
/// within one (a timer, a connection, a client with a pool, a rate limiter that sleeps) does not work in the next. Such
/// things are built by the factory, for each execution anew, or once for all steps of an execution as a [shared
/// value](Self::shared), within the [runtime of the execution](Self::execution_runtime). What is to outlive executions
/// is made on a runtime of the program's own, and parts hand their work over to it by its `tokio::runtime::Handle`.
///
/// # Entries
/// Entries of the contexts are saved with the chunk in which they were put. The reader and the processor may be ahead
/// of the writer, so an entry is either theirs or the writer's: of one that both put, the writer's is stored. A
/// processor of which there are several at once can read entries, but put none.
#[derive(Clone)]
pub struct StepContext {
    scope: Arc<StepScope>,
    side: Side,
    /// Of the item in the hand of one processor; `None` for everybody else.
    origin: Option<ItemOrigin>,
}

/// Returned by [`StepContext::check_stop`]: pass it on by `?`, and the step ends STOPPED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stop was requested")]
pub struct StopRequested;

impl StepContext {
    pub(crate) fn new(scope: Arc<StepScope>) -> Self {
        Self { scope, side: Side::Processing, origin: None }
    }

    /// The same for other hands.
    pub(crate) fn for_side(&self, side: Side) -> Self {
        Self { scope: Arc::clone(&self.scope), side, origin: None }
    }

    /// The same for a processor, whose items' origins are shown by `origin`.
    pub(crate) fn for_processor(&self, side: Side, origin: &ItemOrigin) -> Self {
        Self { origin: Some(origin.clone()), ..self.for_side(side) }
    }

    pub(crate) fn scope(&self) -> &StepScope {
        &self.scope
    }

    /// The listeners of the step, where there are any.
    #[inline]
    pub(crate) fn listeners(&self) -> Option<&Listeners> {
        self.scope.listening.get()
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

    /// The execution whose skipped items this one runs again; `None` for every other execution. File writers then write
    /// a file of their own beside the first one.
    pub fn rerun_of(&self) -> Option<ExecutionId> {
        self.scope.job.rerun_of
    }

    /// True if this is a preview: items are read and processed, and nothing is written or stored. Its ids are 0.
    pub fn is_preview(&self) -> bool {
        self.execution_id() == ExecutionId(0)
    }

    /// This attempt of the step.
    pub fn step_execution_id(&self) -> StepExecutionId {
        self.scope.step_id
    }

    /// A step that has run before in this execution or an earlier one of the instance: status, exit code, counters,
    /// control totals and context, summed over all attempts since the last forced launch. In a cycle it is the latest
    /// round. `None` for a step that has not run.
    pub fn step(&self, name: &str) -> Option<StepSummary> {
        self.scope.job.steps.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Sets the exit code of the job: it is stored with the chunk or the end of the step, and stands when the
    /// transition that ends the job names none. The last one that was set counts.
    ///
    /// # Errors
    /// [`ContextError`] when the job's context is full.
    pub fn set_job_exit_code(&self, exit_code: &str) -> Result<(), ContextError> {
        self.put_into_job(EXIT_CODE_ENTRY, exit_code)
    }

    /// The parameters of the launch, defaults included.
    pub fn parameters(&self) -> &JobParameters {
        &self.scope.job.parameters
    }

    /// The counters of the step that runs, as of its last commit.
    pub fn counters(&self) -> Counters {
        self.scope.live.counters()
    }

    /// The control totals of the step that runs, as of its last commit: the sums over all of its attempts. At the end
    /// of the input they are complete, so a footer can hold them, right over restarts, retries and skips:
    ///
    /// ```
    /// use oxbatch::StepContext;
    ///
    /// /// Given to the `footer` of a file writer, which the factory of the writer builds.
    /// fn footer(context: &StepContext) -> impl Fn() -> String + Send + use<> {
    ///     let context = context.clone();
    ///     move || {
    ///         let totals = context.control_totals();
    ///         let amount = totals.get("amount").and_then(|total| total.written);
    ///         format!("TOTAL;{}\n", amount.unwrap_or_default())
    ///     }
    /// }
    /// ```
    pub fn control_totals(&self) -> ControlTotals {
        self.scope.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    /// [`ContextError::Entry`] when the value cannot be written as JSON, [`ContextError::Secret`] when it holds the
    /// value of a secret parameter.
    pub fn put(&self, key: &str, value: impl serde::Serialize) -> Result<(), ContextError> {
        self.check_entry(key, &value)?;
        self.scope.context.put(self.side, key, value)
    }

    /// Removes an entry of the step's own context, with the next commit: rolled back with its chunk as
    /// [`put`](Self::put) is.
    ///
    /// # Errors
    /// [`ContextError::Beside`] by one of several processors at once.
    pub fn remove(&self, key: &str) -> Result<(), ContextError> {
        self.scope.context.remove(self.side, key)
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
    /// [`ContextError::Entry`] when the value cannot be written as JSON, [`ContextError::Secret`] when it holds the
    /// value of a secret parameter.
    pub fn put_into_job(&self, key: &str, value: impl serde::Serialize) -> Result<(), ContextError> {
        self.check_entry(key, &value)?;
        self.scope.job.context.put(self.side, key, value)
    }

    /// Refuses an entry with the text of a secret: contexts are stored as they are.
    fn check_entry(&self, key: &str, value: &impl serde::Serialize) -> Result<(), ContextError> {
        let mask = &self.scope.job.mask;
        if mask.is_empty() {
            return Ok(());
        }
        let key = key.to_owned();
        match serde_json::to_value(value) {
            Ok(value) if mask.finds_in(&value) || mask.finds(&key) => {
                Err(ContextError::Secret { key: mask.masked(key) })
            }
            Ok(_) => Ok(()),
            Err(source) => Err(ContextError::Entry { key, source }),
        }
    }

    /// Removes an entry of the job's context, with the next commit.
    ///
    /// # Errors
    /// [`ContextError::Beside`] by one of several processors at once.
    pub fn remove_from_job(&self, key: &str) -> Result<(), ContextError> {
        self.scope.job.context.remove(self.side, key)
    }

    /// True if a stop was requested, the service is shutting down, or a time limit is exceeded.
    pub fn is_stopping(&self) -> bool {
        self.scope.stop.is_cancelled()
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
        self.scope.stop.cancelled().await;
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

    /// A handle that shows a processor where the item in its hand comes from: its file and line. Asked for in the
    /// factory of the processor, so that steps whose processors do not ask pay nothing for it.
    ///
    /// ```
    /// use oxbatch::ChunkStep;
    /// use oxbatch::item::{FunctionProcessor, FunctionWriter, ListReader};
    ///
    /// let step = ChunkStep::builder("Print")
    ///     .reader(|_| ListReader::new([1, 2, 3]))
    ///     .processor(|context| {
    ///         let origin = context.item_origin();
    ///         let line = move || origin.get().and_then(|origin| origin.line());
    ///         FunctionProcessor::new(move |number: i32| Ok(Some((number, line()))))
    ///     })
    ///     .writer(|_| FunctionWriter::new(|chunk: &[(i32, Option<u64>)]| {
    ///         println!("{chunk:?}");
    ///         Ok(())
    ///     }));
    /// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
    /// # Ok::<(), oxbatch::BuildError>(())
    /// ```
    ///
    /// An error of a processor or a writer needs none of it: its item's origin is added to it, and kept with it when it
    /// is skipped.
    pub fn item_origin(&self) -> ItemOrigin {
        self.origin.as_ref().map(ItemOrigin::wanted).unwrap_or_default()
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
