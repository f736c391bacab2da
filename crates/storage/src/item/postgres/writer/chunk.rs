//! The transaction of a chunk in the target: its begin, its rows, its end without them.

use oxbatch_core::item::ItemError;
use oxbatch_core::repository::{ChunkTransaction, RepositoryError};
use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::{PostgresWriter, Target};
use crate::item::once::{Ledger, fingerprint};
use crate::item::postgres::error::item_error;
use crate::item::postgres::table_rows::{Located, TableRows, WriteError};
use crate::postgres::PostgresChunkTransaction;

/// The parts that write a chunk.
pub(super) struct Chunk<'a> {
    pub(super) client: &'a Client,
    ledger: Option<&'a mut Ledger>,
    pub(super) rows: &'a mut TableRows,
}

impl Chunk<'_> {
    pub(super) async fn write<T: Serialize>(&mut self, outputs: &[T], located: Located) -> Result<(), WriteError> {
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
    pub(super) async fn begin<'a>(
        &'a mut self,
        transaction: &'a mut dyn ChunkTransaction,
    ) -> Result<Chunk<'a>, ItemError> {
        let (client, ledger) = match &mut self.target {
            Target::Repository { connection, .. } => {
                let transaction = PostgresChunkTransaction::of(transaction)?;
                transaction.client().await.map_err(RepositoryError::into_item_error)?;
                if transaction.connection_number() != *connection {
                    *connection = transaction.connection_number();
                    self.rows.forget_connection();
                }
                (transaction.client().await.map_err(RepositoryError::into_item_error)?, None)
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
                    let holds_rows = once.once.resolve(client, repository, self.committed.rows).await?;
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
    pub(super) async fn undo(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        match &mut self.target {
            Target::Repository { .. } => transaction.rollback().await.map_err(RepositoryError::into_item_error)?,
            Target::Remote { remote, .. } => remote.roll_back().await,
        }
        self.now.prepared = self.committed.prepared;
        self.rows.forget_connection();
        Ok(())
    }
}
