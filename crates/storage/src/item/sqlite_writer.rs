//! `SqliteWriter`: rows of any serde struct into a table of the repository's own database, exactly once.

mod statement;

use std::marker::PhantomData;

use oxbatch_core::item::{BoxError, Checkpoint, ErrorKind, ItemError, ItemWriter};
use oxbatch_core::repository::ChunkTransaction;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};
use serde::{Deserialize, Serialize};

use super::row;
use crate::sqlite::SqliteChunkTransaction;
use statement::{Mode, RowStatement};

/// Writes rows into a table of the database in which the repository keeps its executions: **exactly once**. Rows,
/// checkpoint and counters commit together.
///
/// Rows are inserted unless [`upsert`](Self::upsert), [`update`](Self::update) or [`delete`](Self::delete) says otherwise.
/// What the table refuses is a fault of kind *constraint*, which a skip policy may go on without.
///
/// A row is a struct with [`Serialize`]; its fields are the columns of the same name. `None` becomes NULL; booleans 0 or
/// 1; dates, unit variants and everything that serialises as text become text; bytes become a BLOB. Nested structs,
/// sequences, NaN and numbers outside of i64 are faults that name the field.
///
/// ```
/// # use oxbatch_storage::SqliteWriter;
/// #[derive(serde::Serialize)]
/// struct Strike { id: i64, species: Option<String> }
///
/// let writer = SqliteWriter::<Strike>::new("strikes")
///     .create("CREATE TABLE IF NOT EXISTS strikes (id INTEGER PRIMARY KEY, species TEXT) STRICT");
/// ```
#[derive(Debug)]
pub struct SqliteWriter<T> {
    table: String,
    create: Option<String>,
    replace: Option<(String, Vec<Value>)>,
    mode: Mode,
    statement: Option<RowStatement>,
    now: Progress,
    committed: Progress,
    scratch: String,
    rows: PhantomData<fn(&T)>,
}

/// What is saved with each chunk.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Progress {
    /// Whether the table was created and emptied.
    prepared: bool,
    /// Rows written, for people.
    rows: u64,
}

impl<T> SqliteWriter<T> {
    /// Writes into `table`.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            create: None,
            replace: None,
            mode: Mode::Insert,
            statement: None,
            now: Progress::default(),
            committed: Progress::default(),
            scratch: String::new(),
            rows: PhantomData,
        }
    }

    /// Rows replace those with the same key, over whose columns the table must have a unique index or its primary key; all
    /// other columns are updated. Of rows with the same key the last one wins.
    #[must_use]
    pub fn upsert<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.mode = Mode::Upsert { keys: keys.into_iter().map(Into::into).collect() };
        self
    }

    /// Rows update those with the same key. A key that no row has, or that more than one has, is a fault of kind
    /// *constraint* that names it.
    #[must_use]
    pub fn update<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.mode = Mode::Update { keys: keys.into_iter().map(Into::into).collect() };
        self
    }

    /// Rows delete those with the same key; their other fields count for nothing. A key that no row has, or that more
    /// than one has, is a fault of kind *constraint* that names it.
    #[must_use]
    pub fn delete<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.mode = Mode::Delete { keys: keys.into_iter().map(Into::into).collect() };
        self
    }

    /// Statements that create what is missing, run in the transaction of the first chunk, or at the end of an empty input:
    /// `CREATE TABLE IF NOT EXISTS …; CREATE INDEX IF NOT EXISTS …`.
    #[must_use]
    pub fn create(mut self, statements: impl Into<String>) -> Self {
        self.create = Some(statements.into());
        self
    }

    /// A statement that removes what an earlier run has left, run in the transaction of the first chunk of a fresh start
    /// and never on a resume: `DELETE FROM strikes WHERE source = ?1`.
    #[must_use]
    pub fn replace<V: Into<Value>>(
        mut self,
        statement: impl Into<String>,
        parameters: impl IntoIterator<Item = V>,
    ) -> Self {
        self.replace = Some((statement.into(), parameters.into_iter().map(Into::into).collect()));
        self
    }

    fn fault(&self, what: &str, error: rusqlite::Error) -> ItemError {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => ErrorKind::Constraint,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Transient,
            _ => ErrorKind::Other,
        };
        let source: BoxError = Box::new(WriteError { what: what.to_owned(), table: self.table.clone(), source: error });
        ItemError::new(kind, source)
    }

    fn prepare(&mut self, connection: &Connection) -> Result<(), ItemError> {
        if self.now.prepared {
            return Ok(());
        }
        if let Some(create) = &self.create {
            connection.execute_batch(create).map_err(|error| self.fault("create", error))?;
        }
        if let Some((statement, parameters)) = &self.replace {
            connection
                .execute(statement, params_from_iter(parameters))
                .map_err(|error| self.fault("replace the rows of", error))?;
        }
        self.now.prepared = true;
        Ok(())
    }
}

impl<T: Serialize> SqliteWriter<T> {
    fn write_rows(&mut self, connection: &Connection, outputs: &[T]) -> Result<(), ItemError> {
        let Some(first) = outputs.first() else { return Ok(()) };
        let row = match self.statement.take() {
            Some(row) => row,
            None => RowStatement::new(&self.table, &self.mode, first)?,
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        let result = self.execute(connection, &row, outputs, &mut scratch);
        self.statement = Some(row);
        self.scratch = scratch;
        result
    }

    fn execute(
        &mut self,
        connection: &Connection,
        row: &RowStatement,
        outputs: &[T],
        scratch: &mut String,
    ) -> Result<(), ItemError> {
        let mut statement = connection.prepare_cached(&row.sql).map_err(|error| self.fault("write to", error))?;
        for (index, output) in outputs.iter().enumerate() {
            let at = || format!("row {} of the chunk", index + 1);
            row::bind(output, &row.columns, &row.parameters, &mut statement, scratch)
                .map_err(|error| ItemError::validation(error).at(at()))?;
            let rows = statement.raw_execute().map_err(|error| self.fault("write to", error).at(at()))?;
            if rows != 1 && !row.must_match.is_empty() {
                return Err(self.unmatched(rows, &row.key_of(output)).at(at()));
            }
        }
        self.now.rows += outputs.len() as u64;
        Ok(())
    }

    /// A key is not that of exactly one row.
    #[cold]
    fn unmatched(&self, rows: usize, key: &str) -> ItemError {
        let what = if matches!(self.mode, Mode::Delete { .. }) { "delete from" } else { "update" };
        let found = if rows == 0 { "no row has".to_owned() } else { format!("{rows} rows have") };
        let message = format!("failed to {what} table '{}': {found} the key {key}", self.table);
        ItemError::new(ErrorKind::Constraint, message)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("failed to {what} table '{table}'")]
struct WriteError {
    what: String,
    table: String,
    source: rusqlite::Error,
}

impl<T: Serialize + Send + Sync> ItemWriter<T> for SqliteWriter<T> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.committed = checkpoint.map(Checkpoint::read).transpose()?.unwrap_or_default();
        self.now = self.committed;
        Ok(())
    }

    async fn write(&mut self, outputs: &[T], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let connection = SqliteChunkTransaction::of(transaction)?.connection().await?;
        self.prepare(connection)?;
        self.write_rows(connection, outputs)
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.now).map(Some)
    }

    fn committed(&mut self) {
        self.committed = self.now;
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.now = self.committed;
        Ok(())
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if self.now.prepared {
            return Ok(());
        }
        let connection = SqliteChunkTransaction::of(transaction)?.connection().await?;
        self.prepare(connection)
    }
}
