//! The database of a command: opened, or created where that is meant.

use std::sync::Arc;

use oxbatch_core::repository::JobRepository;
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
