//! From the binary form of PostgreSQL's columns to any serde type.

mod value;

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use self::value::{ValueDeserializer, deserialize_value};
pub(super) use self::value::{show, take_value};
use super::kind::{Kind, Scalar};

/// Why a row cannot be an item.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct DecodeError {
    problem: String,
    /// A column was named already.
    named: bool,
}

impl DecodeError {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), named: false }
    }

    fn damaged(scalar: Scalar) -> Self {
        Self::new(format!("the server has sent a damaged value of type {scalar:?}"))
    }

    fn in_column(self, column: &OutputColumn, is_null: bool) -> Self {
        if self.named {
            return self;
        }
        let name = &column.name;
        let problem = if is_null {
            format!("column '{name}' is NULL: {}", self.problem)
        } else {
            format!("column '{name}' of type {}: {}", column.type_name, self.problem)
        };
        Self { problem, named: true }
    }
}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

/// A column of a result.
#[derive(Debug, Clone)]
pub(super) struct OutputColumn {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The type as the catalogue names it.
    pub(super) type_name: String,
}

/// A row as it came: the bytes of each column, none for NULL.
pub(super) trait Wire {
    fn value(&self, number: usize) -> Option<&[u8]>;
}

/// The item of a row: a struct or map by the names of the columns, a tuple by their order, the value of a single
/// column.
///
/// # Errors
/// Names the column that does not fit.
pub(super) fn decode<T: DeserializeOwned>(columns: &[OutputColumn], row: &impl Wire) -> Result<T, DecodeError> {
    T::deserialize(RowDeserializer { columns, row })
}

/// Gives a row.
struct RowDeserializer<'de, W> {
    columns: &'de [OutputColumn],
    row: &'de W,
}

impl<'de, W: Wire> RowDeserializer<'de, W> {
    fn access(self) -> RowAccess<'de, W> {
        RowAccess { columns: self.columns, row: self.row, number: 0 }
    }

    /// The value of a row with a single column.
    fn single(&self) -> Result<ValueDeserializer<'de>, DecodeError> {
        match self.columns {
            [column] => Ok(ValueDeserializer { kind: column.kind, bytes: self.row.value(0) }),
            columns => {
                Err(DecodeError::new(format!("a row of {} columns is read as a struct, map or tuple", columns.len())))
            }
        }
    }
}

macro_rules! single {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            self.single()?.$method(visitor)
        })*
    };
}

impl<'de, W: Wire> de::Deserializer<'de> for RowDeserializer<'de, W> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(self.access())
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        // Columns in the order of the fields need no names.
        let same = fields.len() == self.columns.len()
            && fields.iter().zip(self.columns).all(|(field, column)| *field == column.name);
        if same { visitor.visit_seq(self.access()) } else { visitor.visit_map(self.access()) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(self.access())
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, DecodeError> {
        if length != self.columns.len() {
            let columns = self.columns.len();
            return Err(DecodeError::new(format!("a row of {columns} columns is read as a tuple of {length}")));
        }
        visitor.visit_seq(self.access())
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.single()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    single! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
    }

    forward_to_deserialize_any! { unit map identifier ignored_any }
}

struct RowAccess<'de, W> {
    columns: &'de [OutputColumn],
    row: &'de W,
    number: usize,
}

impl<'de, W: Wire> RowAccess<'de, W> {
    #[inline]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S, column: &'de OutputColumn) -> Result<S::Value, DecodeError> {
        let bytes = self.row.value(self.number);
        self.number += 1;
        deserialize_value(seed, column.kind, bytes).map_err(|error| error.in_column(column, bytes.is_none()))
    }
}

impl<'de, W: Wire> MapAccess<'de> for RowAccess<'de, W> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        let Some(column) = self.columns.get(self.number) else { return Ok(None) };
        let name: StrDeserializer<'_, DecodeError> = column.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DecodeError> {
        match self.columns.get(self.number) {
            Some(column) => self.next(seed, column),
            None => Err(DecodeError::new("a value without a column")),
        }
    }
}

impl<'de, W: Wire> SeqAccess<'de> for RowAccess<'de, W> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        match self.columns.get(self.number) {
            Some(column) => self.next(seed, column).map(Some),
            None => Ok(None),
        }
    }
}
