//! From SQLite's errors to the repository's.

use std::fmt;
use std::sync::Arc;

use oxbatch_core::repository::RepositoryError;
use rusqlite::types::Type;
use rusqlite::{Error, ErrorCode, ffi};

use crate::error::DatabaseError;

/// Why a command ends without a result.
pub(super) type StoreError = crate::error::StoreError<Error>;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl DatabaseError for Error {
    fn into_repository(self, operation: &'static str) -> RepositoryError {
        classify(operation, self)
    }
}

/// The repository's error for one of SQLite's.
pub(super) fn classify(operation: &'static str, error: Error) -> RepositoryError {
    if let Error::FromSqlConversionFailure(_, _, source) = error {
        return match source.downcast::<Unreadable>() {
            Ok(unreadable) => RepositoryError::Corrupt { what: unreadable.what(), source: unreadable.source },
            Err(source) => RepositoryError::Corrupt { what: "value".to_owned(), source },
        };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            RepositoryError::Unavailable { operation, source: Box::new(error) }
        }
        _ if is_full(&error) => RepositoryError::Full { operation, source: Box::new(error) },
        Some(ErrorCode::ReadOnly) if is_moved(&error) => RepositoryError::Gone { problem: error.to_string() },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            RepositoryError::Corrupt { what: "database file".to_owned(), source: Box::new(error) }
        }
        _ => RepositoryError::Database { operation, source: Box::new(error) },
    }
}

/// A stored value that cannot be read: travels inside of SQLite's error from the row to `classify`.
#[derive(Debug)]
struct Unreadable {
    column: &'static str,
    id: i64,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Unreadable {
    fn what(&self) -> String {
        format!("{} in row {}", self.column, self.id)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())
    }
}

impl std::error::Error for Unreadable {}

/// Wraps what is wrong with a stored value.
pub(super) fn unreadable(
    column: &'static str,
    id: i64,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::FromSqlConversionFailure(0, Type::Text, Box::new(Unreadable { column, id, source: source.into() }))
}

/// An error of SQLite's own, to be made once and reported to several callers.
pub(super) fn failure(code: i32, message: &str) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), Some(message.to_owned()))
}

/// The same error for another caller.
pub(super) fn copy(error: &Arc<Error>) -> Error {
    match error.as_ref() {
        Error::SqliteFailure(code, message) => Error::SqliteFailure(*code, message.clone()),
        other => failure(ffi::SQLITE_ERROR, &other.to_string()),
    }
}

/// The file of a connection is not the one that its path names any more: what is committed to it is kept by nobody.
pub(super) fn moved(path: &str) -> Error {
    let problem = format!("the database file '{path}' was deleted or replaced while it was in use");
    failure(ffi::SQLITE_READONLY_DBMOVED, &problem)
}

fn is_moved(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(code, _) if code.extended_code == ffi::SQLITE_READONLY_DBMOVED)
}

/// Returns whether there is no more space: of the disk, or up to the limit of a file's size that the process was
/// started with, which SQLite reports as any failed write.
pub(super) fn is_full(error: &Error) -> bool {
    match error {
        // The second is the write of the file of shared memory next to the log.
        Error::SqliteFailure(code, _)
            if matches!(code.extended_code, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE) =>
        {
            let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
            let limit = limits.lines().find_map(|line| line.strip_prefix("Max file size"));
            limit.is_some_and(|limit| !limit.trim_start().starts_with("unlimited"))
        }
        error => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
    }
}

/// Returns whether a unique index refused a row.
pub(super) fn is_unique_violation(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(code, _) if code.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}
