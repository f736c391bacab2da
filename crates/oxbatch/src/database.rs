//! The database of a command: opened to be read or to be written, and created where that is meant.

use std::sync::Arc;

use oxbatch_core::repository::JobRepository;
#[cfg(feature = "postgres")]
use oxbatch_storage::PostgresRepository;
use oxbatch_storage::{SqliteRepository, Upgrade};

use crate::error::CliError;
use crate::settings::database::DatabaseSettings;

/// The access of a command to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It lists and shows; it takes no right to write.
    Read,
    /// It changes something.
    Write,
    /// The same, and the database may be migrated beside processes of older versions.
    Migrate,
}

impl Access {
    const fn upgrade(self) -> Upgrade {
        match self {
            Self::Read | Self::Write => Upgrade::Alone,
            Self::Migrate => Upgrade::BesideOthers,
        }
    }
}

/// Opens the database; creates it, or its tables, when they are not there.
pub(crate) async fn open_or_create(
    settings: DatabaseSettings,
    access: Access,
) -> Result<Arc<dyn JobRepository>, CliError> {
    open(settings, access).await
}

async fn open(settings: DatabaseSettings, access: Access) -> Result<Arc<dyn JobRepository>, CliError> {
    // A command runs one execution at most; the service has said how many it runs.
    Ok(match (settings.for_concurrency(1)?, access) {
        (DatabaseSettings::Sqlite { path }, Access::Read) => Arc::new(SqliteRepository::open_for_reading(&path)?),
        (DatabaseSettings::Sqlite { path }, access) => Arc::new(SqliteRepository::open_with(&path, access.upgrade())?),
        #[cfg(feature = "postgres")]
        (DatabaseSettings::Postgres { settings, .. }, Access::Read) => {
            Arc::new(PostgresRepository::open_for_reading(*settings).await?)
        }
        #[cfg(feature = "postgres")]
        (DatabaseSettings::Postgres { settings, .. }, access) => {
            Arc::new(PostgresRepository::open_with(*settings, access.upgrade()).await?)
        }
    })
}

/// Opens the database that must be there: a question never creates one under a mistyped name, or in somebody else's
/// file or database.
pub(crate) async fn open_existing(
    settings: DatabaseSettings,
    access: Access,
) -> Result<Arc<dyn JobRepository>, CliError> {
    match &settings {
        DatabaseSettings::Sqlite { path } if !path.exists() => return Err(CliError::NoDatabase { path: path.clone() }),
        DatabaseSettings::Sqlite { path } if !SqliteRepository::is_kept_in(path) => {
            return Err(CliError::NoExecutions { path: path.clone() });
        }
        #[cfg(feature = "postgres")]
        DatabaseSettings::Postgres { settings, .. } => {
            if !PostgresRepository::is_kept_in((**settings).clone()).await? {
                return Err(CliError::NoTables { address: settings.address() });
            }
        }
        DatabaseSettings::Sqlite { .. } => {}
    }
    open(settings, access).await
}

/// Opens the database when there is one.
pub(crate) async fn open_if_there(
    settings: DatabaseSettings,
    access: Access,
) -> Result<Option<Arc<dyn JobRepository>>, CliError> {
    match open_existing(settings, access).await {
        Ok(repository) => Ok(Some(repository)),
        Err(CliError::NoDatabase { .. }) => Ok(None),
        #[cfg(feature = "postgres")]
        Err(CliError::NoTables { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
