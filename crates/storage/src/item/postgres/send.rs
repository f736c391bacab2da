//! The ways of the rows of a chunk to the server: COPY, arrays of whole columns, one statement for each row.

use std::error::Error as StdError;
use std::pin::pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::join;
use futures_util::{SinkExt, poll};
use oxbatch_core::item::ItemError;
use serde::Serialize;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Statement};

use super::decode::take_value;
use super::encode::{Buffers, Slot};
use super::plan::Plan;

/// Bytes of a message: large enough that their number does not count, small enough that the server works on one while
/// the next is encoded.
const MESSAGE: usize = 64 * 1024;
/// Signature, flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;

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

/// Writes rows by COPY. The first message is encoded while the server makes ready, the others while it works on the
/// last. With `numbered`, the place of each row goes before its columns.
pub(super) async fn copy<'r, T: Serialize + 'r>(
    client: &Client,
    statement: &Statement,
    plan: &Plan,
    buffers: &mut Buffers,
    mut rows: impl Rows<&'r T>,
) -> Result<(), SendError> {
    buffers.clear();
    let numbered = plan.staged.is_some();
    let width = plan.width + i16::from(numbered);
    let mut encode = |buffers: &mut Buffers| -> Result<bool, SendError> {
        for (index, row) in rows.by_ref() {
            let out = buffers.rows_mut();
            out.put_i16(width);
            if numbered {
                out.put_i32(8);
                out.put_u64(index as u64 + 1);
            }
            put_row(buffers, row, &plan.slots, index)?;
            if buffers.rows_mut().len() >= MESSAGE {
                return Ok(true);
            }
        }
        Ok(false)
    };
    buffers.rows_mut().put_slice(HEADER);
    let first = async {
        // Lets the connection send the statement before.
        tokio::task::yield_now().await;
        encode(buffers)
    };
    let (sink, first) = join(client.copy_in::<_, Bytes>(statement), first).await;
    let mut more = first?;
    let mut sink = pin!(sink?);
    while more {
        let message = buffers.rows_mut().split().freeze();
        feed(&mut sink, message).await?;
        more = encode(buffers)?;
    }
    buffers.rows_mut().put_i16(TRAILER);
    let message = buffers.rows_mut().split().freeze();
    feed(&mut sink, message).await?;
    sink.finish().await?;
    Ok(())
}

/// Writes rows by COPY that are encoded already.
pub(super) async fn copy_encoded(client: &Client, statement: &Statement, rows: &[u8]) -> Result<(), SendError> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(statement).await?);
    let mut pieces = rows.chunks(MESSAGE);
    let mut message = BytesMut::with_capacity(HEADER.len() + MESSAGE.min(rows.len()));
    message.put_slice(HEADER);
    message.put_slice(pieces.next().unwrap_or_default());
    feed(&mut sink, message.freeze()).await?;
    for piece in pieces {
        feed(&mut sink, Bytes::copy_from_slice(piece)).await?;
    }
    feed(&mut sink, Bytes::copy_from_slice(&TRAILER.to_be_bytes())).await?;
    sink.finish().await?;
    Ok(())
}

type Sink<'a> = std::pin::Pin<&'a mut tokio_postgres::CopyInSink<Bytes>>;

/// Hands a message over. A sink that the server has closed has an answer that says why.
async fn feed(sink: &mut Sink<'_>, message: Bytes) -> Result<(), SendError> {
    match sink.feed(message).await {
        Ok(()) => Ok(()),
        Err(closed) => match sink.as_mut().finish().await {
            Err(error) if error.as_db_error().is_some() => Err(error.into()),
            _ => Err(closed.into()),
        },
    }
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
