//! The source of the readers of SQLite: the repository's own file, or another one.

use std::path::PathBuf;

use oxbatch_core::StepContext;
use oxbatch_core::item::ItemError;
use rusqlite::Connection;

use crate::sqlite::{SqliteRepository, file_reader};

/// A database of SQLite.
#[derive(Debug)]
pub(super) enum SqliteSource {
    /// The one in which the repository keeps its executions; none when it is another kind.
    Repository(Option<SqliteRepository>),
    /// Another one.
    File(PathBuf),
}

impl SqliteSource {
    /// The repository's own database.
    pub(super) fn of(context: &StepContext) -> Self {
        Self::Repository(SqliteRepository::of(context.repository().as_ref()).cloned())
    }

    /// A connection of the caller's own that cannot change anything.
    ///
    /// # Errors
    /// When the file cannot be read, or the service keeps its executions elsewhere.
    pub(super) fn connect(&self) -> Result<Connection, ItemError> {
        match self {
            Self::Repository(Some(repository)) => Ok(repository.open_reader()?),
            Self::File(path) => Ok(file_reader(path)?),
            Self::Repository(None) => Err(ItemError::other(
                "the step reads from the SQLite repository, but the service uses another repository; name a file",
            )),
        }
    }
}
