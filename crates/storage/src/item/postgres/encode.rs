//! From the fields of a serde struct to the binary form of PostgreSQL's columns, without a value in between.

mod array;
mod kinds;
mod scalar;
mod value;
mod wire;

use bytes::{BufMut, BytesMut};
use oxbatch_core::item::{FiniteJson, write_json};
use serde::ser::Serialize;

use self::array::ArraySerializer;
pub(super) use self::scalar::text_value;
use self::value::ValueSerializer;
use self::wire::{ARRAY_HEADER, begin, end, put_null, write_array_header};
use super::kind::{Kind, Scalar};
use crate::item::row::{Fields, RowError, RowSerializer};

/// A column that a field of the row goes to.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    /// None for a field that goes nowhere.
    pub(super) kind: Option<Kind>,
    /// The type as the catalogue names it, for messages.
    pub(super) type_name: String,
}

/// The encoded values, in buffers that are used again for each chunk: one after the other, or each column by itself.
#[derive(Debug)]
pub(super) struct Buffers {
    parts: Vec<BytesMut>,
    by_column: bool,
    scratch: String,
}

impl Buffers {
    /// One buffer for rows: the tuples of a binary COPY.
    pub(super) fn rows() -> Self {
        Self { parts: vec![BytesMut::new()], by_column: false, scratch: String::new() }
    }

    /// A buffer for each column: the elements of an array.
    pub(super) fn columns(count: usize) -> Self {
        Self { parts: vec![BytesMut::new(); count], by_column: true, scratch: String::new() }
    }

    pub(super) fn clear(&mut self) {
        self.parts.iter_mut().for_each(BytesMut::clear);
    }

    /// The buffer of the rows.
    pub(super) fn rows_mut(&mut self) -> &mut BytesMut {
        &mut self.parts[0]
    }

    pub(super) fn parts_mut(&mut self) -> &mut [BytesMut] {
        &mut self.parts
    }

    /// Encodes the fields of a row in the order of the slots.
    ///
    /// # Errors
    /// Names the field that does not fit its column, and its value.
    pub(super) fn put_row(&mut self, row: &impl Serialize, slots: &[Slot]) -> Result<(), RowError> {
        let mut encoding = Encoding { slots, number: 0, column: 0, buffers: self };
        row.serialize(RowSerializer(&mut encoding))?;
        match slots.get(encoding.number) {
            None => Ok(()),
            Some(slot) => Err(RowError::new(format!("the row lacks the field '{}'", slot.name))),
        }
    }

    /// Leaves room for the header of an array in the buffer of each column.
    pub(super) fn begin_arrays(&mut self) {
        for part in &mut self.parts {
            part.clear();
            part.put_bytes(0, ARRAY_HEADER);
        }
    }

    /// Writes the headers of arrays with `length` elements.
    pub(super) fn end_arrays(&mut self, element_types: &[u32], length: usize) -> Result<(), RowError> {
        for (part, element_type) in self.parts.iter_mut().zip(element_types) {
            write_array_header(&mut part[..ARRAY_HEADER], *element_type, length)?;
        }
        Ok(())
    }
}

struct Encoding<'a> {
    slots: &'a [Slot],
    /// Field of the row.
    number: usize,
    /// Column that the next value goes to.
    column: usize,
    buffers: &'a mut Buffers,
}

impl Fields for Encoding<'_> {
    #[inline]
    fn field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), RowError> {
        // The names are constants: mostly the same pointer, so that nothing is compared.
        let slot = match self.slots.get(self.number) {
            Some(slot) if std::ptr::eq(slot.name, name) || slot.name == name => slot,
            _ => return Err(RowError::new(format!("the fields of a row differ from those of the first at '{name}'"))),
        };
        self.number += 1;
        let Some(kind) = slot.kind else { return Ok(()) };
        let part = if self.buffers.by_column { self.column } else { 0 };
        self.column += 1;
        let out = &mut self.buffers.parts[part];
        put(value, kind, out, &mut self.buffers.scratch)
            .map_err(|error| RowError::new(format!("column '{name}' of type {} cannot hold {error}", slot.type_name)))
    }
}

/// Writes the length and the binary form of a value; −1 for NULL.
#[inline]
fn put<T: ?Sized + Serialize>(value: &T, kind: Kind, out: &mut BytesMut, scratch: &mut String) -> Result<(), RowError> {
    match kind {
        Kind::One(Scalar::Json) => put_json(value, false, out),
        Kind::One(Scalar::Jsonb) => put_json(value, true, out),
        Kind::One(scalar) => value.serialize(ValueSerializer { scalar, out, scratch }),
        Kind::Many { element, element_type } => {
            value.serialize(ArraySerializer { element, element_type, out, scratch })
        }
    }
}

/// Why a value is no JSON document, with the path to what is wrong in it.
#[cold]
fn no_json<T: ?Sized + Serialize>(value: &T, error: &serde_json::Error) -> RowError {
    match write_json(value, &mut Vec::new()) {
        Err(error) => RowError::new(format!("the value: {}", error.cause_text())),
        Ok(()) => RowError::new(format!("the value: {error}")),
    }
}

/// Any value as a JSON document; `null` is NULL.
fn put_json<T: ?Sized + Serialize>(value: &T, with_version: bool, out: &mut BytesMut) -> Result<(), RowError> {
    let start = begin(out);
    if with_version {
        out.put_u8(1);
    }
    let document = out.len();
    serde_json::to_writer((&mut *out).writer(), &FiniteJson(value)).map_err(|error| no_json(value, &error))?;
    if &out[document..] == b"null" {
        out.truncate(start);
        put_null(out);
        return Ok(());
    }
    end(out, start)
}
