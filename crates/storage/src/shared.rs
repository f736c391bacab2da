//! Statements that both databases understand: a question to either of them, its values and its rows.
//!
//! The tables of schedules keep times as microseconds in both, and their statements number their values in the order in
//! which they first stand there, so that one text serves both.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod backfills;
pub(crate) mod bulk;
pub(crate) mod channels;
pub(crate) mod contexts;
pub(crate) mod deadlines;
pub(crate) mod fire;
pub(crate) mod fires;
pub(crate) mod launch_pauses;
pub(crate) mod logs;
pub(crate) mod notices;
pub(crate) mod pauses;
pub(crate) mod prune;
pub(crate) mod rows;
pub(crate) mod schedules;

use jiff::Timestamp;
use oxbatch_core::repository::{LaunchRequest, Launched, RepositoryError};

use crate::error::StoreError;

/// A value that is bound, or read from a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Text(String),
    Flag(bool),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        // PostgreSQL's text holds no NUL.
        Self::Text(text.replace('\0', "\u{fffd}"))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Number(time.as_microsecond())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row, read by the positions of its columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OwnedRow(pub(crate) Vec<Value>);

impl OwnedRow {
    fn unreadable(&self, column: usize, wanted: &str) -> RepositoryError {
        let source = format!("column {column} is {:?} where {wanted} is expected", self.0.get(column));
        RepositoryError::Corrupt { what: "value".to_owned(), source: source.into() }
    }

    pub(crate) fn optional_number(&self, column: usize) -> Result<Option<i64>, RepositoryError> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            _ => Err(self.unreadable(column, "a number")),
        }
    }

    pub(crate) fn number(&self, column: usize) -> Result<i64, RepositoryError> {
        self.optional_number(column)?.ok_or_else(|| self.unreadable(column, "a number"))
    }

    pub(crate) fn flag(&self, column: usize) -> Result<bool, RepositoryError> {
        match self.0.get(column) {
            Some(Value::Flag(flag)) => Ok(*flag),
            // SQLite's truth.
            Some(Value::Number(number)) => Ok(*number != 0),
            _ => Err(self.unreadable(column, "a truth value")),
        }
    }

    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<&str>, RepositoryError> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            _ => Err(self.unreadable(column, "a text")),
        }
    }

    pub(crate) fn text(&self, column: usize) -> Result<&str, RepositoryError> {
        self.optional_text(column)?.ok_or_else(|| self.unreadable(column, "a text"))
    }

    pub(crate) fn optional_time(&self, column: usize) -> Result<Option<Timestamp>, RepositoryError> {
        let time = self.optional_number(column)?.map(Timestamp::from_microsecond).transpose();
        time.map_err(|_| self.unreadable(column, "a time"))
    }

    pub(crate) fn time(&self, column: usize) -> Result<Timestamp, RepositoryError> {
        self.optional_time(column)?.ok_or_else(|| self.unreadable(column, "a time"))
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<&[u8], RepositoryError> {
        match self.0.get(column) {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            _ => Err(self.unreadable(column, "bytes")),
        }
    }

    /// A word of a closed set.
    pub(crate) fn word<T: std::str::FromStr>(&self, column: usize) -> Result<T, RepositoryError>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        self.text(column)?
            .parse()
            .map_err(|error: T::Err| RepositoryError::Corrupt { what: "word".to_owned(), source: Box::new(error) })
    }
}

/// A database in the transaction, or the reading, of a caller.
///
/// The futures need not be sendable: those of SQLite never wait.
pub(crate) trait Database {
    /// Errors of the database.
    type Error;

    /// The database's clock.
    async fn now(&self) -> Result<Timestamp, StoreError<Self::Error>>;

    /// The rows that a statement answers.
    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<OwnedRow>, StoreError<Self::Error>>;

    /// One statement for many sets of values; the number of rows that they have changed.
    async fn execute_all(&self, sql: &'static str, sets: &[Vec<Value>]) -> Result<u64, StoreError<Self::Error>>;

    /// Launches, in the same transaction. A launch that is refused has written nothing that is not to stay.
    async fn launch(&self, request: &LaunchRequest) -> Result<Launched, StoreError<Self::Error>>;

    /// The first row.
    async fn optional(&self, sql: &'static str, values: &[Value]) -> Result<Option<OwnedRow>, StoreError<Self::Error>> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// The number of rows that a statement has changed.
    async fn execute(&self, sql: &'static str, values: &[Value]) -> Result<u64, StoreError<Self::Error>> {
        self.execute_all(sql, &[values.to_vec()]).await
    }
}

/// The values of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::shared::Value::from($value)),*] };
}

pub(crate) use values;
