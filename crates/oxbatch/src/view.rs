//! The JSON of the commands: the shapes of the HTTP interface, filled without an engine.

use jiff::Timestamp;
use oxbatch_core::repository::{JobRepository, RepositoryError};
use oxbatch_core::{JobExecution, JobParameters, JobRegistry, StepExecution};
use oxbatch_server::view::{ExecutionView, NewestStep, StepView};
use serde::Serialize;

/// The parameters of a launch as they would be typed.
pub(crate) fn typed(parameters: &JobParameters) -> String {
    parameters.iter().map(|(name, parameter)| format!("{name}={}", parameter.value)).collect::<Vec<_>>().join(" ")
}

/// The shapes of a page of executions; of those that run the steps are read.
pub(crate) async fn executions(
    repository: &dyn JobRepository,
    registry: &JobRegistry,
    executions: Vec<JobExecution>,
) -> Result<Vec<ExecutionView>, RepositoryError> {
    let mut views = Vec::with_capacity(executions.len());
    for execution in executions {
        let newest: Option<NewestStep> = match ExecutionView::needs_newest_step(execution.status) {
            true => repository.steps(execution.id).await?.last().map(Into::into),
            false => None,
        };
        views.push(ExecutionView::new(execution, registry, newest.as_ref()));
    }
    Ok(views)
}

/// An execution with its steps.
#[derive(Debug, Serialize)]
pub(crate) struct ReportView {
    execution: ExecutionView,
    steps: Vec<StepView>,
}

impl ReportView {
    /// The shape of an execution with its steps in the order in which they began, as of now.
    pub(crate) fn new(execution: JobExecution, steps: Vec<StepExecution>, registry: &JobRegistry) -> Self {
        let (newest, now) = (steps.last().map(NewestStep::from), Timestamp::now());
        Self {
            execution: ExecutionView::new(execution, registry, newest.as_ref()),
            steps: steps.into_iter().map(|step| StepView::new(step, &[], now)).collect(),
        }
    }
}
