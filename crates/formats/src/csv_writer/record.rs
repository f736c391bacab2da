//! A record of delimited text, written right behind the one before: as the crate `csv` writes it, which writes the
//! first of each file.

use std::fmt::Display;

use serde::ser::{
    Error, Impossible, Serialize, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer,
};

use super::Dialect;

const QUOTE: u8 = b'"';

/// The bytes for which a field is put in quotes.
#[derive(Clone)]
pub(super) struct Special([bool; 256]);

impl Special {
    pub(super) fn new(dialect: Dialect) -> Self {
        let mut special = [false; 256];
        for byte in [dialect.delimiter, QUOTE, b'\r', b'\n'].into_iter().chain(dialect.comment) {
            special[usize::from(byte)] = true;
        }
        Self(special)
    }

    #[inline]
    fn is_in(&self, field: &[u8]) -> bool {
        let mut pieces = field.chunks_exact(8);
        // Without a branch for each byte.
        pieces.by_ref().any(|piece| piece.iter().fold(false, |found, byte| found | self.0[usize::from(*byte)]))
            || pieces.remainder().iter().any(|byte| self.0[usize::from(*byte)])
    }
}

/// The reason for which an item is no record.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct RecordError(pub(super) String);

impl Error for RecordError {
    fn custom<M: Display>(message: M) -> Self {
        Self(message.to_string())
    }
}

/// A record that is being written.
pub(super) struct Record<'a> {
    buffer: &'a mut Vec<u8>,
    special: &'a Special,
    delimiter: u8,
    fields: usize,
    /// Where it begins in the buffer.
    start: usize,
}

impl<'a> Record<'a> {
    pub(super) fn new(dialect: Dialect, special: &'a Special, buffer: &'a mut Vec<u8>) -> Self {
        let start = buffer.len();
        Self { buffer, special, delimiter: dialect.delimiter, fields: 0, start }
    }

    #[inline]
    fn field(&mut self, field: &[u8]) {
        if self.fields > 0 {
            self.buffer.push(self.delimiter);
        }
        self.fields += 1;
        if self.special.is_in(field) {
            self.quoted(field);
        } else {
            self.buffer.extend_from_slice(field);
        }
    }

    #[cold]
    fn quoted(&mut self, field: &[u8]) {
        self.buffer.push(QUOTE);
        let mut rest = field;
        while let Some(quote) = memchr::memchr(QUOTE, rest) {
            self.buffer.extend_from_slice(&rest[..=quote]);
            self.buffer.push(QUOTE);
            rest = &rest[quote + 1..];
        }
        self.buffer.extend_from_slice(rest);
        self.buffer.push(QUOTE);
    }

    /// Ends the record, which must have so many fields.
    #[inline]
    pub(super) fn end(self, width: usize) -> Result<(), RecordError> {
        if self.fields != width {
            return Err(unequal_lengths(self.fields, width));
        }
        if self.buffer.len() == self.start {
            // It would be a blank line.
            self.buffer.extend_from_slice(&[QUOTE, QUOTE]);
        }
        self.buffer.push(b'\n');
        Ok(())
    }
}

/// The error of a record that has more or fewer fields than the others.
#[cold]
pub(super) fn unequal_lengths(fields: usize, width: usize) -> RecordError {
    RecordError(format!("record has {fields} fields, but the records before it have {width}"))
}

macro_rules! numbers {
    ($($name:ident($type:ty) $buffer:ty;)*) => {$(
        #[inline]
        fn $name(self, value: $type) -> Result<(), RecordError> {
            self.field(<$buffer>::new().format(value).as_bytes());
            Ok(())
        }
    )*};
}

impl Serializer for &mut Record<'_> {
    type Ok = ();
    type Error = RecordError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Impossible<(), RecordError>;
    type SerializeMap = Impossible<(), RecordError>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), RecordError>;

    numbers! {
        serialize_i8(i8) itoa::Buffer;
        serialize_i16(i16) itoa::Buffer;
        serialize_i32(i32) itoa::Buffer;
        serialize_i64(i64) itoa::Buffer;
        serialize_i128(i128) itoa::Buffer;
        serialize_u8(u8) itoa::Buffer;
        serialize_u16(u16) itoa::Buffer;
        serialize_u32(u32) itoa::Buffer;
        serialize_u64(u64) itoa::Buffer;
        serialize_u128(u128) itoa::Buffer;
        serialize_f32(f32) ryu::Buffer;
        serialize_f64(f64) ryu::Buffer;
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), RecordError> {
        self.serialize_str(if value { "true" } else { "false" })
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), RecordError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), RecordError> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), RecordError> {
        self.field(value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), RecordError> {
        self.serialize_bytes(&[])
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), RecordError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), RecordError> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), RecordError> {
        self.serialize_str(name)
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), RecordError> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), RecordError> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), RecordError> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Self, RecordError> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self, RecordError> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, RecordError> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, RecordError> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, RecordError> {
        Err(Error::custom("serializing maps is not supported"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, RecordError> {
        Err(Error::custom("serializing enum tuple variants is not supported"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, RecordError> {
        Err(Error::custom("serializing enum struct variants is not supported"))
    }
}

macro_rules! elements {
    ($($part:ident $name:ident($($key:ty)?);)*) => {$(
        impl $part for &mut Record<'_> {
            type Ok = ();
            type Error = RecordError;

            #[inline]
            fn $name<T: Serialize + ?Sized>(&mut self, $(_: $key,)? value: &T) -> Result<(), RecordError> {
                value.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> Result<(), RecordError> {
                Ok(())
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element();
    SerializeTuple serialize_element();
    SerializeTupleStruct serialize_field();
    SerializeStruct serialize_field(&'static str);
}
