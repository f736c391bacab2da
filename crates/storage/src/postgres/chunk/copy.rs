//! Rows on their way into a table in the transaction of a chunk: a COPY whose answer comes with that of the commit.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::SinkExt;
use futures_util::future::join;
use oxbatch_core::item::ItemError;
use oxbatch_core::repository::RepositoryError;
use tokio_postgres::{Client, CopyInSink, Error, Statement};

use super::{BEGIN, PostgresChunkTransaction, WRITE};
use crate::item::item_error;
use crate::postgres::error::StoreError;

/// The end of the rows in the binary form of COPY.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// A COPY of rows in the binary form. Its drop undoes it.
pub(crate) struct CopyStream {
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

impl CopyStream {
    /// Signature, flags, no extension: what comes before the first row.
    pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

    /// Starts it, and waits until the server takes rows.
    pub(crate) async fn open(client: &Client, statement: &Statement) -> Result<Self, Error> {
        Ok(Self { sink: Box::pin(client.copy_in(statement).await?) })
    }

    /// Hands a message over. A stream that the server has closed has an answer that says why.
    pub(crate) async fn feed(&mut self, message: Bytes) -> Result<(), Error> {
        match self.sink.feed(message).await {
            Ok(()) => Ok(()),
            Err(closed) => match self.sink.as_mut().finish().await {
                Err(error) if error.as_db_error().is_some() => Err(error),
                _ => Err(closed),
            },
        }
    }

    /// Ends it, and waits for the answer. What is sent after its first poll comes behind it.
    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        self.feed(Bytes::from_static(&TRAILER)).await?;
        self.sink.as_mut().finish().await.map(|_| ())
    }
}

/// A COPY of a writer that goes on.
pub(super) struct RunningCopy {
    stream: CopyStream,
    /// The writer's number.
    writer: u64,
    /// As it reads behind "failed to".
    purpose: String,
}

impl RunningCopy {
    /// Ends it; an error of its rows is one of the write.
    pub(super) async fn finish(self) -> Result<(), StoreError> {
        let Self { stream, purpose, .. } = self;
        let Err(error) = stream.finish().await else { return Ok(()) };
        let error = StoreError::from(error);
        match error {
            error if error.is_lost() => Err(error),
            error => match error.into_sql() {
                Ok(error) => Err(RepositoryError::WriteFailed { error: Box::new(item_error(&purpose, error)) }.into()),
                Err(error) => Err(error),
            },
        }
    }
}

impl PostgresChunkTransaction {
    /// True if statements that were prepared on this connection are known to the one in use.
    pub(crate) fn is_connected_as(&self, number: u64) -> bool {
        self.opened == number && self.connection.as_ref().is_some_and(|connection| !connection.client.is_closed())
    }

    /// The COPY of a writer that goes on, to be kept again when it has taken further rows.
    pub(crate) fn take_copy(&mut self, writer: u64) -> Option<CopyStream> {
        self.copy.take_if(|copy| copy.writer == writer).map(|copy| copy.stream)
    }

    /// Leaves a COPY to be ended before whatever is next asked of the connection, together with it in a commit.
    pub(crate) fn keep_copy(&mut self, writer: u64, stream: CopyStream, purpose: String) {
        self.copy = Some(RunningCopy { stream, writer, purpose });
    }

    /// Starts a COPY by a statement of the connection in use, with the begin of the chunk before it where that has not
    /// begun. `None` when the connection is gone, and nothing with it.
    ///
    /// Rows cannot be sent before the answer: the driver has nothing to send them by until then.
    pub(crate) async fn start_copy(
        &mut self,
        statement: &Statement,
        purpose: &str,
    ) -> Result<Option<CopyStream>, ItemError> {
        self.end_copy().await.map_err(|error| error.into_repository(WRITE).into_item_error())?;
        let Some(connection) = &self.connection else { return Ok(None) };
        let opening = CopyStream::open(&connection.client, statement);
        let opened = if self.phase.has_begun() {
            opening.await
        } else {
            // A COPY whose begin has failed is never ended, so it cannot commit by itself.
            let (begun, opened) = join(connection.client.batch_execute("BEGIN"), opening).await;
            match begun.map_err(StoreError::from) {
                Ok(()) => self.phase.begin(),
                Err(error) if error.passes() => {
                    self.connection = None;
                    return Ok(None);
                }
                Err(error) => return Err(error.into_repository(BEGIN).into_item_error()),
            }
            opened
        };
        opened.map(Some).map_err(|error| item_error(purpose, error))
    }

    /// Ends the COPY that goes on, and waits for its answer.
    pub(super) async fn end_copy(&mut self) -> Result<(), StoreError> {
        match self.copy.take() {
            Some(copy) => copy.finish().await,
            None => Ok(()),
        }
    }
}
