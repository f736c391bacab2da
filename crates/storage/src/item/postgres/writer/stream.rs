//! The rows of a chunk by COPY into the repository's own database, begun with the chunk and ended with its commit.

use futures_util::future::join;
use oxbatch_core::item::{EncodedOutputs, ItemError};
use oxbatch_core::repository::ChunkTransaction;
use serde::Serialize;
use tokio_postgres::Statement;

use super::{PostgresWriter, Target};
use crate::item::postgres::error::item_error;
use crate::item::postgres::send::{SendError, send_encoded};
use crate::postgres::{CopyStream, PostgresChunkTransaction};

impl<T> PostgresWriter<T> {
    /// True if nothing but the commit has to wait for the answer to so many rows.
    pub(super) fn streams(&self, rows: usize) -> bool {
        matches!(self.target, Target::Repository { .. }) && self.rows.streams(rows)
    }

    /// Sends rows, and leaves their COPY to the commit.
    pub(super) async fn stream(
        &mut self,
        outputs: &[T],
        transaction: &mut dyn ChunkTransaction,
    ) -> Result<(), ItemError>
    where
        T: Serialize,
    {
        let number = self.rows.number;
        loop {
            let running = PostgresChunkTransaction::of(transaction)?.take_copy(number);
            let statement = match &running {
                Some(_) => None,
                None => Some(self.copy_statement(transaction).await?),
            };
            let (own, purpose) = (PostgresChunkTransaction::of(transaction)?, self.rows.purpose());
            let mut messages =
                self.rows.messages(outputs, running.is_none()).map_err(|error| refused(&purpose, error))?;
            let opening = async {
                match (running, &statement) {
                    (None, Some(statement)) => own.start_copy(statement, &purpose).await,
                    (running, _) => Ok(running),
                }
            };
            let (opened, first) = join(opening, messages.first()).await;
            let first = first.map_err(|error| refused(&purpose, error))?;
            let Some(mut stream) = opened? else { continue };
            messages.send(&mut stream, first).await.map_err(|error| refused(&purpose, error))?;
            own.keep_copy(number, stream, purpose);
            return Ok(());
        }
    }

    /// Sends rows that are encoded, and leaves their COPY to the commit.
    pub(super) async fn stream_encoded(
        &mut self,
        outputs: &EncodedOutputs,
        transaction: &mut dyn ChunkTransaction,
    ) -> Result<(), ItemError> {
        let purpose = self.rows.purpose();
        let running = PostgresChunkTransaction::of(transaction)?.take_copy(self.rows.number);
        let is_new = running.is_none();
        let mut stream = match running {
            Some(stream) => stream,
            None => self.start_copy(&purpose, transaction).await?,
        };
        let sent = send_encoded(&mut stream, &outputs.bytes, is_new).await;
        sent.map_err(|error| item_error(&purpose, error))?;
        PostgresChunkTransaction::of(transaction)?.keep_copy(self.rows.number, stream, purpose);
        Ok(())
    }

    async fn start_copy(
        &mut self,
        purpose: &str,
        transaction: &mut dyn ChunkTransaction,
    ) -> Result<CopyStream, ItemError> {
        loop {
            let statement = self.copy_statement(transaction).await?;
            let own = PostgresChunkTransaction::of(transaction)?;
            if let Some(stream) = own.start_copy(&statement, purpose).await? {
                return Ok(stream);
            }
        }
    }

    /// The statement of the COPY: at hand, as a rule, so that the chunk begins together with it; otherwise in a chunk
    /// that has begun.
    async fn copy_statement(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<Statement, ItemError> {
        let own = PostgresChunkTransaction::of(transaction)?;
        if let Target::Repository { connection, .. } = &self.target
            && self.now.prepared
            && own.is_connected_as(*connection)
            && let Some(statement) = self.rows.known_copy()
        {
            return Ok(statement);
        }
        let purpose = self.rows.purpose();
        let chunk = self.begin(transaction).await?;
        chunk.rows.prepare_copy(chunk.client).await.map_err(|error| refused(&purpose, error))
    }
}

fn refused(purpose: &str, error: SendError) -> ItemError {
    match error {
        SendError::Row(error) => error,
        SendError::Server(error, _) => item_error(purpose, error),
    }
}
