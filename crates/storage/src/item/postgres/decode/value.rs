//! From the binary form of a single value or an array to any serde type.

use oxbatch_core::item::read_json_by;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Error as _, IntoDeserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::DecodeError;
use crate::item::postgres::kind::{Kind, Scalar};
use crate::item::postgres::{moment, numeric};

/// The value as text, for messages and checkpoints.
pub(in crate::item::postgres) fn show(kind: Kind, bytes: &[u8]) -> Result<String, DecodeError> {
    match kind {
        Kind::One(Scalar::Bool) => Ok((bytes == [1]).to_string()),
        Kind::One(scalar) => {
            let mut text = String::new();
            write_text(scalar, bytes, &mut text)?;
            Ok(text)
        }
        Kind::Many { .. } => Err(DecodeError::new("an array cannot be a key")),
    }
}

fn fixed<const N: usize>(scalar: Scalar, bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::damaged(scalar))
}

fn utf8(scalar: Scalar, bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::damaged(scalar))
}

fn integer(scalar: Scalar, bytes: &[u8]) -> Result<Option<i64>, DecodeError> {
    Ok(Some(match scalar {
        Scalar::Int2 => i16::from_be_bytes(fixed(scalar, bytes)?).into(),
        Scalar::Int4 => i32::from_be_bytes(fixed(scalar, bytes)?).into(),
        Scalar::Int8 => i64::from_be_bytes(fixed(scalar, bytes)?),
        Scalar::Oid => u32::from_be_bytes(fixed(scalar, bytes)?).into(),
        _ => return Ok(None),
    }))
}

/// Writes a value as text: exact, and such that it can be read back.
fn write_text(scalar: Scalar, bytes: &[u8], out: &mut String) -> Result<(), DecodeError> {
    use std::fmt::Write;
    if let Some(number) = integer(scalar, bytes)? {
        return write!(out, "{number}").map_err(DecodeError::custom);
    }
    match scalar {
        Scalar::Float4 => write!(out, "{}", f32::from_be_bytes(fixed(scalar, bytes)?)).map_err(DecodeError::custom)?,
        Scalar::Float8 => write!(out, "{}", f64::from_be_bytes(fixed(scalar, bytes)?)).map_err(DecodeError::custom)?,
        Scalar::Numeric => numeric::decode(bytes, out).ok_or_else(|| DecodeError::damaged(scalar))?,
        Scalar::Date => moment::show_date(i32::from_be_bytes(fixed(scalar, bytes)?), out),
        Scalar::Time => moment::show_time(i64::from_be_bytes(fixed(scalar, bytes)?), out),
        Scalar::Timestamp => moment::show_timestamp(i64::from_be_bytes(fixed(scalar, bytes)?), false, out),
        Scalar::TimestampTz => moment::show_timestamp(i64::from_be_bytes(fixed(scalar, bytes)?), true, out),
        Scalar::Uuid => {
            let uuid = uuid::Uuid::from_bytes(fixed(scalar, bytes)?);
            write!(out, "{uuid}").map_err(DecodeError::custom)?;
        }
        Scalar::Text | Scalar::Enum | Scalar::Other | Scalar::Json => out.push_str(utf8(scalar, bytes)?),
        Scalar::Bool
        | Scalar::Bytea
        | Scalar::Jsonb
        | Scalar::Byte
        | Scalar::Int2
        | Scalar::Int4
        | Scalar::Int8
        | Scalar::Oid => {
            return Err(DecodeError::new(format!("a value of type {scalar:?} has no text here")));
        }
    }
    Ok(())
}

/// Deserializes by `seed`: JSON by its own parser, anything else by its type.
pub(super) fn deserialize_value<'de, S: DeserializeSeed<'de>>(
    seed: S,
    kind: Kind,
    bytes: Option<&'de [u8]>,
) -> Result<S::Value, DecodeError> {
    let (scalar, document) = match (kind, bytes) {
        (Kind::One(scalar @ Scalar::Json), Some(document)) => (scalar, document),
        (Kind::One(scalar @ Scalar::Jsonb), Some([1, document @ ..])) => (scalar, document),
        _ => return seed.deserialize(ValueDeserializer { kind, bytes }),
    };
    // A number of more digits than its type holds is an error.
    read_json_by(seed, utf8(scalar, document)?).map_err(DecodeError::custom)
}

/// Gives a single value.
pub(super) struct ValueDeserializer<'de> {
    pub(super) kind: Kind,
    pub(super) bytes: Option<&'de [u8]>,
}

impl<'de> ValueDeserializer<'de> {
    /// The text of a `numeric`.
    fn numeric(&self) -> Result<Option<String>, DecodeError> {
        match (self.kind, self.bytes) {
            (Kind::One(Scalar::Numeric), Some(bytes)) => {
                let mut text = String::new();
                write_text(Scalar::Numeric, bytes, &mut text)?;
                Ok(Some(text))
            }
            _ => Ok(None),
        }
    }

    fn whole<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.numeric()?.map(|text| text.parse::<i128>().map_err(|_| text)) {
            Some(Ok(number)) => match i64::try_from(number) {
                Ok(number) => visitor.visit_i64(number),
                Err(_) => visitor.visit_i128(number),
            },
            Some(Err(text)) => visitor.visit_str(&text),
            None => de::Deserializer::deserialize_any(self, visitor),
        }
    }

    fn float<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.numeric()? {
            Some(text) => match text.parse::<f64>() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => visitor.visit_str(&text),
            },
            None => de::Deserializer::deserialize_any(self, visitor),
        }
    }
}

macro_rules! by {
    ($($method:ident)* => $how:ident) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            self.$how(visitor)
        })*
    };
}

impl<'de> de::Deserializer<'de> for ValueDeserializer<'de> {
    type Error = DecodeError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let Some(bytes) = self.bytes else { return visitor.visit_none() };
        let scalar = match self.kind {
            Kind::One(scalar) => scalar,
            Kind::Many { element, .. } => return visitor.visit_seq(Elements::new(element, bytes)?),
        };
        if let Some(number) = integer(scalar, bytes)? {
            return visitor.visit_i64(number);
        }
        match scalar {
            Scalar::Bool => visitor.visit_bool(fixed::<1>(scalar, bytes)? == [1]),
            Scalar::Float4 => visitor.visit_f32(f32::from_be_bytes(fixed(scalar, bytes)?)),
            Scalar::Float8 => visitor.visit_f64(f64::from_be_bytes(fixed(scalar, bytes)?)),
            Scalar::Text | Scalar::Enum | Scalar::Other => visitor.visit_borrowed_str(utf8(scalar, bytes)?),
            Scalar::Bytea => visitor.visit_borrowed_bytes(bytes),
            _ => {
                let mut text = String::with_capacity(32);
                write_text(scalar, bytes, &mut text)?;
                visitor.visit_str(&text)
            }
        }
    }

    by! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16
    deserialize_u32 deserialize_u64 deserialize_u128 => whole }
    by! { deserialize_f32 deserialize_f64 => float }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.bytes {
            None => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match (self.kind, self.bytes) {
            // Bytes that are wanted one by one: a `Vec<u8>`.
            (Kind::One(Scalar::Bytea), Some(bytes)) => {
                visitor.visit_seq(de::value::SeqDeserializer::new(bytes.iter().copied()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match (self.kind, self.bytes) {
            (Kind::One(scalar @ (Scalar::Text | Scalar::Enum | Scalar::Other)), Some(bytes)) => {
                let label: StrDeserializer<'_, DecodeError> = utf8(scalar, bytes)?.into_deserializer();
                visitor.visit_enum(label)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct tuple_struct map struct identifier ignored_any
    }
}

/// Gives the elements of an array.
struct Elements<'de> {
    element: Scalar,
    rest: &'de [u8],
    left: usize,
}

impl<'de> Elements<'de> {
    fn new(element: Scalar, bytes: &'de [u8]) -> Result<Self, DecodeError> {
        let number =
            |at: usize| bytes.get(at..at + 4).and_then(|bytes| Some(i32::from_be_bytes(bytes.try_into().ok()?)));
        let damaged = || DecodeError::damaged(element);
        match number(0).ok_or_else(damaged)? {
            0 => Ok(Self { element, rest: &[], left: 0 }),
            1 => {
                let left = number(12).and_then(|length| usize::try_from(length).ok()).ok_or_else(damaged)?;
                Ok(Self { element, rest: bytes.get(20..).ok_or_else(damaged)?, left })
            }
            dimensions => Err(DecodeError::new(format!("an array of {dimensions} dimensions; one can be read"))),
        }
    }
}

/// Takes a value with its length off the front; −1 is NULL.
pub(in crate::item::postgres) fn take_value<'de>(rest: &mut &'de [u8]) -> Option<Option<&'de [u8]>> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Some(None) };
    let (value, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(Some(value))
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let value = take_value(&mut self.rest).ok_or_else(|| DecodeError::damaged(self.element))?;
        deserialize_value(seed, Kind::One(self.element), value).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}
