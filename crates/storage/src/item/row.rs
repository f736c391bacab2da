//! From a serde struct to the columns of a row: binds straight to the statement, without a value in between.

use std::fmt::{self, Write as _};

use rusqlite::Statement;
use rusqlite::types::{Null, ToSql};
use serde::ser::{Error as _, Impossible, Serialize, SerializeStruct, Serializer};

/// Why a value cannot be a row.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct RowError {
    problem: String,
}

impl RowError {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into() }
    }
}

impl serde::ser::Error for RowError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

const NO_STRUCT: &str = "a row must be a struct with named fields";

/// The names of the fields.
pub(super) fn columns(row: &impl Serialize) -> Result<Vec<&'static str>, RowError> {
    let mut names = Vec::new();
    row.serialize(RowSerializer(&mut Columns { names: &mut names }))?;
    Ok(names)
}

/// Binds the fields in the order of the columns, each to the parameter of its number; not those whose number is 0.
pub(super) fn bind(
    row: &impl Serialize,
    columns: &[&'static str],
    parameters: &[usize],
    statement: &mut Statement<'_>,
    scratch: &mut String,
) -> Result<(), RowError> {
    let mut binding = Binding { statement, columns, parameters, number: 0, scratch };
    row.serialize(RowSerializer(&mut binding))?;
    if binding.number != columns.len() {
        return Err(RowError::new(format!("the row lacks the field '{}'", columns[binding.number])));
    }
    Ok(())
}

/// The action on each field of a row.
pub(super) trait Fields {
    fn field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), RowError>;
}

struct Columns<'a> {
    names: &'a mut Vec<&'static str>,
}

impl Fields for Columns<'_> {
    fn field<T: ?Sized + Serialize>(&mut self, name: &'static str, _: &T) -> Result<(), RowError> {
        self.names.push(name);
        Ok(())
    }
}

struct Binding<'a, 'statement> {
    statement: &'a mut Statement<'statement>,
    columns: &'a [&'static str],
    parameters: &'a [usize],
    number: usize,
    scratch: &'a mut String,
}

impl Fields for Binding<'_, '_> {
    #[inline]
    fn field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), RowError> {
        // The names are constants: mostly the same pointer, so that nothing is compared.
        match self.columns.get(self.number) {
            Some(column) if std::ptr::eq(*column, name) || *column == name => {}
            _ => return Err(RowError::new(format!("the fields of a row differ from those of the first at '{name}'"))),
        }
        let number = self.parameters[self.number];
        self.number += 1;
        if number == 0 {
            return Ok(());
        }
        let value_of = FieldSerializer { statement: self.statement, number, scratch: self.scratch };
        value.serialize(value_of).map_err(|error| RowError::new(format!("field '{name}' {}", error.problem)))
    }
}

/// Takes the row as a whole.
pub(super) struct RowSerializer<'a, F>(pub(super) &'a mut F);

impl<F: Fields> SerializeStruct for RowSerializer<'_, F> {
    type Ok = ();
    type Error = RowError;

    #[inline]
    fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), RowError> {
        self.0.field(name, value)
    }

    /// A field that is skipped is NULL, not absent: all rows have the same columns.
    fn skip_field(&mut self, name: &'static str) -> Result<(), RowError> {
        self.0.field(name, &())
    }

    fn end(self) -> Result<(), RowError> {
        Ok(())
    }
}

/// The methods of a serializer that refuse.
macro_rules! refuse {
    ($problem:expr; $($method:ident($($kind:ty),*) -> $answer:ty;)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$answer, RowError> {
            Err(RowError::new($problem))
        })*
    };
}

macro_rules! refuse_generic {
    ($problem:expr; $($method:ident($($kind:ty),*);)*) => {
        $(fn $method<T: ?Sized + Serialize>(self, $(_: $kind,)* _: &T) -> Result<(), RowError> {
            Err(RowError::new($problem))
        })*
    };
}

/// Nothing can be collected of the compound kinds that are refused.
macro_rules! compounds {
    () => {
        type Ok = ();
        type Error = RowError;
        type SerializeSeq = Impossible<(), RowError>;
        type SerializeTuple = Impossible<(), RowError>;
        type SerializeTupleStruct = Impossible<(), RowError>;
        type SerializeTupleVariant = Impossible<(), RowError>;
        type SerializeMap = Impossible<(), RowError>;
        type SerializeStructVariant = Impossible<(), RowError>;
    };
}

impl<'a, F: Fields> Serializer for RowSerializer<'a, F> {
    compounds!();
    type SerializeStruct = RowSerializer<'a, F>;

    refuse! { NO_STRUCT;
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
    refuse_generic! { NO_STRUCT;
        serialize_some();
        serialize_newtype_variant(&'static str, u32, &'static str);
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, RowError> {
        Ok(self)
    }
}

/// Takes the value of one field.
struct FieldSerializer<'a, 'statement> {
    statement: &'a mut Statement<'statement>,
    number: usize,
    scratch: &'a mut String,
}

impl FieldSerializer<'_, '_> {
    #[inline]
    fn bind(self, value: impl ToSql) -> Result<(), RowError> {
        self.statement.raw_bind_parameter(self.number, value).map_err(RowError::custom)
    }
}

const NESTED: &str = "is neither a number nor text nor bytes, so it fits no column";

impl Serializer for FieldSerializer<'_, '_> {
    compounds!();
    type SerializeStruct = Impossible<(), RowError>;

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), RowError> {
        self.bind(value)
    }

    fn serialize_i8(self, value: i8) -> Result<(), RowError> {
        self.bind(value)
    }

    fn serialize_i16(self, value: i16) -> Result<(), RowError> {
        self.bind(value)
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), RowError> {
        self.bind(value)
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), RowError> {
        self.bind(value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), RowError> {
        self.bind(value)
    }

    fn serialize_u16(self, value: u16) -> Result<(), RowError> {
        self.bind(value)
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), RowError> {
        self.bind(value)
    }

    fn serialize_u64(self, value: u64) -> Result<(), RowError> {
        match i64::try_from(value) {
            Ok(value) => self.bind(value),
            Err(_) => Err(RowError::new(format!("is {value}, too large for SQLite's 64-bit integers"))),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), RowError> {
        self.serialize_f64(f64::from(value))
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), RowError> {
        if value.is_nan() {
            return Err(RowError::new("is NaN, which SQLite would store as NULL"));
        }
        self.bind(value)
    }

    fn serialize_char(self, value: char) -> Result<(), RowError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), RowError> {
        self.bind(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), RowError> {
        self.bind(value)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), RowError> {
        self.bind(Null)
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), RowError> {
        self.bind(Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), RowError> {
        self.bind(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    /// Dates and the like: written into a text that is used again for each.
    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<(), RowError> {
        self.scratch.clear();
        write!(self.scratch, "{value}").map_err(RowError::custom)?;
        self.statement.raw_bind_parameter(self.number, self.scratch.as_str()).map_err(RowError::custom)
    }

    refuse! { NESTED;
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
    refuse_generic! { NESTED;
        serialize_newtype_variant(&'static str, u32, &'static str);
    }
}
