//! `PostgresWriter`: rows of any serde struct into a table of PostgreSQL.

mod chunk;
mod settings;
mod stream;

use std::marker::PhantomData;
use std::time::Duration;

use oxbatch_core::StepContext;
use oxbatch_core::item::{Checkpoint, EncodedOutputs, ItemError, ItemWriter, OutputEncoder};
use oxbatch_core::repository::ChunkTransaction;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::ToSql;

use super::database::{Database, Remote};
use super::once::Once;
use super::table_rows::{Located, TableRows};
use crate::item::once::EXACTLY_ONCE;
use crate::postgres::PostgresSettings;

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
///   Inserts of several chunks are one transaction, and one `COPY`, for [`SAVE_INTERVAL`](Self::SAVE_INTERVAL) at most,
///   where items are read and processed on other threads than the step's own; with
///   [`commit_every`](oxbatch_core::step::ChunkStepBuilder::commit_every) for as long as that says, and with zero each
///   chunk is one by itself.
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
    /// The longest time for which inserts into the repository's database wait for their commit, unless the step says
    /// otherwise.
    pub const SAVE_INTERVAL: Duration = Duration::from_millis(50);

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
        if self.streams(outputs.len()) {
            self.stream(outputs, transaction).await?;
            self.now.rows += outputs.len() as u64;
            return Ok(());
        }
        let written = self.begin(transaction).await?.write(outputs, Located::No).await;
        let refused = match written {
            Ok(()) => {
                self.now.rows += outputs.len() as u64;
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

    fn encoder(&self) -> Option<Box<dyn OutputEncoder<T>>>
    where
        Self: 'static,
    {
        // A target with a checkpoint of its own compares the rows.
        if let Target::Remote { once: Some(_), .. } = &self.target {
            return None;
        }
        self.rows.encoder().map(|encoder| Box::new(encoder) as Box<dyn OutputEncoder<T>>)
    }

    async fn write_encoded(
        &mut self,
        outputs: &EncodedOutputs,
        transaction: &mut dyn ChunkTransaction,
    ) -> Result<(), ItemError> {
        if self.streams(outputs.outputs) {
            self.stream_encoded(outputs, transaction).await?;
        } else {
            let chunk = self.begin(transaction).await?;
            chunk.rows.write_encoded(chunk.client, &outputs.bytes).await?;
        }
        self.now.rows += outputs.outputs as u64;
        Ok(())
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

    fn save_interval(&self) -> Option<Duration> {
        self.joins_transactions().then_some(Self::SAVE_INTERVAL)
    }

    fn joins_transactions(&self) -> bool {
        matches!(self.target, Target::Repository { .. }) && self.rows.are_inserted()
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
