//! The transactions of a chunk step: the author's rows, the checkpoint and the counters commit together.

mod more;

use std::any::Any;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join;
use oxbatch_core::ItemError;
use oxbatch_core::execution::Status;
use oxbatch_core::repository::{ChunkAck, ChunkSave, ChunkTransaction, RepositoryError, RepositoryFuture, StepFence};
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Statement};
use tokio_util::sync::CancellationToken;

use super::Store;
use super::connect::Purpose;
use super::error::{StoreError, is_lost};
use super::pool::Patience;
use super::rows;
use super::saves::SavesOfStep;
use more::save_more;

/// The one statement of a chunk. Without a row, which means that the lease is lost, it divides by zero: the COMMIT that
/// is on its way behind it undoes everything then, and no answer has to be waited for between the two.
const SAVE: &str = "WITH saved AS (
         UPDATE oxbatch_step_execution
         SET state = $4, progress = coalesce($5, progress), read_count = $6, write_count = $7, filter_count = $8,
             commit_count = $9, rollback_count = $10, read_skip_count = $11, process_skip_count = $12,
             write_skip_count = $13, retry_count = $14, control_totals = $15,
             revision = revision + 1
         WHERE id = $1 AND lease_epoch = $2 AND revision = $3 AND status IN ('STARTED', 'STOPPING')
         RETURNING status)
     SELECT min(status), 1 / count(*) FROM saved";
const MARK_RERUN: &str = "UPDATE oxbatch_skipped_item SET rerun_execution_id = $2
     WHERE id = ANY ($1) AND rerun_execution_id IS NULL RETURNING id";
const REVISION: &str = "SELECT revision FROM oxbatch_step_execution
     WHERE id = $1 AND lease_epoch = $2 AND status IN ('STARTED', 'STOPPING')";
/// Finds out whether a save whose answer was lost has been committed, and makes sure that it will not be later: one that
/// is still on its way finds another revision.
const SETTLE: &str = "UPDATE oxbatch_step_execution
     SET revision = CASE WHEN revision = $3 THEN revision + 2 ELSE revision END
     WHERE id = $1 AND lease_epoch = $2 RETURNING revision, status";

const COMMIT: &str = "commit a chunk";

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
    connection: Option<ChunkConnection>,
    /// Whether a transaction has begun. A chunk that only saves needs none: its one statement is its own.
    begun: bool,
    /// Connections opened so far.
    opened: u64,
    /// Whether something has failed through no error of its own since the last roll-back or commit.
    failing: bool,
    /// Whether what was rolled back last did.
    lost: bool,
    /// It is being found out what became of a save whose answer was lost.
    settling: bool,
    /// The next commit waits for the disk.
    durable: bool,
    /// How many saves the step's row has had, as far as this process knows.
    saves: SavesOfStep,
    /// It ends the waits for the database.
    stop: CancellationToken,
}

struct ChunkConnection {
    client: Client,
    save: Statement,
    _place: OwnedSemaphorePermit,
}

/// What a save came to.
enum Saved {
    Done(ChunkAck),
    LeaseLost,
}

impl PostgresChunkTransaction {
    pub(super) fn new(store: Arc<Store>, fence: StepFence) -> Self {
        let saves = store.saves.of(fence.step_id);
        Self {
            store,
            fence,
            connection: None,
            begun: false,
            failing: false,
            lost: false,
            settling: false,
            durable: false,
            saves,
            opened: 0,
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

    /// The connection, inside of the chunk's transaction, which begins with the first call of each chunk. Savepoints may
    /// be made on it.
    ///
    /// Whoever commits or rolls back on the connection itself gives the guarantee up.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn client(&mut self) -> Result<&Client, RepositoryError> {
        self.begin().await.map_err(|fault| fault.into_repository("begin a chunk"))?;
        match &self.connection {
            Some(connection) => Ok(&connection.client),
            None => Err(StoreError::NoAnswer.into_repository("begin a chunk")),
        }
    }

    /// Number of the connection in use: statements that were prepared on an earlier one are not known to it.
    pub(crate) fn connection_number(&self) -> u64 {
        self.opened
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        if self.begun {
            return Ok(());
        }
        let mut patience = Patience::unless(self.store.connections.deadline(), self.stop.clone());
        loop {
            let begun = match self.connected().await {
                Ok(connection) => connection.client.batch_execute("BEGIN").await.map_err(StoreError::from),
                Err(fault) => Err(fault),
            };
            match begun {
                Ok(()) => {
                    (self.begun, self.failing) = (true, false);
                    return Ok(());
                }
                // Nothing of the chunk is lost with a connection on which it has not begun.
                Err(fault) => {
                    self.connection = None;
                    if !fault.passes() || !patience.wait(&fault).await {
                        return Err(patience.ended_by(fault));
                    }
                }
            }
        }
    }

    /// The connection, opened when there is none.
    async fn connected(&mut self) -> Result<&ChunkConnection, StoreError> {
        // What has begun on a connection ends with it: on another one the checkpoint would be committed without its rows.
        if self.begun && self.connection.as_ref().is_none_or(|connection| connection.client.is_closed()) {
            return Err(StoreError::NoAnswer);
        }
        let usable = self.connection.take_if(|connection| connection.client.is_closed()).is_none();
        if usable && self.connection.is_some() {
            // Looked up twice: the borrow of an early return would last too long.
            return self.connection.as_ref().ok_or(StoreError::NoAnswer);
        }
        let place = self.store.connections.permit_for_step(&self.stop).await?;
        let (client, _) = self.store.connections.connector.connect(Purpose::Chunks(self.fence.lease)).await?;
        let fence = self.fence;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&fence.step_id.0, &fence.lease.epoch];
        let (save, row) = join(client.prepare(SAVE), client.query_opt(REVISION, &values)).await;
        let (save, row) = (save?, row?);
        let known = self.saves.get();
        match row.map(|row| row.try_get::<_, i64>(0)).transpose()? {
            // Without a row the lease is lost, which the next save finds out.
            None => {}
            Some(kept) if kept < known => {
                return Err(RepositoryError::ChunksLost { id: fence.lease.execution_id }.into());
            }
            // What may have been committed is never written again: whether it was is found out, or a restart goes on behind it.
            Some(kept) if kept > known && !self.settling => return Err(self.answer_lost()),
            Some(_) => {}
        }
        self.opened += 1;
        Ok(self.connection.insert(ChunkConnection { client, save, _place: place }))
    }

    /// Saves and commits; knows in the end whether it was done.
    async fn save(&mut self, save: &ChunkSave<'_>) -> Result<Saved, StoreError> {
        let mut patience = Patience::unless(self.store.connections.deadline(), self.stop.clone());
        loop {
            let is_alone = !self.begun;
            let fault = match self.try_save(save).await {
                Ok(saved) => return Ok(saved),
                Err(fault) => fault,
            };
            self.failing = fault.passes();
            if matches!(&fault, StoreError::Sql(error) if is_lost(error)) {
                self.begun = false;
                self.connection = None;
                self.settling = true;
                let settled = self.settle().await;
                self.settling = false;
                if let Some(saved) = settled? {
                    return Ok(saved);
                }
            }
            self.undo().await;
            // What only saves can be sent again; rows of a writer went with their connection, and the writer has to
            // write them again.
            if !is_alone || !fault.passes() {
                return Err(fault);
            }
            if !patience.wait(&fault).await {
                // It was waited for as long as one may: the chunk is not written again, which would wait as long once more.
                self.failing = false;
                return Err(patience.ended_by(fault));
            }
        }
    }

    /// What became of a save whose answer was lost: `None` when it was not committed and never will be.
    async fn settle(&mut self) -> Result<Option<Saved>, StoreError> {
        // Not even a stop ends it: a commit that may have been made must not be taken for none.
        let mut patience = Patience::until(self.store.connections.deadline());
        loop {
            match self.ask_what_became().await {
                Ok(became) => return Ok(became),
                Err(fault) => {
                    self.connection = None;
                    if !fault.passes() || !patience.wait(&fault).await {
                        return Err(fault);
                    }
                }
            }
        }
    }

    async fn ask_what_became(&mut self) -> Result<Option<Saved>, StoreError> {
        let (fence, before) = (self.fence, self.saves.get());
        let connection = self.connected().await?;
        let row = connection.client.query_opt(SETTLE, &[&fence.step_id.0, &fence.lease.epoch, &before]).await?;
        let Some(row) = row else { return Ok(Some(Saved::LeaseLost)) };
        let revision: i64 = row.try_get(0)?;
        let stop_requested = rows::status(&row, 1, fence.step_id.0)? != Status::Started;
        self.saves.set(revision);
        Ok((revision == before + 1).then_some(Saved::Done(ChunkAck { stop_requested })))
    }

    async fn try_save(&mut self, save: &ChunkSave<'_>) -> Result<Saved, StoreError> {
        let more = save.job_context.is_some() || !save.skips.is_empty() || !save.rerun.is_empty() || self.durable;
        if more {
            self.begin().await?;
        }
        if !save.rerun.is_empty() {
            self.mark_rerun(save.rerun).await?;
        }
        let fence = self.fence;
        let begun = self.begun;
        self.connected().await?;
        let Some(connection) = &self.connection else { return Err(StoreError::NoAnswer) };
        let (revision, durable) = (self.saves.get(), self.durable);
        let counters = save.counters;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 15] = [
            &fence.step_id.0,
            &fence.lease.epoch,
            &revision,
            &save.state,
            &save.progress,
            &counters.read,
            &counters.write,
            &counters.filter,
            &counters.commit,
            &counters.rollback,
            &counters.read_skip,
            &counters.process_skip,
            &counters.write_skip,
            &counters.retry,
            &save.control_totals,
        ];
        let saving = connection.client.query_one(&connection.save, &values);
        let saved = match (begun, more) {
            (false, _) => saving.await.map_err(StoreError::from),
            (true, false) => {
                // Sent together: a save that fails turns the COMMIT into a ROLLBACK.
                let (saved, committed) = join(saving, connection.client.batch_execute("COMMIT")).await;
                saved.and_then(|row| committed.map(|()| row)).map_err(StoreError::from)
            }
            (true, true) => save_more(&connection.client, fence, save, durable, saving).await,
        };
        match saved {
            Ok(row) => {
                (self.begun, self.durable) = (false, false);
                self.saves.set(revision + 1);
                let stop_requested = rows::status(&row, 0, fence.step_id.0)? == Status::Stopping;
                Ok(Saved::Done(ChunkAck { stop_requested }))
            }
            Err(StoreError::Sql(error)) if error.code() == Some(&SqlState::DIVISION_BY_ZERO) => self.refused().await,
            Err(fault) => Err(fault),
        }
    }

    /// Why a save was refused: the lease is lost, or another save that this process does not know of came before it.
    async fn refused(&mut self) -> Result<Saved, StoreError> {
        self.undo().await;
        let fence = self.fence;
        let connection = self.connected().await?;
        match connection.client.query_opt(REVISION, &[&fence.step_id.0, &fence.lease.epoch]).await? {
            Some(_) => Err(self.answer_lost()),
            None => Ok(Saved::LeaseLost),
        }
    }

    fn answer_lost(&self) -> StoreError {
        RepositoryError::CommitUnknown { id: self.fence.lease.execution_id }.into()
    }

    /// Marks kept items as run again; each of them once.
    async fn mark_rerun(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        let by = self.fence.lease.execution_id.0;
        let marked = self.connected().await?.client.query(MARK_RERUN, &[&ids, &by]).await?;
        let marked: Vec<i64> = marked.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        if marked.len() == ids.len() {
            return Ok(());
        }
        match ids.iter().find(|id| !marked.contains(id)) {
            Some(id) => Err(RepositoryError::SkipSettled { id: *id }.into()),
            None => Ok(()),
        }
    }

    /// Undoes what has begun. A connection on which that fails is closed, which undoes it too.
    async fn undo(&mut self) {
        if !self.begun {
            return;
        }
        self.begun = false;
        let undone = match &self.connection {
            Some(connection) => connection.client.batch_execute("ROLLBACK").await.is_ok(),
            None => true,
        };
        if !undone {
            (self.connection, self.failing) = (None, true);
        }
    }
}

impl ChunkTransaction for PostgresChunkTransaction {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn has_begun(&self) -> bool {
        self.begun
    }

    fn end_waits_at(&mut self, stop: CancellationToken) {
        self.stop = stop;
    }

    fn make_next_durable(&mut self) {
        self.durable = true;
    }

    fn was_lost(&self) -> bool {
        self.lost
    }

    fn commit<'a>(&'a mut self, save: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck> {
        async move {
            let saved = self.save(&save).await;
            match saved {
                Ok(Saved::Done(ack)) => {
                    self.failing = false;
                    Ok(ack)
                }
                Ok(Saved::LeaseLost) => {
                    self.undo().await;
                    Err(RepositoryError::LeaseLost { id: self.fence.lease.execution_id })
                }
                Err(fault) => Err(fault.into_repository(COMMIT)),
            }
        }
        .boxed()
    }

    fn rollback(&mut self) -> RepositoryFuture<'_, ()> {
        async move {
            self.undo().await;
            self.lost = std::mem::take(&mut self.failing);
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
