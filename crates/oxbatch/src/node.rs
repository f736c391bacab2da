//! The database and the node of this process, as the commands need them.

use std::sync::Arc;

use oxbatch_core::JobExecution;
use oxbatch_core::engine::{DEFAULT_MAX_RECOVERIES, OperatorError};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::{JobRepository, Node, RecoverPolicy, RecoverRequest};
#[cfg(feature = "postgres")]
use oxbatch_storage::PostgresRepository;
use oxbatch_storage::SqliteRepository;

use crate::error::CliError;
use crate::settings::database::DatabaseSettings;

/// Opens the database; creates it, or its tables, when they are not there.
pub(crate) async fn open_or_create(settings: DatabaseSettings) -> Result<Arc<dyn JobRepository>, CliError> {
    Ok(match settings {
        DatabaseSettings::Sqlite { path } => Arc::new(SqliteRepository::open(&path)?),
        #[cfg(feature = "postgres")]
        DatabaseSettings::Postgres { settings, .. } => Arc::new(PostgresRepository::open(*settings).await?),
    })
}

/// Opens the database that must be there: a question never creates one under a mistyped name, or in somebody else's
/// file or database.
pub(crate) async fn open_existing(settings: DatabaseSettings) -> Result<Arc<dyn JobRepository>, CliError> {
    match &settings {
        DatabaseSettings::Sqlite { path } if !path.exists() => return Err(CliError::NoDatabase { path: path.clone() }),
        DatabaseSettings::Sqlite { path } if !SqliteRepository::is_kept_in(path) => {
            return Err(CliError::NoExecutions { path: path.clone() });
        }
        #[cfg(feature = "postgres")]
        DatabaseSettings::Postgres { settings, .. } => {
            if !PostgresRepository::is_kept_in((**settings).clone()).await? {
                return Err(CliError::NoTables { place: settings.place() });
            }
        }
        DatabaseSettings::Sqlite { .. } => {}
    }
    open_or_create(settings).await
}

/// Opens the database when there is one.
pub(crate) async fn open_if_there(settings: DatabaseSettings) -> Result<Option<Arc<dyn JobRepository>>, CliError> {
    match open_existing(settings).await {
        Ok(repository) => Ok(Some(repository)),
        Err(CliError::NoDatabase { .. }) => Ok(None),
        #[cfg(feature = "postgres")]
        Err(CliError::NoTables { .. }) => Ok(None),
        Err(error) => Err(error),
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
        held: Vec::new(),
        policy: RecoverPolicy::Fail,
        max_recoveries: DEFAULT_MAX_RECOVERIES,
        time: jiff::Timestamp::now(),
        only: Some((instance.job_name, instance.job_key)),
    };
    repository.recover(request).await?;
    self::execution(repository, execution.id).await
}
