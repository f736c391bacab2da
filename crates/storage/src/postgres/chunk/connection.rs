//! The connection of a step's chunks, and the check that the server has kept what it has acknowledged.

use futures_util::future::join;
use oxbatch_core::repository::RepositoryError;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::{Client, Statement};

use super::PostgresChunkTransaction;
use super::save::SAVE;
use crate::postgres::connect::Purpose;
use crate::postgres::error::{ServerError, StoreError};

/// The number of saves that the step's row has had.
pub(super) const REVISION: &str = "SELECT revision FROM oxbatch_step_execution
     WHERE id = $1 AND lease_epoch = $2 AND status IN ('STARTED', 'STOPPING')";

/// A connection with the one statement of a chunk.
pub(super) struct ChunkConnection {
    pub(super) client: Client,
    pub(super) save: Statement,
    _permit: OwnedSemaphorePermit,
}

/// A save that the server has and this process does not know to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewerSave {
    /// It is an error: a chunk that may have been committed is never written again, and a restart goes on behind it.
    Refused,
    /// It is being found out what became of it.
    Expected,
}

impl PostgresChunkTransaction {
    /// The connection, opened when there is none.
    pub(super) async fn connected(&mut self, newer: NewerSave) -> Result<&ChunkConnection, StoreError> {
        // What has begun on a connection ends with it: on another one the checkpoint would be committed without its
        // rows.
        if self.phase.has_begun() && self.connection.as_ref().is_none_or(|connection| connection.client.is_closed()) {
            return Err(ServerError::NoAnswer.into());
        }
        let usable = self.connection.take_if(|connection| connection.client.is_closed()).is_none();
        if usable && self.connection.is_some() {
            // Looked up twice: the borrow of an early return would last too long.
            return self.connection.as_ref().ok_or(ServerError::NoAnswer.into());
        }
        let permit = self.store.connections.permit_for_step(&self.stop).await?;
        let (client, _) = self.store.connections.connector.connect(Purpose::Chunks(self.fence.lease)).await?;
        let fence = self.fence;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&fence.step_id.0, &fence.lease.epoch];
        let (save, row) = join(client.prepare(SAVE), client.query_opt(REVISION, &values)).await;
        let (save, row) = (save?, row?);
        // Without a row the lease is lost, which the next save finds out.
        if let Some(kept) = row.map(|row| row.try_get(0)).transpose()? {
            self.check_kept(kept, newer)?;
        }
        self.opened += 1;
        Ok(self.connection.insert(ChunkConnection { client, save, _permit: permit }))
    }

    /// Compares the saves that the server has with those that this process knows of.
    fn check_kept(&self, kept: i64, newer: NewerSave) -> Result<(), StoreError> {
        let known = self.saves.get();
        match kept {
            _ if kept < known => Err(RepositoryError::ChunksLost { id: self.fence.lease.execution_id() }.into()),
            _ if kept > known && newer == NewerSave::Refused => Err(self.commit_unknown()),
            _ => Ok(()),
        }
    }
}
