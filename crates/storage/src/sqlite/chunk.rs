//! The transactions of a chunk step: the author's rows, the checkpoint and the counters commit together.

mod idle;

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use oxbatch_core::ItemError;
use oxbatch_core::execution::Counters;
use oxbatch_core::repository::{ChunkAck, ChunkSave, ChunkTransaction, RepositoryError, RepositoryFuture, StepFence};
use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use super::deferred::{check_deferred, is_deferred_violation};
use super::error::classify;
use super::open::{self, Durability};
use super::write_lock::WriteGuard;
use super::{Store, context};
pub(super) use idle::IdleConnections;

const SAVE: &str = "UPDATE oxbatch_step_execution
     SET state = ?4, progress = coalesce(?5, progress), read_count = ?6, write_count = ?7, filter_count = ?8,
         commit_count = ?9, rollback_count = ?10, read_skip_count = ?11, process_skip_count = ?12,
         write_skip_count = ?13, retry_count = ?14, control_totals = ?15
     WHERE id = ?1 AND lease_epoch = ?2 AND status = ?3";
/// The columns that change with each chunk, where nothing else has changed since the last one: measured 1.1 times as
/// fast.
const SAVE_PROGRESS: &str = "UPDATE oxbatch_step_execution
     SET state = ?4, progress = coalesce(?5, progress), read_count = ?6, write_count = ?7, filter_count = ?8,
         commit_count = ?9
     WHERE id = ?1 AND lease_epoch = ?2 AND status = ?3";

/// The statement before a save that waits for the disk: one that changes nothing would dirty no page, and SQLite would
/// write and sync nothing, so that the chunks before it could still be lost.
const DIRTY: &str = "UPDATE oxbatch_step_execution SET state = NULL WHERE id = ?1 AND lease_epoch = ?2";
const STATE: &str = "UPDATE oxbatch_step_execution SET state = ?3 WHERE id = ?1 AND lease_epoch = ?2";

const COMMIT: &str = "commit a chunk";
const FORCE: &str = "wait for the disk with a chunk that is committed";

/// The transaction of a chunk in the repository's own database.
///
/// A writer that writes through its [`connection`](Self::connection) is exactly once: its rows commit together with the
/// checkpoint, or not at all, also when this process has lost its lease without knowing it.
pub struct SqliteChunkTransaction {
    store: Arc<Store>,
    fence: StepFence,
    connection: Option<Connection>,
    /// The write lock, from the first write to the end of the transaction.
    write_lock: Option<WriteGuard>,
    /// An author had the connection in hand and may have changed its settings: nobody else gets it.
    lent: bool,
    /// The counters as the last save without control totals has left them; nobody else writes them.
    kept: Option<Counters>,
    /// The next commit waits for the disk.
    durable: bool,
    /// The commits of the connection wait for the disk, since one of them has to.
    waits_for_disk: bool,
    /// It ends the wait for the write lock.
    stop: CancellationToken,
}

impl Store {
    /// Opens one more connection for chunks, to the file that was opened first and to no other that has taken its path.
    fn open_writer(&self) -> rusqlite::Result<Connection> {
        let connection = open::writer(&self.path, Durability::Later)?;
        self.file.check(&self.path).map(|()| connection)
    }
}

impl SqliteChunkTransaction {
    pub(super) fn new(store: Arc<Store>, fence: StepFence) -> Self {
        Self {
            store,
            fence,
            connection: None,
            write_lock: None,
            lent: false,
            kept: None,
            durable: false,
            waits_for_disk: false,
            stop: CancellationToken::new(),
        }
    }

    /// The transaction that the engine hands to a writer, when the repository is a
    /// [`SqliteRepository`](crate::SqliteRepository).
    ///
    /// # Errors
    /// When the service keeps its executions in another repository.
    pub fn of(transaction: &mut dyn ChunkTransaction) -> Result<&mut Self, ItemError> {
        transaction.as_any_mut().downcast_mut().ok_or_else(|| {
            ItemError::other(
                "the step writes to the SQLite repository, but the service uses another repository; name a file",
            )
        })
    }

    /// Returns whether the transaction is one of this file, as [`resolve`](super::resolve) names it.
    pub(crate) fn is_of(&self, path: &Path) -> bool {
        self.store.path == path
    }

    /// The connection, inside of the chunk's transaction. The first call of a chunk waits for the write lock: no
    /// other step and no launch can write from then to the commit, so slow work belongs before it.
    ///
    /// Whoever commits or rolls back on the connection itself gives the guarantee up, and the chunk fails.
    ///
    /// # Errors
    /// When the database cannot be opened or stays locked by another process.
    pub async fn connection(&mut self) -> Result<&mut Connection, RepositoryError> {
        self.begin().await?;
        self.lent = true;
        self.connection.as_mut().ok_or_else(closed)
    }

    async fn begin(&mut self) -> Result<(), RepositoryError> {
        if self.write_lock.is_some() {
            return Ok(());
        }
        let (write_lock, connection) = self.lock_writes().await?;
        execute(connection, "BEGIN IMMEDIATE").map_err(|error| classify("begin a chunk", error))?;
        self.write_lock = Some(write_lock);
        Ok(())
    }

    /// Waits for the write lock, and has a connection whose commits wait for the disk as the next one has to.
    async fn lock_writes(&mut self) -> Result<(WriteGuard, &Connection), RepositoryError> {
        let write_lock = self.store.write_lock.take_unless(&self.stop).await?;
        let classified = |error| classify("begin a chunk", error);
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => match self.store.chunks.take() {
                Some(connection) => connection,
                None => self.store.open_writer().map_err(classified)?,
            },
        };
        let connection = self.connection.insert(connection);
        if self.durable && !self.waits_for_disk {
            open::set_durability(connection, Durability::EachCommit).map_err(classified)?;
            self.waits_for_disk = true;
        }
        Ok((write_lock, connection))
    }

    /// The transaction is over: what comes next need not wait for the disk, and others have the write lock.
    fn end(&mut self) {
        if self.waits_for_disk {
            self.waits_for_disk = false;
            let relaxed = self.connection.as_ref().map(|one| open::set_durability(one, Durability::Later));
            // No error of what was committed or undone, which is certain: the next one gets another connection.
            if let Some(Err(_)) = relaxed {
                self.connection = None;
            }
        }
        self.write_lock = None;
    }

    /// Saves and commits in the transaction that has begun.
    fn save(&self, save: &ChunkSave<'_>) -> Result<ChunkAck, RepositoryError> {
        let connection = self.connection.as_ref().ok_or_else(closed)?;
        let classified = |error| classify(COMMIT, error);
        if connection.is_autocommit() {
            let source = "the writer ended the chunk's transaction on its own";
            return Err(RepositoryError::Database { operation: COMMIT, source: source.into() });
        }
        if self.durable {
            self.dirty(connection).map_err(classified)?;
        }
        let ack = self.save_step(connection, save)?;
        if let Some(changes) = save.job_context {
            context::save(connection, self.fence.lease, changes).map_err(|error| error.into_repository(COMMIT))?;
        }
        if !save.skips.is_empty() {
            self.keep(connection, save).map_err(classified)?;
        }
        for id in save.rerun {
            let marked = connection
                .prepare_cached(
                    "UPDATE oxbatch_skipped_item SET rerun_execution_id = ?2
                     WHERE id = ?1 AND rerun_execution_id IS NULL",
                )
                .and_then(|mut statement| statement.execute(params![id, self.fence.lease.execution_id().0]))
                .map_err(classified)?;
            if marked == 0 {
                return Err(RepositoryError::SkipSettled { id: *id });
            }
        }
        execute(connection, "COMMIT").map_err(|error| refused(COMMIT, error))?;
        Ok(ack)
    }

    fn dirty(&self, connection: &Connection) -> rusqlite::Result<usize> {
        let StepFence { lease, step_id } = self.fence;
        connection.prepare_cached(DIRTY)?.execute(params![step_id.0, lease.epoch])
    }

    /// Waits for the disk with what was committed a moment ago: the transaction had begun before that was asked for,
    /// and how much a commit waits cannot be changed within one.
    fn force(&mut self, save: &ChunkSave<'_>) -> Result<(), RepositoryError> {
        let forced = self.connection.as_ref().map(|connection| {
            let StepFence { lease, step_id } = self.fence;
            open::set_durability(connection, Durability::EachCommit)?;
            execute(connection, "BEGIN IMMEDIATE")?;
            self.dirty(connection)?;
            connection.prepare_cached(STATE)?.execute(params![step_id.0, lease.epoch, save.state])?;
            execute(connection, "COMMIT")
        });
        self.waits_for_disk = true;
        match forced {
            Some(Ok(())) => Ok(()),
            // Nothing that passes: the chunk is committed, and must not be written again by this attempt.
            Some(Err(error)) => Err(RepositoryError::Database { operation: FORCE, source: error.into() }),
            None => Err(closed()),
        }
    }

    /// Saves where a writer has not used the transaction: the one statement commits itself, without a BEGIN and a
    /// COMMIT.
    async fn save_alone(&mut self, save: &ChunkSave<'_>) -> Result<ChunkAck, RepositoryError> {
        let (write_lock, _) = self.lock_writes().await?;
        self.write_lock = Some(write_lock);
        self.save_step(self.connection.as_ref().ok_or_else(closed)?, save)
    }

    /// Writes the step's row under its fence.
    fn save_step(&self, connection: &Connection, save: &ChunkSave<'_>) -> Result<ChunkAck, RepositoryError> {
        let save_if = |status| self.save_row(connection, save, status).map_err(|error| classify(COMMIT, error));
        // Which of the two running statuses it has is asked in this order: a RETURNING would cost every chunk, this
        // costs the last one of a step that is being stopped.
        if save_if("STARTED")? > 0 {
            return Ok(ChunkAck { stop_requested: false });
        }
        if save_if("STOPPING")? > 0 {
            return Ok(ChunkAck { stop_requested: true });
        }
        Err(RepositoryError::LeaseLost { id: self.fence.lease.execution_id() })
    }

    /// Writes the step's row, if it has the status. How many rows that were.
    fn save_row(&self, connection: &Connection, save: &ChunkSave<'_>, status: &str) -> rusqlite::Result<usize> {
        let (StepFence { lease, step_id }, counters) = (self.fence, save.counters);
        let Counters { read, write, filter, commit, .. } = *counters;
        let is_progress = |kept: Counters| Counters { read, write, filter, commit, ..kept } == *counters;
        if save.control_totals.is_none() && self.kept.is_some_and(is_progress) {
            return connection.prepare_cached(SAVE_PROGRESS)?.execute(params![
                step_id.0,
                lease.epoch,
                status,
                save.state,
                save.progress,
                read,
                write,
                filter,
                commit,
            ]);
        }
        connection.prepare_cached(SAVE)?.execute(params![
            step_id.0,
            lease.epoch,
            status,
            save.state,
            save.progress,
            read,
            write,
            filter,
            commit,
            counters.rollback,
            counters.read_skip,
            counters.process_skip,
            counters.write_skip,
            counters.retry,
            save.control_totals,
        ])
    }

    /// Keeps the skipped items of the chunk.
    fn keep(&self, connection: &Connection, save: &ChunkSave<'_>) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "INSERT INTO oxbatch_skipped_item (step_execution_id, create_time, phase, position, item, error,
                 complete) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let time = save.time.map(|time| time.as_microsecond());
        for skip in save.skips {
            let (step, phase) = (self.fence.step_id.0, skip.phase.as_str());
            statement.execute(params![step, time, phase, skip.position, skip.item, skip.error, skip.complete])?;
        }
        Ok(())
    }

    /// Undoes what has begun and releases the write lock.
    fn undo(&mut self) -> rusqlite::Result<()> {
        let result = match (&self.connection, &self.write_lock) {
            (Some(connection), Some(_)) if !connection.is_autocommit() => execute(connection, "ROLLBACK"),
            _ => Ok(()),
        };
        if result.is_err() {
            // Closing a connection undoes what it has begun.
            self.connection = None;
        }
        self.end();
        result
    }
}

fn execute(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// The error of a commit: one of the rows, where it checks what was deferred.
fn refused(operation: &'static str, error: rusqlite::Error) -> RepositoryError {
    if is_deferred_violation(&error) {
        return RepositoryError::RowsRefused { source: Box::new(error) };
    }
    classify(operation, error)
}

fn closed() -> RepositoryError {
    RepositoryError::Database { operation: COMMIT, source: "the connection is closed".into() }
}

impl ChunkTransaction for SqliteChunkTransaction {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn has_begun(&self) -> bool {
        self.write_lock.is_some()
    }

    fn end_waits_at(&mut self, stop: CancellationToken) {
        self.stop = stop;
    }

    fn make_next_durable(&mut self) {
        self.durable = true;
    }

    fn commit<'a>(&'a mut self, save: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck> {
        Box::pin(async move {
            let has_more =
                save.job_context.is_some() || !save.skips.is_empty() || !save.rerun.is_empty() || self.durable;
            let saved = if self.write_lock.is_some() || has_more {
                self.begin().await?;
                match self.save(&save) {
                    Ok(ack) if self.durable && !self.waits_for_disk => self.force(&save).map(|()| ack),
                    saved => saved,
                }
            } else {
                self.save_alone(&save).await
            };
            match saved {
                Ok(ack) => {
                    self.durable = false;
                    self.kept = save.control_totals.is_none().then_some(*save.counters);
                    self.end();
                    Ok(ack)
                }
                Err(error) => {
                    // The error of the save is the one that counts; an undo that fails closes the connection.
                    let _ = self.undo();
                    Err(error)
                }
            }
        })
    }

    fn check(&mut self) -> RepositoryFuture<'_, ()> {
        let checked = match (&mut self.connection, &self.write_lock) {
            (Some(connection), Some(_)) if !connection.is_autocommit() => check_deferred(connection),
            _ => Ok(()),
        };
        Box::pin(std::future::ready(checked.map_err(|error| refused("check a chunk", error))))
    }

    fn rollback(&mut self) -> RepositoryFuture<'_, ()> {
        let result = self.undo().map_err(|error| classify("roll a chunk back", error));
        Box::pin(std::future::ready(result))
    }
}

impl Drop for SqliteChunkTransaction {
    fn drop(&mut self) {
        let undone = self.undo();
        if let Some(connection) = self.connection.take()
            && undone.is_ok()
            && !self.lent
        {
            self.store.chunks.keep(connection);
        }
    }
}

impl std::fmt::Debug for SqliteChunkTransaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteChunkTransaction").field("fence", &self.fence).finish_non_exhaustive()
    }
}
