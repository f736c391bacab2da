//! The database and the node of this process, as the commands need them.

use std::sync::Arc;

use oxbatch_core::JobExecution;
use oxbatch_core::engine::{DEFAULT_MAX_RECOVERIES, OperatorError};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::{JobRepository, Node, RecoverPolicy, RecoverRequest};
use oxbatch_storage::SqliteRepository;

use crate::error::CliError;
use crate::settings::database::DatabaseSettings;

/// Opens the database; creates it when it is not there.
pub(crate) fn open_or_create(settings: &DatabaseSettings) -> Result<Arc<dyn JobRepository>, CliError> {
    Ok(Arc::new(SqliteRepository::open(&settings.path)?))
}

/// Opens the database that must be there: a question never creates one under a mistyped name, or in somebody else's file.
pub(crate) fn open_existing(settings: &DatabaseSettings) -> Result<Arc<dyn JobRepository>, CliError> {
    let path = settings.path.clone();
    match settings.path.exists() {
        true if SqliteRepository::is_kept_in(&path) => open_or_create(settings),
        true => Err(CliError::NoExecutions { path }),
        false => Err(CliError::NoDatabase { path }),
    }
}

/// An execution that must be there.
pub(crate) async fn execution(repository: &dyn JobRepository, id: ExecutionId) -> Result<JobExecution, CliError> {
    let execution = repository.execution(id).await?;
    execution.ok_or_else(|| OperatorError::UnknownExecution { id }.into())
}

/// Ends a running execution whose process is dead, as a service would at its next look; a living one is left alone.
/// Answers how it stands then.
pub(crate) async fn settle(
    repository: &dyn JobRepository,
    node_name: &str,
    execution: JobExecution,
) -> Result<JobExecution, CliError> {
    if !execution.status.is_running() {
        return Ok(execution);
    }
    let Some(instance) = repository.instance(execution.instance_id).await? else { return Ok(execution) };
    let request = RecoverRequest {
        node: Node::new(node_name),
        policy: RecoverPolicy::Fail,
        max_recoveries: DEFAULT_MAX_RECOVERIES,
        time: jiff::Timestamp::now(),
        only: Some((instance.job_name, instance.job_key)),
    };
    repository.recover(request).await?;
    self::execution(repository, execution.id).await
}
