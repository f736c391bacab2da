//! `PostgresWriter`: rows of any serde struct into a table of PostgreSQL.

use std::marker::PhantomData;

use oxbatch_core::StepContext;
use oxbatch_core::item::{Checkpoint, ItemError, ItemWriter};
use oxbatch_core::repository::ChunkTransaction;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::database::{Database, Remote, repository_error};
use super::error::item_error;
use super::once::Once;
use super::plan::Action;
use super::table_rows::{Located, TableRows, WriteError, WriteForm};
use crate::item::once::{EXACTLY_ONCE, Ledger, RunKey, fingerprint};
use crate::postgres::{PostgresChunkTransaction, PostgresSettings};

/// A value of a statement of the author's.
type Parameter = Box<dyn ToSql + Sync + Send>;

/// Writes rows into a table of PostgreSQL, chunk by chunk with `COPY` or with arrays, whichever is faster for its size.
///
/// A row is a struct with [`Serialize`]; its fields are the columns of the same name, and columns without a field get
/// their default. The table and its columns are checked before the first row is sent. Types:
///
/// | column | field |
/// |---|---|
/// | integers, floats | numbers that fit without loss, or their text |
/// | `numeric` | integers, floats as their shortest text, or text, of which no digit is lost: `rust_decimal`, `BigDecimal` |
/// | text types, enums, `citext` | text, unit variants, numbers as their text |
/// | `bool` | `bool`, or the text of one |
/// | `date`, `time`, `timestamp`, `timestamptz` | ISO 8601 text, as jiff, chrono and time serialise; no offset is UTC |
/// | `json`, `jsonb` | anything, as its JSON; JSON's `null` is NULL |
/// | `uuid` | its text, or 16 bytes |
/// | `bytea` | bytes, or a sequence of `u8` |
/// | arrays of these, of one dimension | sequences |
/// | any other type | text, which the server casts |
///
/// Domains are taken as what they are over. `None` is NULL. What does not fit is an error of kind *validation*, a
/// breach of a constraint one of kind *constraint*: both name the row and may be skipped. Deadlocks, serialization
/// failures, time-outs and lost connections are *transient*.
///
/// - [`new`](Self::new) writes to the repository's own database: **exactly once**. Rows, checkpoint and counters commit
///   together.
/// - [`to`](Self::to) writes to another database: **at least once**, since it commits before the repository does; with
///   [`exactly_once`](Self::exactly_once) the target keeps a checkpoint of its own.
///
/// ```
/// # fn build(context: &oxbatch::StepContext) {
/// use oxbatch::postgres::PostgresWriter;
///
/// #[derive(serde::Serialize)]
/// struct Strike { id: i64, species: Option<String>, cost: String }
///
/// let insert = PostgresWriter::<Strike>::new(context, "strikes");
/// let replace = PostgresWriter::<Strike>::new(context, "strikes").upsert(["id"]);
/// # }
/// ```
pub struct PostgresWriter<T> {
    target: Target,
    rows: TableRows,
    create: Option<String>,
    replace: Option<(String, Vec<Parameter>)>,
    now: Progress,
    committed: Progress,
    outputs: PhantomData<fn(&T)>,
}

enum Target {
    Repository {
        database: Database,
        /// Number of the connection on which statements were prepared.
        connection: u64,
    },
    Remote {
        remote: Remote,
        once: Option<Box<Checkpointed>>,
    },
}

struct Checkpointed {
    once: Once,
    context: StepContext,
}

/// The state that is saved with each chunk.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Progress {
    /// `true` if the table was created and emptied.
    prepared: bool,
    /// Rows written.
    rows: u64,
}

impl<T> PostgresWriter<T> {
    /// Writes into `table` of the repository's own database, exactly once: `strikes`, or with its schema
    /// `facts.strikes`, as the catalogue spells it.
    pub fn new(context: &StepContext, table: impl Into<String>) -> Self {
        Self::build(Target::Repository { database: Database::of(context), connection: 0 }, table.into())
    }

    /// Writes into `table` of another database, at least once: the chunk in hand is written again by a restart when the
    /// process dies between the commits of the two databases, and after a loss of power all chunks that the repository
    /// has forgotten, whose saves do not wait for the disk. Each commit waits for the target's disk, whatever the
    /// server's default.
    pub fn to(database: &PostgresSettings, table: impl Into<String>) -> Self {
        Self::build(Target::Remote { remote: Remote::new(database.clone()), once: None }, table.into())
    }

    fn build(target: Target, table: String) -> Self {
        Self {
            target,
            rows: TableRows::new(table),
            create: None,
            replace: None,
            now: Progress::default(),
            committed: Progress::default(),
            outputs: PhantomData,
        }
    }

    /// Writes to another database exactly once: each of its transactions updates a row of its table
    /// `oxbatch_checkpoint`, which is created when it is missing, and a restart leaves out the rows that are there
    /// already, also after a loss of power that has taken many chunks from the repository. It costs a fingerprint of
    /// each row, and a wait for the repository's disk every 16 chunks or 4,096 rows. The input must bring the same rows
    /// again after a restart, and the processor make the same of them: no time of day; when they do not, the step fails
    /// and says so. In the repository's own database nothing is changed by it.
    ///
    /// The row of a run that is complete goes when the next run of the step begins; those of runs that were purged
    /// before are needed by nobody.
    #[must_use]
    pub fn exactly_once(mut self, context: &StepContext) -> Self {
        if let Target::Remote { once, .. } = &mut self.target {
            let key = RunKey::new(context, self.rows.name.clone());
            *once = Some(Box::new(Checkpointed { once: Once::new(key), context: context.clone() }));
        }
        self
    }

    /// Rows replace those with the same key, over whose columns the table must have a unique index; all other columns
    /// are updated. Of rows with the same key within a chunk the last one wins.
    #[must_use]
    pub fn upsert<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rows.action = Action::Upsert { keys: names(keys), updates: None };
        self
    }

    /// As [`upsert`](Self::upsert), but of a row that is there only these columns are updated; without any, it is left
    /// as it is.
    #[must_use]
    pub fn upsert_only<K: Into<String>, C: Into<String>>(
        mut self,
        keys: impl IntoIterator<Item = K>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        self.rows.action = Action::Upsert { keys: names(keys), updates: Some(names(columns)) };
        self
    }

    /// Rows update those with the same key. A key that no row has is an error of kind *constraint* that names it. Of
    /// rows with the same key within a chunk the last one wins.
    #[must_use]
    pub fn update<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rows.action = Action::Update { keys: names(keys) };
        self
    }

    /// Rows delete those with the same key; their other fields count for nothing. A key that no row has is an error of
    /// kind *constraint* that names it.
    #[must_use]
    pub fn delete<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rows.action = Action::Delete { keys: names(keys) };
        self
    }

    /// Names the fields that are written; the others are left out. The columns are then checked when the step opens,
    /// and not with its first row.
    #[must_use]
    pub fn columns<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.rows.only = Some(names(columns));
        self
    }

    /// Sets the way in which rows are sent; [`WriteForm::Auto`] when it is not set. A form that cannot serve is
    /// replaced by one that can.
    #[must_use]
    pub fn form(mut self, form: WriteForm) -> Self {
        self.rows.form = form;
        self
    }

    /// Leaves constraints that are deferred to the commit of the chunk, for a step that keeps them by what another
    /// writer writes after this one; a breach fails the step then, whatever its skip policy says. Otherwise they are
    /// checked with the rows of each chunk, and a row that breaches one can be skipped.
    #[must_use]
    pub fn leave_deferred(mut self) -> Self {
        self.rows.leaves_deferred = true;
        self
    }

    /// Statements that create what is missing, run in the transaction of the first chunk, or at the end of an empty
    /// input: `CREATE TABLE IF NOT EXISTS …; CREATE INDEX IF NOT EXISTS …`.
    #[must_use]
    pub fn create(mut self, statements: impl Into<String>) -> Self {
        self.create = Some(statements.into());
        self
    }

    /// A statement that removes what an earlier run has left, run in the transaction of the first chunk of a fresh
    /// start and never on a resume: `DELETE FROM strikes WHERE source = $1`.
    #[must_use]
    pub fn replace<V: ToSql + Sync + Send + 'static>(
        mut self,
        statement: impl Into<String>,
        parameters: impl IntoIterator<Item = V>,
    ) -> Self {
        let parameters = parameters.into_iter().map(|value| Box::new(value) as Parameter).collect();
        self.replace = Some((statement.into(), parameters));
        self
    }
}

fn names<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Vec<String> {
    names.into_iter().map(Into::into).collect()
}

/// The parts that write a chunk.
struct Chunk<'a> {
    client: &'a Client,
    ledger: Option<&'a mut Ledger>,
    rows: &'a mut TableRows,
}

impl Chunk<'_> {
    async fn write<T: Serialize>(&mut self, outputs: &[T], located: Located) -> Result<(), WriteError> {
        let Some(first) = outputs.first() else { return Ok(()) };
        self.rows.plan(self.client, first).await?;
        let all = outputs.iter().enumerate();
        let Some(ledger) = &mut self.ledger else { return self.rows.write(self.client, all, located).await };
        let mut prints = Vec::with_capacity(outputs.len());
        self.rows.encoded(outputs, |row| prints.push(fingerprint(row)))?;
        let wanted = ledger.begin(prints)?;
        if wanted.iter().all(|wanted| *wanted) {
            return self.rows.write(self.client, all, located).await;
        }
        if wanted.iter().any(|wanted| *wanted) {
            let new = all.filter(|(index, _)| wanted[*index]);
            return self.rows.write(self.client, new, located).await;
        }
        Ok(())
    }
}

/// The lock under which a table is created, until the end of the chunk.
const LOCK_TABLE_NAME: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";

impl<T> PostgresWriter<T> {
    /// The connection in the chunk's transaction, with the table created and emptied.
    async fn begin<'a>(&'a mut self, transaction: &'a mut dyn ChunkTransaction) -> Result<Chunk<'a>, ItemError> {
        let (client, ledger) = match &mut self.target {
            Target::Repository { connection, .. } => {
                let transaction = PostgresChunkTransaction::of(transaction)?;
                transaction.client().await.map_err(repository_error)?;
                if transaction.connection_number() != *connection {
                    *connection = transaction.connection_number();
                    self.rows.forget_connection();
                }
                (transaction.client().await.map_err(repository_error)?, None)
            }
            Target::Remote { remote, once } => {
                let (client, is_new) = remote.connected().await?;
                if is_new {
                    self.rows.forget_connection();
                }
                if let Some(once) = once
                    && once.once.is_unsure()
                {
                    let repository = once.context.repository().as_ref();
                    let holds_rows = once.once.settle(client, repository, self.committed.rows).await?;
                    self.committed.prepared |= holds_rows;
                    self.now.prepared |= holds_rows;
                }
                (remote.begun().await?, once.as_mut().map(|once| &mut once.once.ledger))
            }
        };
        if !self.now.prepared {
            if let Some(create) = &self.create {
                let failed = |error| item_error(&format!("create table '{}'", self.rows.name), error);
                // IF NOT EXISTS does not see what another transaction is creating: of two at once the second would fail.
                client.execute(LOCK_TABLE_NAME, &[&self.rows.name]).await.map_err(failed)?;
                client.batch_execute(create).await.map_err(failed)?;
            }
            if let Some((statement, parameters)) = &self.replace {
                let values: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value.as_ref() as _).collect();
                let failed = |error| item_error(&format!("replace the rows of table '{}'", self.rows.name), error);
                client.execute(statement.as_str(), &values).await.map_err(failed)?;
            }
            self.now.prepared = true;
        }
        Ok(Chunk { client, ledger, rows: &mut self.rows })
    }

    /// Undoes what the chunk has done in its transaction so far.
    async fn undo(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        match &mut self.target {
            Target::Repository { .. } => transaction.rollback().await.map_err(repository_error)?,
            Target::Remote { remote, .. } => remote.roll_back().await,
        }
        self.now.prepared = self.committed.prepared;
        self.rows.forget_connection();
        Ok(())
    }
}

impl<T: Serialize + Send + Sync> ItemWriter<T> for PostgresWriter<T> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.committed = checkpoint.map(Checkpoint::read).transpose()?.unwrap_or_default();
        match &mut self.target {
            Target::Repository { database, .. } => {
                let client = database.connect("writes to").await?;
                // A table that the first chunk creates is checked there.
                if self.create.is_none() || self.committed.prepared {
                    self.rows.look_up(&client).await?;
                }
            }
            Target::Remote { remote, once } => {
                let (client, _) = remote.connected().await?;
                if self.create.is_none() || self.committed.prepared {
                    self.rows.look_up(client).await?;
                }
                if let Some(once) = once {
                    let known = checkpoint.map(|_| self.committed.rows);
                    let repository = once.context.repository().as_ref();
                    // What an attempt before has committed there must not be removed as the rest of an earlier run.
                    self.committed.prepared |= once.once.open(client, repository, known).await?;
                }
            }
        }
        self.now = self.committed;
        Ok(())
    }

    async fn write(&mut self, outputs: &[T], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if let Target::Remote { once: Some(once), .. } = &mut self.target
            && once.once.ledger.is_durable_due(outputs.len())
        {
            transaction.make_next_durable();
        }
        let written = self.begin(transaction).await?.write(outputs, Located::No).await;
        let refused = match written {
            Ok(()) => {
                self.now.rows = self.committed.rows + outputs.len() as u64;
                return Ok(());
            }
            Err(refused) if refused.another_attempt => refused,
            Err(refused) => return Err(refused.error),
        };
        // The chunk is void. Once more by COPY, whose error names the row; what comes of it is rolled back in any case.
        self.undo(transaction).await?;
        let again = self.begin(transaction).await?.write(outputs, Located::Yes).await;
        Err(match again {
            Err(again) if again.error.position().is_some() => again.error,
            _ => refused.error,
        })
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        if let Target::Remote { remote, once } = &mut self.target
            && let Some(client) = remote.in_transaction()
        {
            if let Some(once) = once {
                once.once.save(client).await?;
                // A change of the context: what the target knows is of one chunk, so the repository must save each.
                once.context.put(EXACTLY_ONCE, self.now.rows)?;
            }
            if let Some(once) = once {
                once.once.commit_sent();
            }
            remote.commit().await?;
            if let Some(once) = once {
                once.once.target_committed();
            }
        }
        Checkpoint::new(&self.now).map(Some)
    }

    fn committed(&mut self) {
        self.committed = self.now;
        if let Target::Remote { once: Some(once), .. } = &mut self.target {
            once.once.ledger.committed();
        }
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        if let Target::Remote { remote, once } = &mut self.target {
            remote.roll_back().await;
            if let Some(once) = once {
                self.committed.prepared |= once.once.rolled_back();
            }
        }
        self.now = self.committed;
        self.rows.forget_connection();
        Ok(())
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let is_unsure = matches!(&self.target, Target::Remote { once: Some(once), .. } if once.once.is_unsure());
        if !self.now.prepared || is_unsure {
            let chunk = self.begin(transaction).await?;
            if chunk.rows.table.is_none() {
                chunk.rows.look_up(chunk.client).await?;
            }
        }
        match &self.target {
            Target::Remote { once: Some(once), .. } => once.once.ledger.finish(),
            _ => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        if let Target::Remote { remote, .. } = &mut self.target {
            remote.close();
        }
        Ok(())
    }
}

impl<T> std::fmt::Debug for PostgresWriter<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresWriter").field("table", &self.rows.name).finish_non_exhaustive()
    }
}
