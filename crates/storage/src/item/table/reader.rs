//! `TableReader`: the rows of a query on the database that keeps the executions, as any serde type.

use std::path::PathBuf;

use oxbatch_core::StepContext;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader, Origin};
use rusqlite::Row;
use serde::de::DeserializeOwned;

use super::placeholders::for_sqlite;
use super::sqlite_row::read_row;
use super::{TableValue, ask, set};
#[cfg(feature = "postgres")]
use crate::PostgresReader;
use crate::SqliteReader;

/// Reads the rows of a query on the database that keeps the executions, SQLite or PostgreSQL, in the ascending order of
/// a unique key, and resumes behind the last key by seeking.
///
/// It is a [`SqliteReader`] or a `PostgresReader`, by the repository of the service. A job that uses it runs on either
/// database. The query may have a WHERE, a GROUP BY and parameters `$1` …, and needs no ORDER BY; the key columns must
/// be among its columns, never NULL, and unique together. Text keys are in the order of their bytes on SQLite, and in
/// that of their collation on PostgreSQL.
///
/// An item is a struct or map by the names of the columns, a tuple by their order, or the value of a single column.
///
/// ```
/// # fn build(context: &oxbatch::StepContext) {
/// use oxbatch::item::TableReader;
///
/// #[derive(serde::Deserialize)]
/// struct Strike { record: i64, species: Option<String> }
///
/// let reader = TableReader::<Strike>::new(
///     context,
///     "SELECT record, species FROM strikes WHERE source = $1",
///     ["record"],
/// )
/// .parameters(["2024.csv".to_owned()]);
/// # }
/// ```
pub struct TableReader<T> {
    on: On<T>,
}

type MapRow<T> = fn(&Row<'_>) -> rusqlite::Result<T>;

enum On<T> {
    Sqlite(SqliteReader<T, MapRow<T>>),
    #[cfg(feature = "postgres")]
    Postgres(PostgresReader<T>),
}

impl<T: DeserializeOwned> TableReader<T> {
    /// Reads the rows of `query`, ordered by the columns `keys`.
    pub fn new<K: Into<String>>(
        context: &StepContext,
        query: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        Self::of_each(context, query.into(), None, keys)
    }

    /// As [`new`](Self::new), with a query of its own for each of the two databases.
    pub fn with_queries<K: Into<String>>(
        context: &StepContext,
        on_sqlite: impl Into<String>,
        on_postgres: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        Self::of_each(context, on_sqlite.into(), Some(on_postgres.into()), keys)
    }

    fn of_each<K: Into<String>>(
        context: &StepContext,
        query: String,
        on_postgres: Option<String>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        #[cfg(feature = "postgres")]
        if super::is_on_postgres(context) {
            return Self { on: On::Postgres(PostgresReader::new(context, on_postgres.unwrap_or(query), keys)) };
        }
        // Without the feature `postgres` there is nobody to read it.
        let _ = on_postgres;
        Self { on: On::Sqlite(SqliteReader::new(context, for_sqlite(&query), keys, read_row as MapRow<T>)) }
    }

    /// The values of the query's parameters `$1`, `$2` ….
    #[must_use]
    pub fn parameters<V: TableValue>(self, values: impl IntoIterator<Item = V>) -> Self {
        set!(self, reader => reader.parameters(values))
    }
}

impl<T: DeserializeOwned + Send> ItemReader for TableReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        ask!(&mut self.on, reader => reader.open(checkpoint).await)
    }

    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        ask!(&mut self.on, reader => reader.read().await)
    }

    fn read_now(&mut self) -> Option<T> {
        ask!(&mut self.on, reader => reader.read_now())
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        let of_sqlite = SqliteReader::<T, MapRow<T>>::place_of(checkpoint);
        #[cfg(feature = "postgres")]
        let of_sqlite = of_sqlite.or_else(|| PostgresReader::<T>::place_of(checkpoint));
        of_sqlite
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        ask!(&mut self.on, reader => reader.checkpoint())
    }

    fn progress(&self) -> Option<f64> {
        ask!(&self.on, reader => reader.progress())
    }

    fn files(&self) -> Vec<PathBuf> {
        ask!(&self.on, reader => reader.files())
    }

    fn origin(&self) -> Option<Origin> {
        ask!(&self.on, reader => reader.origin())
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        ask!(&mut self.on, reader => reader.close().await)
    }
}

impl<T> std::fmt::Debug for TableReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        ask!(&self.on, reader => reader.fmt(f))
    }
}
