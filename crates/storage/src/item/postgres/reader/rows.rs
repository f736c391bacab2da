//! The rows that a reader fetches: those of a query, and those of a binary COPY.

use bytes::Bytes;
use oxbatch_core::item::ItemError;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::item::postgres::decode::{Wire, take_value};

/// Signature, flags, length of the extension.
pub(super) const COPY_HEADER: usize = 19;

/// The bytes of a column, whatever its type.
struct RawColumn<'a>(&'a [u8]);

impl<'a> FromSql<'a> for RawColumn<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(bytes))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Wire for Row {
    #[inline]
    fn value(&self, number: usize) -> Option<&[u8]> {
        self.try_get::<_, Option<RawColumn<'_>>>(number).ok().flatten().map(|column| column.0)
    }
}

/// A row of a binary COPY.
pub(super) struct Tuple {
    message: Bytes,
    /// Start and length of each value; none for NULL.
    values: Vec<Option<(usize, usize)>>,
}

impl Tuple {
    /// `None` for the trailer.
    pub(super) fn of(message: Bytes, columns: usize) -> Option<Result<Self, ItemError>> {
        let damaged = || ItemError::other("the server has sent a damaged row");
        let (count, mut rest) = message.split_first_chunk::<2>()?;
        let count = i16::from_be_bytes(*count);
        if count < 0 {
            return None;
        }
        if usize::try_from(count) != Ok(columns) {
            return Some(Err(damaged()));
        }
        let mut values = Vec::with_capacity(columns);
        for _ in 0..columns {
            let Some(value) = take_value(&mut rest) else { return Some(Err(damaged())) };
            values.push(value.map(|value| (message.len() - rest.len() - value.len(), value.len())));
        }
        Some(Ok(Self { message, values }))
    }
}

impl Wire for Tuple {
    #[inline]
    fn value(&self, number: usize) -> Option<&[u8]> {
        let (start, length) = (*self.values.get(number)?)?;
        self.message.get(start..start + length)
    }
}
