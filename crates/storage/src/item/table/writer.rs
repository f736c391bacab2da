//! `TableWriter`: rows of any serde struct into a table of the database that keeps the executions.

use std::time::Duration;

use oxbatch_core::StepContext;
use oxbatch_core::item::{Checkpoint, EncodedOutputs, ItemError, ItemWriter, OutputEncoder};
use oxbatch_core::repository::ChunkTransaction;
use serde::Serialize;

use super::placeholders::for_sqlite;
use super::{TableValue, ask, set};
#[cfg(feature = "postgres")]
use crate::PostgresWriter;
use crate::SqliteWriter;

/// Writes rows into a table of the database that keeps the executions, SQLite or PostgreSQL: **exactly once**. Rows,
/// checkpoint and counters commit together.
///
/// It is a [`SqliteWriter`] or a `PostgresWriter`, by the repository of the service, and takes rows as they do: a
/// struct with [`Serialize`], whose fields are the columns of the same name. A job that uses it runs on either
/// database. Where the two understand different SQL, each is given its own.
///
/// ```
/// # fn build(context: &oxbatch::StepContext) {
/// use oxbatch::item::TableWriter;
///
/// #[derive(serde::Serialize)]
/// struct Strike { source: String, record: i64, species: Option<String> }
///
/// let writer = TableWriter::<Strike>::new(context, "strikes")
///     .create(
///         "CREATE TABLE IF NOT EXISTS strikes
///              (source TEXT, record BIGINT, species TEXT, PRIMARY KEY (source, record))",
///     )
///     .replace("DELETE FROM strikes WHERE source = $1", ["2024.csv".to_owned()]);
/// # }
/// ```
pub struct TableWriter<T> {
    on: On<T>,
}

#[cfg_attr(
    feature = "postgres",
    expect(clippy::large_enum_variant, reason = "there is one for each step, and a chunk is to cost no pointer")
)]
enum On<T> {
    Sqlite(SqliteWriter<T>),
    #[cfg(feature = "postgres")]
    Postgres(PostgresWriter<T>),
}

impl<T> TableWriter<T> {
    /// Writes into `table` of the database that keeps the executions.
    pub fn new(context: &StepContext, table: impl Into<String>) -> Self {
        let table = table.into();
        #[cfg(feature = "postgres")]
        if super::is_on_postgres(context) {
            return Self { on: On::Postgres(PostgresWriter::new(context, table)) };
        }
        // A repository of another kind is refused by the first chunk's transaction.
        let _ = context;
        Self { on: On::Sqlite(SqliteWriter::new(table)) }
    }

    /// Statements that create what is missing, run in the transaction of the first chunk, or at the end of an empty
    /// input.
    #[must_use]
    pub fn create(self, statements: impl Into<String>) -> Self {
        set!(self, writer => writer.create(statements))
    }

    /// The statements of [`create`](Self::create) for PostgreSQL, where it needs others; set after those.
    #[must_use]
    pub fn create_on_postgres(self, statements: impl Into<String>) -> Self {
        match self.on {
            #[cfg(feature = "postgres")]
            On::Postgres(writer) => Self { on: On::Postgres(writer.create(statements)) },
            on => {
                let _ = statements;
                Self { on }
            }
        }
    }

    /// A statement that removes what an earlier run has left, run in the transaction of the first chunk of a fresh
    /// start and never on a resume. Its parameters are `$1`, `$2` … on either database.
    #[must_use]
    pub fn replace<V: TableValue>(self, statement: impl Into<String>, parameters: impl IntoIterator<Item = V>) -> Self {
        let statement = statement.into();
        match self.on {
            On::Sqlite(writer) => Self { on: On::Sqlite(writer.replace(for_sqlite(&statement), parameters)) },
            #[cfg(feature = "postgres")]
            On::Postgres(writer) => Self { on: On::Postgres(writer.replace(statement, parameters)) },
        }
    }

    /// Rows replace those with the same key, over whose columns the table must have a unique index or its primary key;
    /// all other columns are updated. Of rows with the same key the last one wins.
    #[must_use]
    pub fn upsert<K: Into<String>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        set!(self, writer => writer.upsert(keys))
    }

    /// Rows update those with the same key. A key that no row has is an error of kind *constraint* that names it.
    #[must_use]
    pub fn update<K: Into<String>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        set!(self, writer => writer.update(keys))
    }

    /// Rows delete those with the same key; their other fields count for nothing. A key that no row has is an error of
    /// kind *constraint* that names it.
    #[must_use]
    pub fn delete<K: Into<String>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        set!(self, writer => writer.delete(keys))
    }
}

impl<T: Serialize + Send + Sync> ItemWriter<T> for TableWriter<T> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        ask!(&mut self.on, writer => writer.open(checkpoint).await)
    }

    async fn write(&mut self, outputs: &[T], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        ask!(&mut self.on, writer => writer.write(outputs, transaction).await)
    }

    fn encoder(&self) -> Option<Box<dyn OutputEncoder<T>>>
    where
        Self: 'static,
    {
        ask!(&self.on, writer => writer.encoder())
    }

    async fn write_encoded(
        &mut self,
        outputs: &EncodedOutputs,
        transaction: &mut dyn ChunkTransaction,
    ) -> Result<(), ItemError> {
        ask!(&mut self.on, writer => writer.write_encoded(outputs, transaction).await)
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        ask!(&mut self.on, writer => writer.flush().await)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        ask!(&mut self.on, writer => writer.sync().await)
    }

    fn can_roll_back(&self) -> bool {
        ask!(&self.on, writer => writer.can_roll_back())
    }

    fn save_interval(&self) -> Option<Duration> {
        ask!(&self.on, writer => writer.save_interval())
    }

    fn joins_transactions(&self) -> bool {
        ask!(&self.on, writer => writer.joins_transactions())
    }

    fn committed(&mut self) {
        ask!(&mut self.on, writer => writer.committed());
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        ask!(&mut self.on, writer => writer.rolled_back().await)
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        ask!(&mut self.on, writer => writer.finish(transaction).await)
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        ask!(&mut self.on, writer => writer.publish().await)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        ask!(&mut self.on, writer => writer.close().await)
    }
}

impl<T> std::fmt::Debug for TableWriter<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        ask!(&self.on, writer => writer.fmt(f))
    }
}
