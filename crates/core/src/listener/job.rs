//! Listeners of jobs, and what they see of an execution.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::execution::{ContextError, ExecutionId, InstanceId, JobParameters, Status, StepExecution};
use crate::item::BoxError;
use crate::repository::RepositoryError;
use crate::step::JobScope;

/// Is called before the first step of an execution, and when its end is known.
///
/// # Contract
/// - `before_job` is called once this node has taken the execution; its error fails the execution, which runs no step.
/// - `after_job` is called when the last step has ended, whatever the end is, before the end is recorded. It is called
///   after a `before_job` that failed, too, and is not when the execution belongs to another node by then.
/// - A restart and a recovery are executions of their own, for which both are called again.
pub trait JobListener: Send + Sync + 'static {
    /// The first step is to begin.
    fn before_job(&self, context: &JobContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// The last step has ended.
    fn after_job(&self, context: &JobContext, end: &JobEnd) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (context, end);
        async { Ok(()) }
    }
}

/// The end of an execution, as it is going to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobEnd {
    /// COMPLETED, FAILED or STOPPED.
    pub status: Status,
    /// The exit code.
    pub exit_code: String,
    /// The error, or another remark.
    pub message: Option<String>,
}

impl JobEnd {
    pub(crate) fn new(status: Status, exit_code: String, message: Option<String>) -> Self {
        Self { status, exit_code, message }
    }
}

/// An execution as listeners of jobs see it. Cheap to clone.
#[derive(Clone)]
pub struct JobContext {
    scope: Arc<JobScope>,
}

impl JobContext {
    pub(crate) fn new(scope: Arc<JobScope>) -> Self {
        Self { scope }
    }

    pub(crate) fn scope(&self) -> &JobScope {
        &self.scope
    }

    /// Name of the job.
    pub fn job_name(&self) -> &str {
        &self.scope.job_name
    }

    /// The instance that is run.
    pub fn instance_id(&self) -> InstanceId {
        self.scope.instance_id
    }

    /// The execution that runs it.
    pub fn execution_id(&self) -> ExecutionId {
        self.scope.execution_id
    }

    /// The execution whose skipped items this one runs again.
    pub fn rerun_of(&self) -> Option<ExecutionId> {
        self.scope.rerun_of
    }

    /// The parameters of the launch, defaults included.
    pub fn parameters(&self) -> &JobParameters {
        &self.scope.parameters
    }

    /// An entry of the job's context. It is there from the first step of the execution on.
    ///
    /// # Errors
    /// [`ContextError::Entry`] when it has another type.
    pub fn get<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ContextError> {
        self.scope.context.read(key)
    }

    /// The step executions of the execution so far, with their counters.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn steps(&self) -> Result<Vec<StepExecution>, RepositoryError> {
        self.scope.repository.steps(self.scope.execution_id).await
    }

    /// True once a stop was requested or the service is shutting down.
    pub fn is_stopping(&self) -> bool {
        self.scope.stop.is_cancelled()
    }
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext")
            .field("job", &self.job_name())
            .field("execution", &self.execution_id())
            .finish_non_exhaustive()
    }
}

impl<L: JobListener> JobListener for Arc<L> {
    fn before_job(&self, context: &JobContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        (**self).before_job(context)
    }

    fn after_job(&self, context: &JobContext, end: &JobEnd) -> impl Future<Output = Result<(), BoxError>> + Send {
        (**self).after_job(context, end)
    }
}
