//! A task step: one call of the author's function, repeated by its retry rule.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, LocalBoxFuture};

use super::body::{BodyEnd, BodyError, BodyRun, StepBody};
use super::context::{StepContext, StopRequested};
use super::definition::{IntoStep, Step, StepKind, StepRules, rule_methods};
use super::policy::{Backoff, Classify, RetryPolicy, after_retries, random_share};
use super::task_progress::{Occasion, SaveError, TaskProgress};
use crate::event::Event;
use crate::execution::cause_chain;
use crate::item::{BoxError, ErrorKind, ItemError, as_item_error};
use crate::job::BuildError;
use crate::listener::{Listeners, RetryPhase, StepListeners, report_retry, step_methods};
use crate::repository::RepositoryError;

/// The outcome of a task that returns without an error. `()` is [`TaskOutcome::Completed`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskOutcome {
    /// Its work is done.
    Completed,
    /// Its work is done, with an exit code of its own.
    CompletedWith {
        /// The exit code.
        exit_code: String,
    },
    /// It has failed, with an exit code of its own that transitions can match. It is not repeated by a retry; a restart
    /// runs it again.
    FailedWith {
        /// The exit code.
        exit_code: String,
        /// Message on the failure.
        message: String,
    },
    /// It stopped because it was asked to; a restart runs it again.
    Stopped,
}

impl From<()> for TaskOutcome {
    fn from((): ()) -> Self {
        Self::Completed
    }
}

type Task = Arc<dyn Fn(StepContext) -> BoxFuture<'static, Result<TaskOutcome, BoxError>> + Send + Sync>;

/// A step that calls a function of the author's.
///
/// ```
/// use std::time::Duration;
/// use oxbatch::{Job, TaskStep};
///
/// let job = Job::builder("Greeting")
///     .step(TaskStep::builder("Greet", |context| {
///         println!("hello from {}", context.step_name());
///         Ok(())
///     }))
///     .step(TaskStep::builder_async("Wait", async |context| {
///         context.sleep(Duration::from_millis(10)).await?;
///         Ok(())
///     }).max_retries(3).retry_delay(Duration::from_secs(1)))
///     .build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
#[derive(Debug)]
pub struct TaskStep;

impl TaskStep {
    /// A step that calls `function` on a thread of its own, where it may block.
    ///
    /// It is repeated from its start by a retry, and by a restart of a job that failed or died in it: what it does
    /// outside is at least once. A long one looks at [`StepContext::check_stop`] now and then.
    pub fn builder<F, O>(name: impl Into<String>, function: F) -> TaskStepBuilder
    where
        F: Fn(&StepContext) -> Result<O, BoxError> + Send + Sync + 'static,
        O: Into<TaskOutcome>,
    {
        let function = Arc::new(function);
        TaskStepBuilder::new(
            name.into(),
            Arc::new(move |context| {
                let function = Arc::clone(&function);
                async move { function(&context).map(Into::into) }.boxed()
            }),
        )
    }

    /// A step that awaits the future of `function`, on a thread of its own.
    pub fn builder_async<F, T, O>(name: impl Into<String>, function: F) -> TaskStepBuilder
    where
        F: Fn(StepContext) -> T + Send + Sync + 'static,
        T: Future<Output = Result<O, BoxError>> + Send + 'static,
        O: Into<TaskOutcome>,
    {
        TaskStepBuilder::new(
            name.into(),
            Arc::new(move |context| function(context).map(|result| result.map(Into::into)).boxed()),
        )
    }
}

/// Builds a task step; given to [`JobBuilder::step`](crate::JobBuilder::step) as it is.
pub struct TaskStepBuilder {
    name: String,
    task: Task,
    retry: RetryPolicy,
    max_retries: u32,
    retry_delay: Option<Duration>,
    classify: Option<Classify>,
    rules: StepRules,
    listeners: StepListeners,
}

impl std::fmt::Debug for TaskStepBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskStepBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TaskStepBuilder {
    fn new(name: String, task: Task) -> Self {
        let (retry, rules, listeners) = (RetryPolicy::default(), StepRules::default(), StepListeners::default());
        Self { name, task, retry, max_retries: 0, retry_delay: None, classify: None, rules, listeners }
    }

    /// Repeats the task at most this often when it fails.
    #[must_use]
    pub fn max_retries(mut self, additional_attempts: u32) -> Self {
        self.max_retries = additional_attempts;
        self
    }

    /// Waits this long before each repetition; a stop ends the wait.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = Some(delay);
        self
    }

    /// Repeats by a policy; replaces `max_retries` and `retry_delay`. The error of a task has kind [`ErrorKind::Other`]
    /// unless it was an [`ItemError`](crate::ItemError), or [`classify_errors`](Self::classify_errors) knows it.
    ///
    /// ```
    /// use oxbatch::item::ErrorKind;
    /// use oxbatch::{ItemError, RetryPolicy, TaskStep};
    ///
    /// let step = TaskStep::builder("Fetch", |_| {
    ///     let answer = std::fs::read_to_string("/proc/uptime").map_err(ItemError::transient)?;
    ///     println!("{answer}");
    ///     Ok(())
    /// })
    /// .retry(RetryPolicy::new(3).retry_on([ErrorKind::Transient]));
    /// ```
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.max_retries = policy.max_retries();
        self.retry_delay = None;
        self.retry = policy;
        self
    }

    /// The kinds of the task's errors, which are [`ErrorKind::Other`] otherwise: so that
    /// [`retry_on`](RetryPolicy::retry_on) knows a timeout from a refusal. `None` leaves them as they are.
    #[must_use]
    pub fn classify_errors<F>(mut self, classify: F) -> Self
    where
        F: Fn(&(dyn std::error::Error + 'static)) -> Option<ErrorKind> + Send + Sync + 'static,
    {
        self.classify = Some(Arc::new(classify));
        self
    }

    rule_methods!();

    /// Adds listeners of the step, by a function that builds them for each step execution: see
    /// [`listener`](crate::listener).
    #[must_use]
    pub fn listener<F>(mut self, factory: F) -> Self
    where
        F: Fn(&StepContext) -> Result<Listeners, BoxError> + Send + Sync + 'static,
    {
        self.listeners.add(factory);
        self
    }

    fn listen(mut self, listeners: Listeners) -> Self {
        self.listeners.add_fixed(listeners);
        self
    }

    step_methods!(task);
}

impl IntoStep for TaskStepBuilder {
    fn into_step(self) -> Result<Step, BuildError> {
        self.try_into()
    }
}

impl TryFrom<TaskStepBuilder> for Step {
    type Error = BuildError;

    fn try_from(builder: TaskStepBuilder) -> Result<Self, BuildError> {
        let TaskStepBuilder { name, task, retry, max_retries, retry_delay, classify, mut rules, listeners } = builder;
        if let Some(problem) = rules.problem() {
            return Err(BuildError::Step { step: name, problem });
        }
        let retry = match retry_delay {
            Some(delay) => RetryPolicy::new(max_retries).backoff(Backoff::Fixed(delay)),
            None if retry.max_retries() == max_retries => retry,
            None => RetryPolicy::new(max_retries),
        };
        rules.max_retries = max_retries;
        Ok(Self::new(name, StepKind::Task, rules, TaskBody { task, retry, classify, listeners }))
    }
}

struct TaskBody {
    task: Task,
    retry: RetryPolicy,
    classify: Option<Classify>,
    listeners: StepListeners,
}

impl StepBody for TaskBody {
    fn run(&self, run: BodyRun) -> LocalBoxFuture<'_, Result<BodyEnd, BodyError>> {
        self.run_task(run).boxed_local()
    }

    fn listeners(&self) -> Option<&StepListeners> {
        Some(&self.listeners)
    }
}

impl TaskBody {
    async fn run_task(&self, run: BodyRun) -> Result<BodyEnd, BodyError> {
        let BodyRun { context, state, transaction, .. } = run;
        let job = context.scope().saved.lock().job.clone();
        let progress = context.scope().progress.get_or_init(|| TaskProgress::new(transaction, state, job));
        let end = self.attempts(&context).await;
        progress.end().await;
        end
    }

    async fn attempts(&self, context: &StepContext) -> Result<BodyEnd, BodyError> {
        let mut retries = 0;
        loop {
            let error = match (self.task)(context.clone()).await {
                Ok(TaskOutcome::Completed) => return Ok(BodyEnd::Completed { exit_code: None }),
                Ok(TaskOutcome::CompletedWith { exit_code }) => {
                    return Ok(BodyEnd::Completed { exit_code: Some(exit_code) });
                }
                Ok(TaskOutcome::FailedWith { exit_code, message }) => {
                    return Ok(BodyEnd::Failed { exit_code, message: Some(message) });
                }
                Ok(TaskOutcome::Stopped) => return Ok(BodyEnd::Stopped),
                Err(error) if context.is_stopping() && is_stop(error.as_ref()) => return Ok(BodyEnd::Stopped),
                Err(error) => error,
            };
            let cause = cause_chain(error.as_ref());
            let kind = self.kind(error.as_ref());
            if !self.repeats(error.as_ref(), kind, retries) {
                return Err(BodyError::Failed(after_retries(cause, retries)));
            }
            retries += 1;
            let delay = self.retry.delay(retries, random_share());
            let scope = context.scope();
            scope.job.events.emit(&Event::RetryScheduled {
                execution_id: context.execution_id(),
                step_name: context.step_name(),
                retry: retries,
                delay,
                cause: &cause,
            });
            report_retry(context, RetryPhase::Task, (retries, delay), (kind, &cause));
            // Shown while it waits; the author's own changes of the context are kept for the next attempt as well.
            match context.save_on(Occasion::Retry).await {
                Ok(()) => {}
                Err(SaveError::Repository(RepositoryError::LeaseLost { .. })) => return Err(BodyError::LeaseLost),
                Err(SaveError::Repository(RepositoryError::WaitStopped { .. })) if context.is_stopping() => {
                    return Ok(BodyEnd::Stopped);
                }
                Err(error) => return Err(BodyError::Failed(cause_chain(&error))),
            }
            if context.sleep(delay).await.is_err() {
                return Ok(BodyEnd::Stopped);
            }
        }
    }

    fn kind(&self, error: &(dyn std::error::Error + 'static)) -> ErrorKind {
        let of_item = as_item_error(error);
        let cause = of_item.map_or(error, ItemError::cause);
        let kind = of_item.map(ItemError::kind).filter(|kind| *kind != ErrorKind::Other);
        kind.or_else(|| self.classify.as_ref()?(cause)).unwrap_or(ErrorKind::Other)
    }

    fn repeats(&self, error: &(dyn std::error::Error + 'static), kind: ErrorKind, retries: u32) -> bool {
        !as_item_error(error).is_some_and(ItemError::is_fatal) && self.retry.allows(kind, retries)
    }
}

/// True if the author passes on that a stop was requested.
fn is_stop(error: &(dyn std::error::Error + 'static)) -> bool {
    let wait_ended = |error: &SaveError| matches!(error, SaveError::Repository(RepositoryError::WaitStopped { .. }));
    error.is::<StopRequested>() || error.downcast_ref().is_some_and(wait_ended)
}
