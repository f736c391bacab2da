//! The transactions of a chunk step: the author's rows, the checkpoint and the counters commit together.

mod connection;
mod copy;
mod more;
mod phase;
mod save;

use std::any::Any;
use std::sync::Arc;

use futures_util::FutureExt;
use oxbatch_core::ItemError;
use oxbatch_core::repository::{ChunkAck, ChunkSave, ChunkTransaction, RepositoryError, RepositoryFuture, StepFence};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::Store;
use super::error::{ServerError, StoreError, rows_refused};
use super::pool::Patience;
use super::saves::SavesOfStep;
use crate::error::DatabaseError;
use connection::{ChunkConnection, NewerSave};
pub(crate) use copy::CopyStream;
use copy::RunningCopy;
use phase::Phase;
use save::Saved;

const BEGIN: &str = "begin a chunk";
const COMMIT: &str = "commit a chunk";
const CHECK: &str = "check a chunk";
const WRITE: &str = "write a chunk";

/// The transaction of a chunk in the repository's own database.
///
/// A writer that writes through its [`client`](Self::client) is exactly once: its rows commit together with the
/// checkpoint, or not at all, also when this process has lost its lease without knowing it.
///
/// Its connection is opened by its first use, lives on the runtime of the step's thread, where no statement has to
/// change threads, and is closed with the step.
pub struct PostgresChunkTransaction {
    store: Arc<Store>,
    fence: StepFence,
    phase: Phase,
    connection: Option<ChunkConnection>,
    /// The rows of a writer that are on their way in what has begun.
    copy: Option<RunningCopy>,
    /// Connections opened so far.
    opened: u64,
    /// The next commit waits for the disk.
    durable: bool,
    /// The number of saves that the step's row has had, as far as this process knows.
    saves: SavesOfStep,
    /// It ends the waits for the database.
    stop: CancellationToken,
}

impl PostgresChunkTransaction {
    pub(super) fn new(store: Arc<Store>, fence: StepFence) -> Self {
        let saves = store.saves.of(fence.step_id);
        Self {
            store,
            fence,
            phase: Phase::default(),
            connection: None,
            copy: None,
            opened: 0,
            durable: false,
            saves,
            stop: CancellationToken::new(),
        }
    }

    /// The transaction that the engine hands to a writer, when the repository is a
    /// [`PostgresRepository`](crate::PostgresRepository).
    ///
    /// # Errors
    /// When the service keeps its executions in another repository.
    pub fn of(transaction: &mut dyn ChunkTransaction) -> Result<&mut Self, ItemError> {
        transaction.as_any_mut().downcast_mut().ok_or_else(|| {
            ItemError::other("the step writes to the PostgreSQL repository, but the service uses another repository")
        })
    }

    /// The connection, inside of the chunk's transaction, which begins with the first call of each chunk. Savepoints
    /// may be made on it.
    ///
    /// Whoever commits or rolls back on the connection itself gives the guarantee up.
    ///
    /// # Errors
    /// When the database cannot be reached, or has refused rows that a writer has sent before.
    pub async fn client(&mut self) -> Result<&Client, RepositoryError> {
        self.end_copy().await.map_err(|error| error.into_repository(WRITE))?;
        self.begin().await.map_err(|error| error.into_repository(BEGIN))?;
        match &self.connection {
            Some(connection) => Ok(&connection.client),
            None => Err(ServerError::NoAnswer.into_repository(BEGIN)),
        }
    }

    /// Number of the connection in use: statements that were prepared on an earlier one are not known to it.
    pub(crate) fn connection_number(&self) -> u64 {
        self.opened
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        if self.phase.has_begun() {
            return Ok(());
        }
        let mut patience = Patience::unless(self.store.connections.deadline(), self.stop.clone());
        loop {
            let begun = match self.connected(NewerSave::Refused).await {
                Ok(connection) => connection.client.batch_execute("BEGIN").await.map_err(StoreError::from),
                Err(error) => Err(error),
            };
            match begun {
                Ok(()) => {
                    self.phase.begin();
                    return Ok(());
                }
                // Nothing of the chunk is lost with a connection on which it has not begun.
                Err(error) => {
                    self.connection = None;
                    if !error.passes() || !patience.wait(&error).await {
                        return Err(patience.ended_by(error));
                    }
                }
            }
        }
    }

    /// Undoes what has begun.
    async fn undo(&mut self) {
        if self.phase.has_begun() {
            let is_undone = self.undo_begun().await;
            self.phase.undo(!is_undone);
        }
    }

    /// Rolls back on the connection; one on which that fails is closed, which undoes it too. The answer is whether it
    /// lives.
    async fn undo_begun(&mut self) -> bool {
        self.copy = None;
        if let (true, Some(connection)) = (self.phase.has_begun(), &self.connection)
            && connection.client.batch_execute("ROLLBACK").await.is_err()
        {
            self.connection = None;
            return false;
        }
        true
    }
}

impl ChunkTransaction for PostgresChunkTransaction {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn has_begun(&self) -> bool {
        self.phase.has_begun()
    }

    fn end_waits_at(&mut self, stop: CancellationToken) {
        self.stop = stop;
    }

    fn make_next_durable(&mut self) {
        self.durable = true;
    }

    fn was_lost(&self) -> bool {
        self.phase.was_lost()
    }

    fn settle(&mut self) -> RepositoryFuture<'_, ()> {
        async move { self.end_copy().await.map_err(|error| error.into_repository(WRITE)) }.boxed()
    }

    fn check(&mut self) -> RepositoryFuture<'_, ()> {
        async move {
            self.settle().await?;
            let (true, Some(connection)) = (self.phase.has_begun(), &self.connection) else { return Ok(()) };
            let checked = connection.client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await;
            checked.map_err(|error| rows_refused(error).into_repository(CHECK))
        }
        .boxed()
    }

    fn commit<'a>(&'a mut self, save: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck> {
        async move {
            match self.save(&save).await {
                Ok(Saved::Done(ack)) => {
                    self.phase.commit();
                    Ok(ack)
                }
                Ok(Saved::LeaseLost) => {
                    self.undo().await;
                    // It is no error that passes, whatever was found out on the way to it.
                    self.phase.undo(false);
                    Err(RepositoryError::LeaseLost { id: self.fence.lease.execution_id() })
                }
                Err(error) => Err(error.into_repository(COMMIT)),
            }
        }
        .boxed()
    }

    fn rollback(&mut self) -> RepositoryFuture<'_, ()> {
        async move {
            self.undo().await;
            self.phase.roll_back();
            Ok(())
        }
        .boxed()
    }
}

impl std::fmt::Debug for PostgresChunkTransaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresChunkTransaction").field("fence", &self.fence).finish_non_exhaustive()
    }
}
