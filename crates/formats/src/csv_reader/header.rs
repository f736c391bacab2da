//! The check of a header against the type that is read by it, before the first record.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::error::CsvError;
use crate::input_error::shown;

/// Compares a header with what a type asks for. `true` when the type is a struct whose fields, as serde knows them, are
/// just the names of the header: then each record's fields are taken by position, without a look at their names,
/// measured 10 % faster. A struct with aliases, flattened or left out fields has other names than its header, and is
/// read by name.
///
/// # Errors
/// When no record could be read by this header: it names none of the fields, lacks one that must be there, names one
/// that is refused, or names one twice.
pub(super) fn check_header<T: DeserializeOwned>(headers: &[String]) -> Result<bool, CsvError> {
    let mut asked = Asked::Nothing;
    let found = T::deserialize(Probe { headers, asked: &mut asked }).err();
    let refuse = |problem| Err(CsvError::Header { problem, header: shown(&join(headers)) });
    match asked {
        Asked::Nothing => Ok(false),
        Asked::Names => {
            let named =
                |index: usize, name: &str| !name.is_empty() && headers[..index].iter().any(|earlier| earlier == name);
            match headers.iter().enumerate().find(|(index, name)| named(*index, name)) {
                Some((_, name)) => refuse(format!("column '{}' is named twice", shown(name))),
                None => Ok(false),
            }
        }
        Asked::Fields(fields) if !fields.is_empty() && !headers.iter().any(|name| fields.contains(&name.as_str())) => {
            refuse(format!("none of the fields {} is named", shown(&join(fields))))
        }
        Asked::Fields(fields) => match found {
            Some(Answer::Refused(problem)) => refuse(problem),
            Some(Answer::Unknown) | None => Ok(headers.iter().eq(fields)),
        },
    }
}

fn join(names: &[impl AsRef<str>]) -> String {
    names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",")
}

/// The way in which a type asks for the fields of a record.
enum Asked {
    /// Not by name.
    Nothing,
    /// By whatever names there are.
    Names,
    /// By these names.
    Fields(&'static [&'static str]),
}

/// Records which fields a type asks for, and answers as a record of this header would, with values that mean nothing.
struct Probe<'a> {
    headers: &'a [String],
    asked: &'a mut Asked,
}

/// The reason for which there is no value.
#[derive(Debug)]
enum Answer {
    /// Another value might do.
    Unknown,
    /// It is the names.
    Refused(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "a probe has no values",
            Self::Refused(problem) => problem,
        })
    }
}

impl std::error::Error for Answer {}

impl Error for Answer {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Unknown
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Refused(format!("missing field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Refused(format!("column '{field}' is named twice"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::Refused(format!("column '{}' is none of the fields", shown(field)))
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Answer;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Answer> {
        *self.asked = Asked::Fields(fields);
        visitor.visit_map(Columns { names: self.headers.iter() })
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        *self.asked = Asked::Names;
        Err(Answer::Unknown)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Answer> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer::Unknown)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct enum identifier ignored_any
    }
}

struct Columns<'a> {
    names: std::slice::Iter<'a, String>,
}

impl<'de> MapAccess<'de> for Columns<'_> {
    type Error = Answer;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Answer> {
        let Some(name) = self.names.next() else { return Ok(None) };
        let name: StrDeserializer<'_, Answer> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Answer> {
        seed.deserialize(Value)
    }
}

/// The least of each kind of value.
struct Value;

macro_rules! answer {
    ($($method:ident $visit:ident($value:expr);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Answer> {
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value {
    type Error = Answer;

    answer! {
        deserialize_bool visit_bool(false);
        deserialize_i8 visit_i8(0);
        deserialize_i16 visit_i16(0);
        deserialize_i32 visit_i32(0);
        deserialize_i64 visit_i64(0);
        deserialize_i128 visit_i128(0);
        deserialize_u8 visit_u8(0);
        deserialize_u16 visit_u16(0);
        deserialize_u32 visit_u32(0);
        deserialize_u64 visit_u64(0);
        deserialize_u128 visit_u128(0);
        deserialize_f32 visit_f32(0.0);
        deserialize_f64 visit_f64(0.0);
        deserialize_char visit_char('0');
        deserialize_str visit_borrowed_str("0");
        deserialize_string visit_borrowed_str("0");
        deserialize_any visit_borrowed_str("0");
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Answer> {
        visitor.visit_none()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Answer> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Answer> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Answer> {
        visitor.visit_unit()
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, _: V) -> Result<V::Value, Answer> {
        Err(Answer::Unknown)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer::Unknown)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer::Unknown)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Answer> {
        Err(Answer::Unknown)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer::Unknown)
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer::Unknown)
    }

    forward_to_deserialize_any! { bytes byte_buf unit identifier }
}
