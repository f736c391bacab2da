//! The ways of the rows of a chunk to the server: COPY, arrays of whole columns, one statement for each row.

use std::error::Error as StdError;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::join;
use futures_util::poll;
use oxbatch_core::item::ItemError;
use serde::Serialize;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Statement};

use super::decode::take_value;
use super::encode::{Buffers, Slot};
use super::plan::Plan;
use crate::postgres::CopyStream;

/// Bytes of a message: large enough that their number does not count, small enough that the server works on one while
/// the next is encoded.
const MESSAGE: usize = 64 * 1024;

/// The error of a write.
pub(super) enum SendError {
    /// A row does not fit its columns; nothing of it has left.
    Row(ItemError),
    /// The server refused; the number of the row where only one was on the way.
    Server(Error, Option<usize>),
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        Self::Server(error, None)
    }
}

/// A value that is in the binary form already.
#[derive(Debug)]
pub(super) struct Raw(Option<Bytes>);

impl From<&[u8]> for Raw {
    fn from(value: &[u8]) -> Self {
        Self(Some(Bytes::copy_from_slice(value)))
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match &self.0 {
            Some(bytes) => {
                out.put_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

/// Rows with their places among the outputs of the chunk.
pub(super) trait Rows<T>: Iterator<Item = (usize, T)> + Clone {}
impl<T, I: Iterator<Item = (usize, T)> + Clone> Rows<T> for I {}

fn put_row(buffers: &mut Buffers, row: &impl Serialize, slots: &[Slot], index: usize) -> Result<(), SendError> {
    buffers
        .put_row(row, slots)
        .map_err(|error| SendError::Row(ItemError::validation(error).at(format!("row {} of the chunk", index + 1))))
}

/// The values that are NULL or follow their length in the row of a binary COPY.
fn values(row: &Bytes) -> Vec<Raw> {
    let mut rest: &[u8] = row;
    let mut values = Vec::new();
    while !rest.is_empty() {
        match take_value(&mut rest) {
            Some(value) => values.push(Raw(value.map(|value| row.slice_ref(value)))),
            None => break,
        }
    }
    values
}

/// Rows as the messages of a COPY.
pub(super) struct Messages<'a, R> {
    plan: &'a Plan,
    buffers: &'a mut Buffers,
    rows: R,
}

impl<'a, 'r, T: Serialize + 'r, R: Iterator<Item = (usize, &'r T)>> Messages<'a, R> {
    /// The messages for `rows`, which begin the COPY if it is `new`. The place of each row goes before its columns
    /// where the plan has a table in between.
    pub(super) fn new(plan: &'a Plan, buffers: &'a mut Buffers, rows: R, new: bool) -> Self {
        buffers.clear();
        if new {
            buffers.rows_mut().put_slice(CopyStream::HEADER);
        }
        Self { plan, buffers, rows }
    }

    /// The first of them, encoded while the server makes ready.
    pub(super) async fn first(&mut self) -> Result<Option<Bytes>, SendError> {
        // Lets the connection send the statement before.
        tokio::task::yield_now().await;
        self.next()
    }

    /// The next of them; none behind the last row.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, SendError> {
        let numbered = self.plan.staged.is_some();
        let width = self.plan.width + i16::from(numbered);
        for (index, row) in self.rows.by_ref() {
            let out = self.buffers.rows_mut();
            out.put_i16(width);
            if numbered {
                out.put_i32(8);
                out.put_u64(index as u64 + 1);
            }
            put_row(self.buffers, row, &self.plan.slots, index)?;
            if self.buffers.rows_mut().len() >= MESSAGE {
                break;
            }
        }
        let message = self.buffers.rows_mut().split().freeze();
        Ok(Some(message).filter(|message| !message.is_empty()))
    }

    /// Sends them, with the first of them first; the others are encoded while the server works on the last.
    pub(super) async fn send(&mut self, stream: &mut CopyStream, first: Option<Bytes>) -> Result<(), SendError> {
        let mut message = first;
        while let Some(bytes) = message {
            stream.feed(bytes).await?;
            message = self.next()?;
        }
        Ok(())
    }
}

/// Writes rows by COPY, and waits for its end.
pub(super) async fn copy<'r, T: Serialize + 'r>(
    client: &Client,
    statement: &Statement,
    plan: &Plan,
    buffers: &mut Buffers,
    rows: impl Rows<&'r T>,
) -> Result<(), SendError> {
    let mut messages = Messages::new(plan, buffers, rows, true);
    let (stream, first) = join(CopyStream::open(client, statement), messages.first()).await;
    let (first, mut stream) = (first?, stream?);
    messages.send(&mut stream, first).await?;
    Ok(stream.finish().await?)
}

/// Writes rows by COPY that are encoded already, and waits for its end.
pub(super) async fn copy_encoded(client: &Client, statement: &Statement, rows: &[u8]) -> Result<(), SendError> {
    let mut stream = CopyStream::open(client, statement).await?;
    send_encoded(&mut stream, rows, true).await?;
    Ok(stream.finish().await?)
}

/// Sends rows that are encoded already, which begin the COPY if it is `new`.
pub(super) async fn send_encoded(stream: &mut CopyStream, rows: &[u8], new: bool) -> Result<(), Error> {
    let mut pieces = rows.chunks(MESSAGE);
    let mut message = BytesMut::with_capacity(CopyStream::HEADER.len() + MESSAGE.min(rows.len()));
    if new {
        message.put_slice(CopyStream::HEADER);
    }
    message.put_slice(pieces.next().unwrap_or_default());
    stream.feed(message.freeze()).await?;
    for piece in pieces {
        stream.feed(Bytes::copy_from_slice(piece)).await?;
    }
    Ok(())
}

/// The columns of all rows as arrays, the values of one statement.
pub(super) async fn arrays<'r, T: Serialize + 'r>(
    client: &Client,
    statement: &Statement,
    plan: &Plan,
    buffers: &mut Buffers,
    rows: impl Rows<&'r T>,
) -> Result<Vec<tokio_postgres::Row>, SendError> {
    buffers.begin_arrays();
    let mut length = 0;
    for (index, row) in rows {
        put_row(buffers, row, &plan.slots, index)?;
        length += 1;
    }
    buffers.end_arrays(&plan.element_types, length).map_err(|error| SendError::Row(ItemError::validation(error)))?;
    let values: Vec<Raw> = buffers.parts_mut().iter_mut().map(|part| Raw(Some(part.split().freeze()))).collect();
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
    Ok(client.query(statement, &values).await?)
}

/// A statement for each row, all on their way before the first answer is waited for.
pub(super) async fn each<'r, T: Serialize + 'r>(
    client: &Client,
    statement: &Statement,
    plan: &Plan,
    buffers: &mut Buffers,
    rows: impl Rows<&'r T>,
) -> Result<(), SendError> {
    let mut sent = Vec::new();
    for (index, row) in rows {
        buffers.clear();
        put_row(buffers, row, &plan.slots, index)?;
        let values = values(&buffers.rows_mut().split().freeze());
        let mut execution = Box::pin(client.execute_raw(statement, values));
        // The first poll sends it.
        match poll!(&mut execution) {
            std::task::Poll::Ready(done) => drop(done.map_err(|error| SendError::Server(error, Some(index)))?),
            std::task::Poll::Pending => sent.push((index, execution)),
        }
    }
    for (index, execution) in sent {
        execution.await.map_err(|error| SendError::Server(error, Some(index)))?;
    }
    Ok(())
}
