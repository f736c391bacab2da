//! `SqliteWriter`: rows of any serde struct into a table of SQLite.

mod once;
mod other_file;
mod statement;
mod table_rows;

use std::marker::PhantomData;
use std::path::PathBuf;

use oxbatch_core::StepContext;
use oxbatch_core::item::{Checkpoint, ItemError, ItemWriter};
use oxbatch_core::repository::ChunkTransaction;
use rusqlite::Connection;
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};

use super::once::Ledger;
use crate::sqlite::SqliteChunkTransaction;
use other_file::OtherFile;
use statement::Mode;
use table_rows::TableRows;

/// Writes rows into a table of SQLite.
///
/// - [`new`](Self::new) writes to the repository's own database: **exactly once**. Rows, checkpoint and counters commit
///   together.
/// - [`to_file`](Self::to_file) writes to another file, whatever the repository is: **at least once**, since it commits
///   before the repository does; with [`exactly_once`](Self::exactly_once) the file keeps a checkpoint of its own.
///
/// Rows are inserted unless [`upsert`](Self::upsert), [`update`](Self::update) or [`delete`](Self::delete) says
/// otherwise. A row that the table refuses is an error of kind *constraint*, which a skip policy may go on without.
///
/// A row is a struct with [`Serialize`]; its fields are the columns of the same name. `None` becomes NULL; booleans 0
/// or 1; dates, unit variants and everything that serialises as text become text; bytes become a BLOB. Nested structs,
/// sequences, NaN and numbers outside of i64 are errors that name the field. A field that serde leaves out
/// (`skip_serializing_if`) is NULL. Foreign keys that are deferred are checked by the chunk's commit, where SQLite does
/// not name the row: under a skip policy the row is found by trials, which costs two writes of the chunk and some of
/// its parts.
///
/// ```
/// # use oxbatch::sqlite::SqliteWriter;
/// #[derive(serde::Serialize)]
/// struct Strike { id: i64, species: Option<String> }
///
/// let writer = SqliteWriter::<Strike>::new("strikes")
///     .create("CREATE TABLE IF NOT EXISTS strikes (id INTEGER PRIMARY KEY, species TEXT) STRICT");
/// ```
pub struct SqliteWriter<T> {
    target: Target,
    rows: TableRows,
    now: Progress,
    committed: Progress,
    outputs: PhantomData<fn(&T)>,
}

enum Target {
    Repository,
    File(OtherFile),
}

/// The state that is saved with each chunk.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Progress {
    /// `true` if the table was created and emptied.
    prepared: bool,
    /// Rows written.
    rows: u64,
}

impl<T> SqliteWriter<T> {
    /// Writes into `table` of the repository's own database, exactly once.
    pub fn new(table: impl Into<String>) -> Self {
        Self::build(Target::Repository, table.into())
    }

    /// Writes into `table` of another file, at least once: a restart writes again what the repository has not saved.
    /// After the death of the process that is one chunk at most, the one between the commits of the two databases; with
    /// [`commit_every`](oxbatch_core::step::ChunkStepBuilder::commit_every) it is those that waited for their save.
    /// After a loss of power it is all chunks that the repository had not made durable yet: each commit of this file
    /// waits for its disk, those of the repository wait for it at the ends of steps. A file that is missing is created.
    ///
    /// The file is locked for writing from a chunk's first row to its commit. The repository's own file is refused.
    pub fn to_file(path: impl Into<PathBuf>, table: impl Into<String>) -> Self {
        Self::build(Target::File(OtherFile::new(path.into())), table.into())
    }

    fn build(target: Target, table: String) -> Self {
        Self {
            target,
            rows: TableRows::new(table),
            now: Progress::default(),
            committed: Progress::default(),
            outputs: PhantomData,
        }
    }

    /// Writes to another file exactly once: each of its transactions updates a row of its table `oxbatch_checkpoint`,
    /// which is created when it is missing, and a restart leaves out the rows that are there already, also after a loss
    /// of power that has taken many chunks from the repository. It costs a fingerprint of each row, and a wait for the
    /// repository's disk every 16 chunks or 4,096 rows. The input must bring the same rows again after a restart, and
    /// the processor make the same of them: no time of day; when they do not, the step fails and says so. Each chunk is
    /// saved by itself, whatever `commit_every` says. In the repository's own database nothing is changed by it.
    ///
    /// The row of a run that is complete goes when the next run of the step begins; those of runs that were purged
    /// before are needed by nobody.
    #[must_use]
    pub fn exactly_once(mut self, context: &StepContext) -> Self {
        if let Target::File(file) = &mut self.target {
            file.exactly_once(context, &self.rows.name);
        }
        self
    }

    /// Rows replace those with the same key, over whose columns the table must have a unique index or its primary key;
    /// all other columns are updated. Of rows with the same key the last one wins.
    #[must_use]
    pub fn upsert<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rows.mode = Mode::Upsert { keys: keys.into_iter().map(Into::into).collect() };
        self
    }

    /// Rows update those with the same key. A key that no row has, or that more than one has, is an error of kind
    /// *constraint* that names it.
    #[must_use]
    pub fn update<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rows.mode = Mode::Update { keys: keys.into_iter().map(Into::into).collect() };
        self
    }

    /// Rows delete those with the same key; their other fields count for nothing. A key that no row has, or that more
    /// than one has, is an error of kind *constraint* that names it.
    #[must_use]
    pub fn delete<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rows.mode = Mode::Delete { keys: keys.into_iter().map(Into::into).collect() };
        self
    }

    /// Statements that create what is missing, run in the transaction of the first chunk, or at the end of an empty
    /// input: `CREATE TABLE IF NOT EXISTS …; CREATE INDEX IF NOT EXISTS …`.
    #[must_use]
    pub fn create(mut self, statements: impl Into<String>) -> Self {
        self.rows.create = Some(statements.into());
        self
    }

    /// A statement that removes what an earlier run has left, run in the transaction of the first chunk of a fresh
    /// start and never on a resume: `DELETE FROM strikes WHERE source = ?1`.
    #[must_use]
    pub fn replace<V: Into<Value>>(
        mut self,
        statement: impl Into<String>,
        parameters: impl IntoIterator<Item = V>,
    ) -> Self {
        self.rows.replace = Some((statement.into(), parameters.into_iter().map(Into::into).collect()));
        self
    }
}

impl<T> SqliteWriter<T> {
    /// The connection in the chunk's transaction, with the table created and emptied.
    async fn begin<'a>(
        &'a mut self,
        transaction: &'a mut dyn ChunkTransaction,
    ) -> Result<(&'a Connection, Option<&'a mut Ledger>, &'a mut TableRows), ItemError> {
        let (connection, ledger) = match &mut self.target {
            Target::Repository => {
                let connection: &Connection = SqliteChunkTransaction::of(transaction)?.connection().await?;
                (connection, None)
            }
            Target::File(file) => file.begin(transaction)?,
        };
        if !self.now.prepared {
            self.rows.prepare(connection)?;
            self.now.prepared = true;
        }
        Ok((connection, ledger, &mut self.rows))
    }

    /// Tries what another file's commit would do with the chunk so far, and undoes it.
    fn check(&mut self) -> Result<(), ItemError> {
        if let Target::File(file) = &mut self.target {
            file.check()?;
            self.now.prepared = self.committed.prepared;
        }
        Ok(())
    }
}

impl<T: Serialize + Send + Sync> ItemWriter<T> for SqliteWriter<T> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.committed = checkpoint.map(Checkpoint::read).transpose()?.unwrap_or_default();
        if let Target::File(file) = &mut self.target {
            let known = checkpoint.map(|_| self.committed.rows);
            // What an attempt before has committed there must not be removed as the rest of an earlier run.
            self.committed.prepared |= file.open(known).await?;
        }
        self.now = self.committed;
        Ok(())
    }

    async fn write(&mut self, outputs: &[T], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if let Target::File(file) = &mut self.target
            && file.is_durable_due(outputs.len())
        {
            transaction.make_next_durable();
        }
        let must_try = matches!(&self.target, Target::File(file) if file.must_try());
        let (connection, ledger, rows) = self.begin(transaction).await?;
        let wanted = match ledger {
            Some(ledger) => Some(ledger.begin(rows.fingerprints(outputs)?)?),
            None => None,
        };
        rows.write(connection, outputs, wanted.as_deref())?;
        if must_try {
            self.check()?;
            let (connection, _, rows) = self.begin(transaction).await?;
            rows.write(connection, outputs, wanted.as_deref())?;
        }
        self.now.rows = self.committed.rows + outputs.len() as u64;
        Ok(())
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        if let Target::File(file) = &mut self.target {
            file.commit(self.now.rows)?;
        }
        Checkpoint::new(&self.now).map(Some)
    }

    fn committed(&mut self) {
        self.committed = self.now;
        if let Target::File(file) = &mut self.target {
            file.committed();
        }
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        if let Target::File(file) = &mut self.target {
            self.committed.prepared |= file.rolled_back();
        }
        self.now = self.committed;
        Ok(())
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if !self.now.prepared {
            self.begin(transaction).await?;
        }
        match &self.target {
            Target::File(file) => file.finish(),
            Target::Repository => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        if let Target::File(file) = &mut self.target {
            file.close();
        }
        Ok(())
    }
}

impl<T> std::fmt::Debug for SqliteWriter<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteWriter").field("table", &self.rows.name).finish_non_exhaustive()
    }
}
