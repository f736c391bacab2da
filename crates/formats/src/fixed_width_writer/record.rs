//! Takes an item apart: the text of each of its fields into the cell of the column of that name.

use std::fmt::{self, Display, Write};

use serde::Serialize;
use serde::ser::{Error, Impossible, SerializeMap, SerializeStruct, Serializer};

use super::Column;
use oxbatch_core::item::ItemError;

/// The text of one column of the current item.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) is_set: bool,
    pub(super) is_number: bool,
}

impl Cell {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        (self.is_set, self.is_number) = (false, false);
    }

    fn put(&mut self, value: impl Display) -> Result<(), CellError> {
        write!(self.text, "{value}").map_err(CellError::custom)
    }

    fn put_number(&mut self, value: impl Display) -> Result<(), CellError> {
        self.is_number = true;
        self.put(value)
    }
}

/// The reason for which an item is no line of columns.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct CellError {
    message: String,
}

impl CellError {
    /// An error of the item, for which it can be skipped, unless no item of its type has fields.
    #[cold]
    pub(super) fn into_item_error(self) -> ItemError {
        if self.message == NOT_A_RECORD { ItemError::other(self) } else { ItemError::validation(self) }
    }
}

impl Error for CellError {
    fn custom<M: Display>(message: M) -> Self {
        Self { message: message.to_string() }
    }
}

/// For what has fields with names: a struct, a map.
pub(super) struct RecordSerializer<'a> {
    columns: &'a [Column],
    cells: &'a mut [Cell],
    /// The column that follows the one before: fields mostly come in the order of the columns.
    next: usize,
    key: Cell,
}

impl<'a> RecordSerializer<'a> {
    pub(super) fn new(columns: &'a [Column], cells: &'a mut [Cell]) -> Self {
        Self { columns, cells, next: 0, key: Cell::default() }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), CellError> {
        let is_next = self.columns.get(self.next).is_some_and(|column| column.name == name);
        let found = if is_next { Some(self.next) } else { self.columns.iter().position(|column| column.name == name) };
        let Some(index) = found else { return Err(CellError::custom(format_args!("field '{name}' has no column"))) };
        self.next = index + 1;
        let cell = &mut self.cells[index];
        cell.clear();
        cell.is_set = true;
        value
            .serialize(CellSerializer(cell))
            .map_err(|error| CellError::custom(format_args!("column '{name}': {error}")))
    }
}

const NOT_A_RECORD: &str = "item has no fields with names: fixed-width output takes structs and maps";
const NOT_A_VALUE: &str = "field is not a single value";

/// The methods of a serializer that refuse, each with the same sentence.
macro_rules! refuse {
    ($message:expr; $($method:ident($($kind:ty),*);)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<Self::Ok, CellError> { Err(CellError::custom($message)) })*
    };
    ($message:expr => $($method:ident($($kind:ty),*) $answer:ident;)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<Self::$answer, CellError> { Err(CellError::custom($message)) })*
    };
}

impl Serializer for RecordSerializer<'_> {
    type Ok = ();
    type Error = CellError;
    type SerializeSeq = Impossible<(), CellError>;
    type SerializeTuple = Impossible<(), CellError>;
    type SerializeTupleStruct = Impossible<(), CellError>;
    type SerializeTupleVariant = Impossible<(), CellError>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), CellError>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, CellError> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, CellError> {
        Ok(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CellError> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), CellError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), CellError> {
        value.serialize(self)
    }

    refuse! { NOT_A_RECORD;
        serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_f32(f32);
        serialize_f64(f64); serialize_char(char); serialize_str(&str); serialize_bytes(&[u8]); serialize_none();
        serialize_unit(); serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }
    refuse! { NOT_A_RECORD =>
        serialize_seq(Option<usize>) SerializeSeq;
        serialize_tuple(usize) SerializeTuple;
        serialize_tuple_struct(&'static str, usize) SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) SerializeTupleVariant;
        serialize_struct_variant(&'static str, u32, &'static str, usize) SerializeStructVariant;
    }
}

impl SerializeStruct for RecordSerializer<'_> {
    type Ok = ();
    type Error = CellError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), CellError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), CellError> {
        Ok(())
    }
}

impl SerializeMap for RecordSerializer<'_> {
    type Ok = ();
    type Error = CellError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CellError> {
        self.key.clear();
        key.serialize(CellSerializer(&mut self.key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CellError> {
        let key = std::mem::take(&mut self.key);
        let written = self.field(&key.text, value);
        self.key = key;
        written
    }

    fn end(self) -> Result<(), CellError> {
        Ok(())
    }
}

/// For one value.
struct CellSerializer<'a>(&'a mut Cell);

macro_rules! put {
    ($how:ident: $($method:ident($kind:ty);)*) => {
        $(fn $method(self, value: $kind) -> Result<(), CellError> { self.0.$how(value) })*
    };
}

impl Serializer for CellSerializer<'_> {
    type Ok = ();
    type Error = CellError;
    type SerializeSeq = Impossible<(), CellError>;
    type SerializeTuple = Impossible<(), CellError>;
    type SerializeTupleStruct = Impossible<(), CellError>;
    type SerializeTupleVariant = Impossible<(), CellError>;
    type SerializeMap = Impossible<(), CellError>;
    type SerializeStruct = Impossible<(), CellError>;
    type SerializeStructVariant = Impossible<(), CellError>;

    put! { put_number:
        serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64); serialize_i128(i128);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_u128(u128);
        serialize_f32(f32); serialize_f64(f64);
    }
    put! { put: serialize_bool(bool); serialize_char(char); }

    fn serialize_str(self, value: &str) -> Result<(), CellError> {
        self.0.text.push_str(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), CellError> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), CellError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CellError> {
        value.serialize(self)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), CellError> {
        self.serialize_str(name)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), CellError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), CellError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), CellError> {
        Err(CellError::custom(NOT_A_VALUE))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), CellError> {
        self.0.put(value)
    }

    refuse! { NOT_A_VALUE; serialize_bytes(&[u8]); }
    refuse! { NOT_A_VALUE =>
        serialize_seq(Option<usize>) SerializeSeq;
        serialize_tuple(usize) SerializeTuple;
        serialize_tuple_struct(&'static str, usize) SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) SerializeTupleVariant;
        serialize_map(Option<usize>) SerializeMap;
        serialize_struct(&'static str, usize) SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) SerializeStructVariant;
    }
}
