//! The save of a chunk: one fenced statement, and what becomes of it when its answer is lost.

use futures_util::future::{OptionFuture, join3};
use oxbatch_core::execution::Status;
use oxbatch_core::repository::{ChunkAck, ChunkSave, RepositoryError};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::PostgresChunkTransaction;
use super::connection::{NewerSave, REVISION};
use super::copy::RunningCopy;
use super::more::save_more;
use crate::postgres::error::{ServerError, StoreError, rows_refused};
use crate::postgres::pool::Patience;
use crate::postgres::rows;

/// The one statement of a chunk. Without a row, which means that the lease is lost, it divides by zero: the COMMIT that
/// is on its way behind it undoes everything then, and no answer has to be waited for between the two.
pub(super) const SAVE: &str = "WITH saved AS (
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
/// Finds out whether a save whose answer was lost has been committed, and makes sure that it will not be later: one
/// that is still on its way finds another revision.
const SETTLE: &str = "UPDATE oxbatch_step_execution
     SET revision = CASE WHEN revision = $3 THEN revision + 2 ELSE revision END
     WHERE id = $1 AND lease_epoch = $2 RETURNING revision, status";

/// The result of a save.
pub(super) enum Saved {
    Done(ChunkAck),
    LeaseLost,
}

impl PostgresChunkTransaction {
    /// Saves and commits; knows in the end whether it was done.
    pub(super) async fn save(&mut self, save: &ChunkSave<'_>) -> Result<Saved, StoreError> {
        let mut patience = Patience::unless(self.store.connections.deadline(), self.stop.clone());
        loop {
            let is_alone = !self.phase.has_begun();
            let error = match self.try_save(save).await {
                Ok(saved) => return Ok(saved),
                Err(error) => error,
            };
            let answer_is_lost = error.is_lost();
            self.undo_after(&error, answer_is_lost).await;
            if answer_is_lost && let Some(saved) = self.saved_or_not().await? {
                return Ok(saved);
            }
            // What only saves can be sent again; rows of a writer went with their connection, and the writer has to
            // write them again.
            if !is_alone || !error.passes() {
                return Err(error);
            }
            if !patience.wait(&error).await {
                // It was waited for as long as one may: the chunk is not written again, which would wait as long once
                // more.
                self.phase.undo(false);
                return Err(patience.ended_by(error));
            }
        }
    }

    /// Undoes what a save that failed has begun.
    async fn undo_after(&mut self, error: &StoreError, answer_is_lost: bool) {
        if answer_is_lost {
            self.connection = None;
        }
        let is_undone = self.undo_begun().await;
        self.phase.undo(error.passes() || !is_undone);
    }

    async fn try_save(&mut self, save: &ChunkSave<'_>) -> Result<Saved, StoreError> {
        let more = save.job_context.is_some() || !save.skips.is_empty() || !save.rerun.is_empty() || self.durable;
        if more {
            self.begin().await?;
            self.end_copy().await?;
        }
        if !save.rerun.is_empty() {
            self.mark_rerun(save.rerun).await?;
        }
        let fence = self.fence;
        let begun = self.phase.has_begun();
        self.connected(NewerSave::Refused).await?;
        let copy = self.copy.take();
        let Some(connection) = &self.connection else { return Err(ServerError::NoAnswer.into()) };
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
            (true, false) => end_together(&connection.client, copy, saving).await,
            (true, true) => save_more(&connection.client, fence, save, durable, saving).await,
        };
        match saved {
            Ok(row) => {
                self.phase.commit();
                self.durable = false;
                self.saves.set(revision + 1);
                let stop_requested = rows::status(&row, 0, fence.step_id.0)? == Status::Stopping;
                Ok(Saved::Done(ChunkAck { stop_requested }))
            }
            Err(error) if error.of_server().and_then(|server| server.code()) == Some(&SqlState::DIVISION_BY_ZERO) => {
                self.refused().await
            }
            Err(error) => Err(error),
        }
    }

    /// Marks kept items as run again; each of them once.
    async fn mark_rerun(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        let by = self.fence.lease.execution_id().0;
        let connection = self.connected(NewerSave::Refused).await?;
        let marked = connection.client.query(MARK_RERUN, &[&ids, &by]).await?;
        let marked: Vec<i64> = marked.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        match ids.iter().find(|id| !marked.contains(id)) {
            Some(id) => Err(RepositoryError::SkipSettled { id: *id }.into()),
            None => Ok(()),
        }
    }

    /// Why a save was refused: the lease is lost, or another save that this process does not know of came before it.
    async fn refused(&mut self) -> Result<Saved, StoreError> {
        self.undo().await;
        let fence = self.fence;
        let connection = self.connected(NewerSave::Refused).await?;
        match connection.client.query_opt(REVISION, &[&fence.step_id.0, &fence.lease.epoch]).await? {
            Some(_) => Err(self.commit_unknown()),
            None => Ok(Saved::LeaseLost),
        }
    }

    /// The result of a save whose answer was lost: `None` when it was not committed and never will be.
    async fn saved_or_not(&mut self) -> Result<Option<Saved>, StoreError> {
        // Not even a stop ends it: a commit that may have been made must not be taken for none.
        let mut patience = Patience::until(self.store.connections.deadline());
        loop {
            match self.ask_what_became().await {
                Ok(became) => return Ok(became),
                Err(error) => {
                    self.connection = None;
                    if !error.passes() || !patience.wait(&error).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn ask_what_became(&mut self) -> Result<Option<Saved>, StoreError> {
        let (fence, before) = (self.fence, self.saves.get());
        let connection = self.connected(NewerSave::Expected).await?;
        let row = connection.client.query_opt(SETTLE, &[&fence.step_id.0, &fence.lease.epoch, &before]).await?;
        let Some(row) = row else { return Ok(Some(Saved::LeaseLost)) };
        let revision: i64 = row.try_get(0)?;
        let stop_requested = rows::status(&row, 1, fence.step_id.0)? != Status::Started;
        self.saves.set(revision);
        Ok((revision == before + 1).then_some(Saved::Done(ChunkAck { stop_requested })))
    }

    pub(super) fn commit_unknown(&self) -> StoreError {
        RepositoryError::CommitUnknown { id: self.fence.lease.execution_id() }.into()
    }
}

/// Sends the end of the rows, the save and the COMMIT together: rows or a save that fail turn the COMMIT into a
/// ROLLBACK.
async fn end_together(
    client: &Client,
    copy: Option<RunningCopy>,
    saving: impl Future<Output = Result<Row, tokio_postgres::Error>>,
) -> Result<Row, StoreError> {
    let ending = OptionFuture::from(copy.map(RunningCopy::finish));
    let (ended, saved, committed) = join3(ending, saving, client.batch_execute("COMMIT")).await;
    ended.transpose()?;
    let row = saved?;
    committed.map(|()| row).map_err(rows_refused)
}
