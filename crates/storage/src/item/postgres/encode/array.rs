//! The value of an array's column: a sequence, or NULL.

use bytes::{BufMut, BytesMut};
use serde::ser::{Impossible, Serialize, SerializeSeq, Serializer};

use super::kinds::{refused_compounds, tuple_like_sequence};
use super::put;
use super::wire::{ARRAY_HEADER, begin, end, put_null, write_array_header};
use crate::item::postgres::kind::{Kind, Scalar};
use crate::item::row::RowError;

/// Takes the value of an array's column.
pub(super) struct ArraySerializer<'a> {
    pub(super) element: Scalar,
    pub(super) element_type: u32,
    pub(super) out: &'a mut BytesMut,
    pub(super) scratch: &'a mut String,
}

/// Takes the elements.
pub(super) struct ElementsSerializer<'a> {
    array: ArraySerializer<'a>,
    start: usize,
    length: usize,
}

const NO_ARRAY: &str = "a single value; its type is an array";

/// The methods of a serializer that refuse.
macro_rules! refuse {
    ($($method:ident($kind:ty);)*) => {
        $(fn $method(self, _: $kind) -> Result<(), RowError> {
            Err(RowError::new(NO_ARRAY))
        })*
    };
}

impl<'a> Serializer for ArraySerializer<'a> {
    type Ok = ();
    type Error = RowError;
    type SerializeSeq = ElementsSerializer<'a>;
    type SerializeTuple = ElementsSerializer<'a>;
    refused_compounds!();
    refuse! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_unit_struct(&'static str);
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), RowError> {
        Err(RowError::new(NO_ARRAY))
    }

    fn serialize_none(self) -> Result<(), RowError> {
        put_null(self.out);
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), RowError> {
        self.serialize_none()
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ElementsSerializer<'a>, RowError> {
        let start = begin(self.out);
        self.out.put_bytes(0, ARRAY_HEADER);
        Ok(ElementsSerializer { array: self, start, length: 0 })
    }

    fn serialize_tuple(self, length: usize) -> Result<ElementsSerializer<'a>, RowError> {
        self.serialize_seq(Some(length))
    }
}

impl SerializeSeq for ElementsSerializer<'_> {
    type Ok = ();
    type Error = RowError;

    #[inline]
    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), RowError> {
        self.length += 1;
        put(value, Kind::One(self.array.element), self.array.out, self.array.scratch)
            .map_err(|error| RowError::new(format!("{error} as element {}", self.length)))
    }

    fn end(self) -> Result<(), RowError> {
        let out = self.array.out;
        let header = self.start + 4;
        write_array_header(&mut out[header..header + ARRAY_HEADER], self.array.element_type, self.length)?;
        if self.length == 0 {
            // An empty array has no dimension.
            out.truncate(header + 12);
            out[header..header + 4].fill(0);
        }
        end(out, self.start)
    }
}

tuple_like_sequence!(ElementsSerializer);
