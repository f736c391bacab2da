//! The ends of work on a database that has no result.

use oxbatch_core::repository::{LaunchError, RepositoryError};

/// Why a piece of work ends without a result. `D` is what the database or the connection to it says.
#[derive(Debug)]
pub(crate) enum StoreError<D> {
    /// The database says so.
    Database(D),
    /// The repository's own rules say so.
    Repository(RepositoryError),
    /// The launch is refused.
    Launch(LaunchError),
}

/// An error of a database.
pub(crate) trait DatabaseError {
    /// The repository's error for it, when it was met in this operation.
    fn into_repository(self, operation: &'static str) -> RepositoryError;
}

impl<D> From<RepositoryError> for StoreError<D> {
    fn from(error: RepositoryError) -> Self {
        Self::Repository(error)
    }
}

impl<D> From<LaunchError> for StoreError<D> {
    fn from(error: LaunchError) -> Self {
        Self::Launch(error)
    }
}

impl<D: DatabaseError> StoreError<D> {
    pub(crate) fn into_launch(self, operation: &'static str) -> LaunchError {
        match self {
            Self::Launch(error) => error,
            Self::Repository(error) => error.into(),
            Self::Database(error) => error.into_repository(operation).into(),
        }
    }

    pub(crate) fn into_repository(self, operation: &'static str) -> RepositoryError {
        match self.into_launch(operation) {
            LaunchError::Repository(error) => error,
            other => RepositoryError::Database { operation, source: Box::new(other) },
        }
    }
}
