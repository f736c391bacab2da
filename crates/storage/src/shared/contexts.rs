//! The contexts of an execution and of its steps, as they were committed last.

use oxbatch_core::execution::{ExecutionContext, ExecutionId, StepExecutionId, StepState};
use oxbatch_core::repository::{Contexts, RepositoryError};

use super::{Database, values};
use crate::error::StoreError;

pub(crate) async fn read<D: Database>(
    database: &D,
    id: ExecutionId,
    steps: &[StepExecutionId],
) -> Result<Contexts, StoreError<D::Error>> {
    const JOB: &str = "SELECT context FROM oxbatch_job_execution WHERE id = $1";
    const STEP: &str = "SELECT state FROM oxbatch_step_execution WHERE id = $1 AND job_execution_id = $2";
    let mut contexts = Contexts::default();
    if let Some(row) = database.optional(JOB, &values![id.0]).await? {
        contexts.job = row.optional_text(0)?.map(ExecutionContext::from_json).transpose().map_err(unreadable)?;
    }
    for step in steps {
        let Some(row) = database.optional(STEP, &values![step.0, id.0]).await? else { continue };
        let state = row.optional_text(0)?.map(StepState::from_json).transpose().map_err(unreadable)?;
        contexts.steps.push((*step, state.unwrap_or_default().context));
    }
    Ok(contexts)
}

fn unreadable(error: oxbatch_core::execution::ContextError) -> RepositoryError {
    RepositoryError::Corrupt { what: "context".to_owned(), source: Box::new(error) }
}
