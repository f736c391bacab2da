//! From PostgreSQL's errors to the repository's: what passes, what is lost, and a sentence for what a person can mend.

use std::fmt;
use std::io;

use deadpool_postgres::{PoolError, TimeoutType};
use oxbatch_core::execution::cause_chain;
use oxbatch_core::repository::RepositoryError;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::error::DatabaseError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a piece of work ends without a result.
pub(super) type StoreError = crate::error::StoreError<ServerError>;

/// An error of PostgreSQL or of the connection to it.
#[derive(Debug)]
pub(crate) enum ServerError {
    /// The server or the driver says so.
    Sql(Error),
    /// No connection is free within the time.
    NoneFree,
    /// A stop ended the wait for the database.
    Stopped,
    /// The server does not answer within the time.
    NoAnswer,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) => match error.as_db_error() {
                Some(said) => Said::of(said).fmt(f),
                None => f.write_str(&cause_chain(error)),
            },
            Self::NoneFree => f.write_str("all connections are in use"),
            Self::Stopped => f.write_str("a stop ended the wait"),
            Self::NoAnswer => f.write_str("the server does not answer"),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Repository(error) => error.fmt(f),
            Self::Launch(error) => error.fmt(f),
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::Database(ServerError::Sql(error))
    }
}

impl From<ServerError> for StoreError {
    fn from(error: ServerError) -> Self {
        Self::Database(error)
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(TimeoutType::Wait) => ServerError::NoneFree.into(),
            _ => ServerError::NoAnswer.into(),
        }
    }
}

impl DatabaseError for ServerError {
    fn into_repository(self, operation: &'static str) -> RepositoryError {
        match self {
            Self::Sql(error) => classify(operation, error),
            Self::NoneFree => unavailable(
                operation,
                "all connections are in use; raise database.connections, or lower engine.concurrency",
            ),
            Self::Stopped => RepositoryError::WaitStopped { operation },
            Self::NoAnswer => unavailable(operation, "the server does not answer"),
        }
    }
}

impl StoreError {
    /// The error of the server or of the driver.
    pub(super) fn of_server(&self) -> Option<&Error> {
        match self {
            Self::Database(ServerError::Sql(error)) => Some(error),
            _ => None,
        }
    }

    /// The same, to go on with.
    pub(super) fn into_sql(self) -> Result<Error, Self> {
        match self {
            Self::Database(ServerError::Sql(error)) => Ok(error),
            other => Err(other),
        }
    }

    /// The connection is gone: nothing is known of what was asked last.
    pub(super) fn is_lost(&self) -> bool {
        self.of_server().is_some_and(is_lost)
    }

    /// The same work may succeed a moment later.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Database(ServerError::Sql(error)) => is_lost(error) || error.code().is_some_and(passes),
            Self::Database(ServerError::NoAnswer) => true,
            // It was waited for already.
            Self::Database(ServerError::NoneFree | ServerError::Stopped) | Self::Repository(_) | Self::Launch(_) => {
                false
            }
        }
    }

    /// The server refuses connections for a moment: it has none left, or begins or ends.
    pub(super) fn is_refusal(&self) -> bool {
        let refusals = [SqlState::TOO_MANY_CONNECTIONS, SqlState::CANNOT_CONNECT_NOW];
        self.of_server().and_then(Error::code).is_some_and(|code| refusals.contains(code))
    }
}

pub(super) fn unavailable(operation: &'static str, why: impl Into<BoxError>) -> RepositoryError {
    RepositoryError::Unavailable { operation, source: why.into() }
}

/// The error of a commit, or of what checks the same: one of the rows, where it finds a constraint broken that was
/// deferred.
pub(super) fn rows_refused(error: Error) -> StoreError {
    match error.as_db_error() {
        Some(said) if said.code().code().starts_with("23") => {
            RepositoryError::RowsRefused { source: Box::new(Said::of(said)) }.into()
        }
        _ => error.into(),
    }
}

/// Returns whether the connection is gone: nothing is known of what was asked last.
fn is_lost(error: &Error) -> bool {
    match error.code() {
        Some(code) => {
            let gone =
                [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT];
            code.code().starts_with("08") || gone.contains(code)
        }
        None => error.is_closed() || is_input_or_output(error) || is_timeout(error),
    }
}

fn is_input_or_output(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<io::Error>())
}

fn is_timeout(error: &Error) -> bool {
    std::error::Error::source(error).is_none() && error.to_string().contains("timeout")
}

/// Errors of the server that are gone a moment later: another transaction's doing, or its restart.
fn passes(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
    ]
    .contains(code)
}

/// The repository's error for one of PostgreSQL's.
pub(super) fn classify(operation: &'static str, error: Error) -> RepositoryError {
    if let Some(unreadable) = unreadable_in(&error) {
        let source = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
        return RepositoryError::Corrupt { what: unreadable, source: source.into() };
    }
    let Some(code) = error.code().cloned() else {
        return if is_lost(&error) {
            RepositoryError::Unavailable { operation, source: Box::new(error) }
        } else {
            RepositoryError::Database { operation, source: Box::new(error) }
        };
    };
    let source: BoxError = match error.as_db_error() {
        Some(said) => Box::new(Said::of(said)),
        None => Box::new(error),
    };
    let transient =
        [SqlState::QUERY_CANCELED, SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::OUT_OF_MEMORY, SqlState::IO_ERROR];
    if code == SqlState::DISK_FULL {
        RepositoryError::Full { operation, source }
    } else if code == SqlState::DATA_CORRUPTED || code == SqlState::INDEX_CORRUPTED {
        RepositoryError::Corrupt { what: "database".to_owned(), source }
    } else if passes(&code)
        || transient.contains(&code)
        || code.code().starts_with("08")
        || code.code().starts_with("57")
    {
        RepositoryError::Unavailable { operation, source }
    } else {
        RepositoryError::Database { operation, source }
    }
}

/// A value of a row that does not have the type of its column.
fn unreadable_in(error: &Error) -> Option<String> {
    let text = error.to_string();
    text.starts_with("error deserializing column").then(|| "value".to_owned())
}

/// The server's message in one line, with advice for people.
#[derive(Debug)]
pub(super) struct Said {
    message: String,
    code: String,
    detail: Option<String>,
    advice: Option<&'static str>,
}

impl Said {
    pub(super) fn of(error: &DbError) -> Self {
        Self {
            message: error.message().to_owned(),
            code: error.code().code().to_owned(),
            detail: error.detail().map(str::to_owned),
            advice: advice(error.code()),
        }
    }
}

fn advice(code: &SqlState) -> Option<&'static str> {
    let advice = [
        (
            SqlState::READ_ONLY_SQL_TRANSACTION,
            "the server is a standby, or default_transaction_read_only is on; name the primary, or another user",
        ),
        (SqlState::QUERY_CANCELED, "the server's statement_timeout is too short, or somebody cancelled it"),
        (SqlState::DISK_FULL, "make room on the server's disk"),
        (SqlState::INSUFFICIENT_PRIVILEGE, "grant it to the service's user"),
        (SqlState::TOO_MANY_CONNECTIONS, "lower database.connections, or raise the server's max_connections"),
        (SqlState::UNDEFINED_TABLE, "the tables of the service are missing; start the service to create them"),
    ];
    advice.into_iter().find(|(known, _)| known == code).map(|(_, advice)| advice)
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {}", detail.replace('\n', " "))?;
        }
        self.advice.map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

impl std::error::Error for Said {}

/// A stored value that cannot be read.
pub(super) fn corrupt(what: &'static str, id: i64, source: impl Into<BoxError>) -> StoreError {
    StoreError::Repository(RepositoryError::Corrupt { what: format!("{what} in row {id}"), source: source.into() })
}

/// A unique index refused a row.
pub(super) fn is_unique_violation(error: &StoreError) -> bool {
    error.of_server().and_then(Error::code) == Some(&SqlState::UNIQUE_VIOLATION)
}
