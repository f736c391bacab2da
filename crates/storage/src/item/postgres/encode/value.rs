//! A single value of a row: any scalar of serde, and bytes one by one.

use std::fmt::{self, Write as _};

use bytes::BytesMut;
use serde::ser::{Error as _, Impossible, Serialize, SerializeSeq, Serializer};

use super::kinds::{refused_compounds, tuple_like_sequence};
use super::scalar::{misfit, put_bool, put_float, put_integer, put_text};
use super::wire::{begin, end, put_bytes, put_null};
use crate::item::postgres::kind::Scalar;
use crate::item::row::RowError;

/// Takes a single value.
pub(super) struct ValueSerializer<'a> {
    pub(super) scalar: Scalar,
    pub(super) out: &'a mut BytesMut,
    pub(super) scratch: &'a mut String,
}

impl ValueSerializer<'_> {
    #[inline]
    fn text(self, text: &str) -> Result<(), RowError> {
        put_text(self.scalar, text, self.out)
    }

    /// A number as its text, where the column is none of numbers.
    fn shown(self, value: impl fmt::Display) -> Result<(), RowError> {
        self.scratch.clear();
        write!(self.scratch, "{value}").map_err(RowError::custom)?;
        put_text(self.scalar, self.scratch, self.out)
    }

    #[inline]
    fn integer(self, value: i128) -> Result<(), RowError> {
        match self.scalar {
            Scalar::Numeric | Scalar::Text | Scalar::Other => self.shown(value),
            scalar => put_integer(scalar, value, self.out).ok_or_else(|| misfit(value)),
        }
    }

    fn float(self, value: f64) -> Result<(), RowError> {
        match self.scalar {
            Scalar::Numeric | Scalar::Text | Scalar::Other => self.shown(value),
            scalar => put_float(scalar, value, self.out).ok_or_else(|| misfit(value)),
        }
    }
}

impl<'a> Serializer for ValueSerializer<'a> {
    type Ok = ();
    type Error = RowError;
    type SerializeSeq = BytesSerializer<'a>;
    type SerializeTuple = BytesSerializer<'a>;
    refused_compounds!();

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), RowError> {
        match self.scalar {
            Scalar::Bool => {
                put_bool(self.out, value);
                Ok(())
            }
            Scalar::Text | Scalar::Other => self.text(if value { "true" } else { "false" }),
            _ => Err(misfit(value)),
        }
    }

    fn serialize_i8(self, value: i8) -> Result<(), RowError> {
        self.integer(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), RowError> {
        self.integer(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), RowError> {
        self.integer(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), RowError> {
        self.integer(value.into())
    }

    fn serialize_i128(self, value: i128) -> Result<(), RowError> {
        self.integer(value)
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), RowError> {
        self.integer(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), RowError> {
        self.integer(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), RowError> {
        self.integer(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), RowError> {
        self.integer(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<(), RowError> {
        match i128::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => self.shown(value),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), RowError> {
        match self.scalar {
            // Its own shortest text: 0.1 and not 0.10000000149011612.
            Scalar::Numeric | Scalar::Text | Scalar::Other => self.shown(value),
            _ => self.float(value.into()),
        }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), RowError> {
        self.float(value)
    }

    fn serialize_char(self, value: char) -> Result<(), RowError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), RowError> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), RowError> {
        match self.scalar {
            Scalar::Bytea => put_bytes(self.out, value),
            Scalar::Uuid if value.len() == 16 => put_bytes(self.out, value),
            _ => Err(RowError::new(format!("{} bytes", value.len()))),
        }
    }

    #[inline]
    fn serialize_none(self) -> Result<(), RowError> {
        if self.scalar == Scalar::Byte {
            return Err(RowError::new("a sequence of bytes with a gap"));
        }
        put_null(self.out);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), RowError> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), RowError> {
        Err(RowError::new(format!("the struct {name} without fields")))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), RowError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    /// Dates, decimals and the like: written into a text that is used again for each.
    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<(), RowError> {
        self.shown(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<BytesSerializer<'a>, RowError> {
        match self.scalar {
            Scalar::Bytea => Ok(BytesSerializer { start: begin(self.out), out: self.out, scratch: self.scratch }),
            _ => Err(RowError::new("a sequence; its type is no array")),
        }
    }

    fn serialize_tuple(self, length: usize) -> Result<BytesSerializer<'a>, RowError> {
        self.serialize_seq(Some(length))
    }
}

/// Takes bytes that are given one by one.
pub(super) struct BytesSerializer<'a> {
    start: usize,
    out: &'a mut BytesMut,
    scratch: &'a mut String,
}

impl SerializeSeq for BytesSerializer<'_> {
    type Ok = ();
    type Error = RowError;

    #[inline]
    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), RowError> {
        value.serialize(ValueSerializer { scalar: Scalar::Byte, out: self.out, scratch: self.scratch })
    }

    fn end(self) -> Result<(), RowError> {
        end(self.out, self.start)
    }
}

tuple_like_sequence!(BytesSerializer);
