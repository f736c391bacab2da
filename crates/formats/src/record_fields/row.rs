//! A record as a deserializer: each field is read as the type asks for it.

use std::fmt::Display;
use std::slice::Iter;
use std::str::FromStr;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::Record;
use super::field::Field;
use super::number::{misfit, visit_number};
use super::types::mark_of;
use crate::DecodeError;
use crate::input_error::{RecordError, shown};

/// The reason for which a record is not a `T`.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct FieldError {
    /// The field that does not fit, where it is known.
    pub(crate) field: Option<usize>,
    pub(crate) problem: String,
}

/// The name of a column for a message: that of the header, or its number.
pub(crate) fn column(field: usize, names: Option<&[String]>) -> String {
    match names.and_then(|names| names.get(field)) {
        Some(name) => format!("column '{name}'"),
        None => format!("column {}", field + 1),
    }
}

impl Error for FieldError {
    fn custom<M: Display>(message: M) -> Self {
        Self { field: None, problem: message.to_string() }
    }
}

impl FieldError {
    fn at(field: usize, problem: impl Display) -> Self {
        Self { field: Some(field), problem: problem.to_string() }
    }

    /// The error of a record, with the value of the field and the name of its column.
    #[cold]
    pub(crate) fn into_decode_error(self, record: Record<'_>, names: Option<&[String]>) -> DecodeError {
        let Self { field, problem } = self;
        let value = field.and_then(|field| record.get(field)).map(shown);
        let error = DecodeError::new(RecordError::Field { value, problem });
        match field {
            Some(field) => error.at(column(field, names)),
            None => error,
        }
    }
}

/// The fields of a record that have not been taken yet.
pub(super) struct Row<'de, 'a> {
    record: Record<'de>,
    fields: Iter<'de, Field>,
    names: Option<Iter<'de, String>>,
    taken: usize,
    /// Columns of which it is known that a number is asked for.
    numbers: &'a [bool],
    /// A field is answered by its mark where any value is asked for.
    marks: bool,
}

impl<'de, 'a> Row<'de, 'a> {
    #[inline]
    pub(super) fn new(record: Record<'de>, names: Option<&'de [String]>, numbers: &'a [bool], marks: bool) -> Self {
        let names = names.map(<[String]>::iter);
        Self { record, fields: record.fields().iter(), names, taken: 0, numbers, marks }
    }

    #[inline]
    fn next_field(&mut self) -> Result<&'de Field, FieldError> {
        let Some(field) = self.fields.next() else {
            return Err(FieldError::custom("expected field, but got end of row"));
        };
        self.taken += 1;
        Ok(field)
    }

    #[inline]
    fn next(&mut self) -> Result<&'de str, FieldError> {
        let field = self.next_field()?;
        if self.record.is_mark(field) {
            return Err(FieldError::at(self.last(), "it stands for NULL, and only an `Option` can be NULL"));
        }
        Ok(self.record.text_of(field))
    }

    /// `Some(true)` if the next field is NULL; `None` when there is no next one.
    #[inline]
    fn next_is_null(&self) -> Option<bool> {
        self.fields.as_slice().first().map(|field| self.record.is_null(field))
    }

    /// The field that was taken last.
    fn last(&self) -> usize {
        self.taken.saturating_sub(1)
    }

    #[inline]
    fn parse<N: FromStr<Err: Display>>(&mut self) -> Result<N, FieldError> {
        let field = self.next()?;
        field.parse().map_err(|error| FieldError::at(self.last(), error))
    }

    /// Checks that a number is the one that stands in its field.
    #[inline]
    fn fits(&self, field: &str, infinite: bool, zero: bool) -> Result<(), FieldError> {
        match misfit(field, infinite, zero) {
            Some(problem) => Err(FieldError::at(self.last(), problem)),
            None => Ok(()),
        }
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            visitor.$visit(self.parse()?)
        }
    )*};
}

macro_rules! sequence {
    ($($method:ident($($kind:ty),*);)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $(_: $kind,)* visitor: V) -> Result<V::Value, FieldError> {
            visitor.visit_seq(self)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Row<'de, '_> {
    type Error = FieldError;

    parsed! {
        deserialize_bool visit_bool;
        deserialize_i8 visit_i8;
        deserialize_i16 visit_i16;
        deserialize_i32 visit_i32;
        deserialize_i64 visit_i64;
        deserialize_i128 visit_i128;
        deserialize_u8 visit_u8;
        deserialize_u16 visit_u16;
        deserialize_u32 visit_u32;
        deserialize_u64 visit_u64;
        deserialize_u128 visit_u128;
    }

    sequence! {
        deserialize_seq();
        deserialize_tuple(usize);
        deserialize_tuple_struct(&'static str, usize);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let field = self.next_field()?;
        let (column, text) = (self.last(), self.record.text_of(field));
        if self.record.is_mark(field) {
            return visitor.visit_unit();
        }
        if self.numbers.get(column) == Some(&true) {
            return visit_number(text, visitor);
        }
        if self.marks {
            return visitor.visit_string(mark_of(column));
        }
        visitor.visit_borrowed_str(text)
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let field = self.next()?;
        let number = field.parse::<f32>().map_err(|error| FieldError::at(self.last(), error))?;
        self.fits(field, number.is_infinite(), number == 0.0)?;
        visitor.visit_f32(number)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let field = self.next()?;
        let number = field.parse::<f64>().map_err(|error| FieldError::at(self.last(), error))?;
        self.fits(field, number.is_infinite(), number == 0.0)?;
        visitor.visit_f64(number)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let field = self.next()?;
        let mut characters = field.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => visitor.visit_char(character),
            _ => {
                let found = field.chars().count();
                let problem = format!("expected single character but got {found} characters in '{field}'");
                Err(FieldError::at(self.last(), problem))
            }
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_borrowed_str(self.next()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_str(self.next()?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_borrowed_bytes(self.next()?.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_byte_buf(self.next()?.as_bytes().to_vec())
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.next_is_null() {
            None => visitor.visit_none(),
            Some(true) => {
                self.next_field()?;
                visitor.visit_none()
            }
            Some(false) => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        if self.names.is_some() { visitor.visit_map(self) } else { visitor.visit_seq(self) }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_enum(self)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_str(visitor)
    }

    /// A column that the type does not have.
    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.next_field()?;
        visitor.visit_unit()
    }
}

impl<'de> SeqAccess<'de> for &mut Row<'de, '_> {
    type Error = FieldError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FieldError> {
        if self.fields.as_slice().is_empty() { Ok(None) } else { seed.deserialize(&mut **self).map(Some) }
    }
}

impl<'de> MapAccess<'de> for &mut Row<'de, '_> {
    type Error = FieldError;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FieldError> {
        match self.names.as_mut().and_then(Iterator::next) {
            Some(name) => seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, FieldError> {
        seed.deserialize(&mut **self)
    }
}

/// A field that is the name of a variant.
impl<'de> EnumAccess<'de> for &mut Row<'de, '_> {
    type Error = FieldError;
    type Variant = UnitVariant;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, UnitVariant), FieldError> {
        let name = self.next()?;
        let variant = IntoDeserializer::<FieldError>::into_deserializer(name);
        let problem = |error: FieldError| FieldError::at(self.last(), error.problem);
        seed.deserialize(variant).map(|value| (value, UnitVariant)).map_err(problem)
    }
}

/// Variants with content do not fit into a field.
pub(super) struct UnitVariant;

impl<'de> VariantAccess<'de> for UnitVariant {
    type Error = FieldError;

    fn unit_variant(self) -> Result<(), FieldError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, FieldError> {
        Err(FieldError::invalid_type(Unexpected::UnitVariant, &"newtype variant"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, FieldError> {
        Err(FieldError::invalid_type(Unexpected::UnitVariant, &"tuple variant"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, FieldError> {
        Err(FieldError::invalid_type(Unexpected::UnitVariant, &"struct variant"))
    }
}
