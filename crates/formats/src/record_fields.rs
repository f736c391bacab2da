//! The fields of a record as a value: a field is text unless the type asks for something else.

use std::fmt::Display;
use std::iter::Peekable;
use std::str::FromStr;

use csv::{StringRecord, StringRecordIter};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

/// Stands for the text of a field while it is found out which fields must be more than text; its column follows.
const MARK: &str = "oxbatch text of column ";

/// Why a record is not a `T`.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct FieldError {
    /// The field that does not fit, where it is known.
    pub(super) field: Option<usize>,
    pub(super) problem: String,
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
}

/// Makes values of records, and remembers which fields of a flattened struct are numbers.
///
/// A flattened struct, an untagged enum and a map of any values ask for whatever stands there, and get text. Only where
/// that is an error because a number is expected, as for a number within a flattened struct, do they get one.
#[derive(Debug, Default)]
pub(super) struct FieldTypes {
    /// By column; shorter than the record when the rest is text.
    numbers: Vec<bool>,
}

impl FieldTypes {
    /// A record as a value: by the names of its columns, or by their position without.
    #[inline]
    pub(super) fn decode<T: DeserializeOwned>(
        &mut self,
        record: &StringRecord,
        names: Option<&StringRecord>,
    ) -> Result<T, FieldError> {
        match T::deserialize(&mut Fields::new(record, names, &self.numbers, false)) {
            Err(fault) if fault.field.is_none() && self.learn::<T>(record, names) => {
                T::deserialize(&mut Fields::new(record, names, &self.numbers, false))
            }
            decoded => decoded,
        }
    }

    /// Finds the fields that are refused as text of any kind; `false` when there is none that was not known.
    #[cold]
    fn learn<T: DeserializeOwned>(&mut self, record: &StringRecord, names: Option<&StringRecord>) -> bool {
        let mut learnt = false;
        for _ in 0..record.len() {
            let probed = T::deserialize(&mut Fields::new(record, names, &self.numbers, true));
            let Some(column) = probed.err().and_then(|fault| refused(&fault.problem)) else { break };
            if column >= record.len() || self.numbers.get(column) == Some(&true) {
                break;
            }
            self.numbers.resize(self.numbers.len().max(column + 1), false);
            self.numbers[column] = true;
            learnt = true;
        }
        learnt
    }
}

/// The column whose mark was refused because it is text.
fn refused(problem: &str) -> Option<usize> {
    let rest = problem.strip_prefix("invalid type: string \"")?.strip_prefix(MARK)?;
    rest.split('"').next()?.parse().ok()
}

/// The fields that were not taken yet.
struct Fields<'de, 'a> {
    fields: Peekable<StringRecordIter<'de>>,
    names: Option<StringRecordIter<'de>>,
    taken: usize,
    numbers: &'a [bool],
    marks: bool,
}

impl<'de, 'a> Fields<'de, 'a> {
    #[inline]
    fn new(record: &'de StringRecord, names: Option<&'de StringRecord>, numbers: &'a [bool], marks: bool) -> Self {
        let names = names.map(StringRecord::iter);
        Self { fields: record.iter().peekable(), names, taken: 0, numbers, marks }
    }

    #[inline]
    fn next(&mut self) -> Result<&'de str, FieldError> {
        let Some(field) = self.fields.next() else {
            return Err(FieldError::custom("expected field, but got end of row"));
        };
        self.taken += 1;
        Ok(field)
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

    #[inline]
    fn float(&mut self) -> Result<(&'de str, f64), FieldError> {
        let field = self.next()?;
        match field.parse::<f64>() {
            Ok(number) => self.fits(field, number.is_infinite(), number == 0.0).map(|()| (field, number)),
            Err(error) => Err(FieldError::at(self.last(), error)),
        }
    }

    /// A number that its type makes infinite or 0 of, which it is not.
    #[inline]
    fn fits(&self, field: &str, infinite: bool, zero: bool) -> Result<(), FieldError> {
        if infinite && field.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(FieldError::at(self.last(), "number too large to fit in target type"));
        }
        if zero && field.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
        {
            return Err(FieldError::at(self.last(), "number too small to fit in target type"));
        }
        Ok(())
    }
}

/// A field of which it is known that a number is expected.
fn visit_number<'de, V: Visitor<'de>>(field: &'de str, visitor: V) -> Result<V::Value, FieldError> {
    if field.is_empty() {
        return visitor.visit_unit();
    }
    if let Ok(flag) = field.parse() {
        return visitor.visit_bool(flag);
    }
    if let Ok(number) = field.parse() {
        return visitor.visit_u64(number);
    }
    if let Ok(number) = field.parse() {
        return visitor.visit_i64(number);
    }
    let is_whole = field.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+'));
    match field.parse::<f64>() {
        // One of more digits than 64 bits hold would lose some.
        Ok(number) if !is_whole && (number.is_finite() || !field.contains(|c: char| c.is_ascii_digit())) => {
            visitor.visit_f64(number)
        }
        _ => visitor.visit_borrowed_str(field),
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

impl<'de> Deserializer<'de> for &mut Fields<'de, '_> {
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
        let field = self.next()?;
        let column = self.last();
        if self.numbers.get(column) == Some(&true) {
            return visit_number(field, visitor);
        }
        if self.marks {
            return visitor.visit_string(format!("{MARK}{column}"));
        }
        visitor.visit_borrowed_str(field)
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
        visitor.visit_f64(self.float()?.1)
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
        match self.fields.peek() {
            None => visitor.visit_none(),
            Some(&"") => {
                self.next()?;
                visitor.visit_none()
            }
            Some(_) => visitor.visit_some(self),
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
        self.next()?;
        visitor.visit_unit()
    }
}

impl<'de> SeqAccess<'de> for &mut Fields<'de, '_> {
    type Error = FieldError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FieldError> {
        if self.fields.peek().is_none() { Ok(None) } else { seed.deserialize(&mut **self).map(Some) }
    }
}

impl<'de> MapAccess<'de> for &mut Fields<'de, '_> {
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
impl<'de> EnumAccess<'de> for &mut Fields<'de, '_> {
    type Error = FieldError;
    type Variant = UnitVariant;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, UnitVariant), FieldError> {
        let name = self.next()?;
        let variant = IntoDeserializer::<FieldError>::into_deserializer(name);
        let problem = |fault: FieldError| FieldError::at(self.last(), fault.problem);
        seed.deserialize(variant).map(|value| (value, UnitVariant)).map_err(problem)
    }
}

/// Variants with content do not fit into a field.
struct UnitVariant;

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    fn record(fields: &[&str]) -> StringRecord {
        fields.to_vec().into()
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Address {
        zip: String,
        floor: Option<u32>,
        share: f64,
        #[serde(default)]
        lift: bool,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Person {
        id: u8,
        #[serde(flatten)]
        address: Address,
    }

    #[test]
    fn what_a_type_leaves_open_is_text() {
        let names = record(&["a", "b", "c", "d", "e", "f"]);
        let fields = ["00501", "NaN", "12E400", "123456789012345678901234567890", "0x10", "true"];
        let decoded: BTreeMap<String, serde_json::Value> =
            FieldTypes::default().decode(&record(&fields), Some(&names)).unwrap();
        assert!(decoded.values().map(|value| value.as_str().unwrap()).eq(fields), "{decoded:?}");
    }

    #[test]
    fn a_flattened_struct_has_text_and_numbers_as_its_fields_ask() {
        let names = record(&["id", "zip", "floor", "share", "lift"]);
        let mut types = FieldTypes::default();
        let person = |zip: &str, floor, share, lift| Person {
            id: 1,
            address: Address { zip: zip.to_owned(), floor, share, lift },
        };
        let mut decode = |fields: [&str; 5]| types.decode::<Person>(&record(&fields), Some(&names));
        assert_eq!(decode(["1", "00501", "5", "5", "true"]).unwrap(), person("00501", Some(5), 5.0, true));
        assert_eq!(decode(["1", "5", "5", "1.5", "false"]).unwrap(), person("5", Some(5), 1.5, false));
        assert_eq!(decode(["1", "", "", "-1", "false"]).unwrap(), person("", None, -1.0, false));
        assert!(decode(["1", "x", "y", "1", "false"]).unwrap_err().problem.starts_with("invalid type: string \"y\""));
        assert!(decode(["1", "x", "1", "12E400", "false"]).is_err());
        assert!(decode(["1", "x", "123456789012345678901234567890", "1", "false"]).is_err());
    }

    #[test]
    fn a_number_that_its_type_cannot_hold_is_a_fault_of_its_field() {
        let decode = |text: &str| FieldTypes::default().decode::<(String, f64)>(&record(&["x", text]), None);
        for text in ["12E400", "1e-400", "0x10", ""] {
            assert_eq!(decode(text).unwrap_err().field, Some(1), "{text}");
        }
        assert_eq!(decode("0e5").unwrap().1, 0.0);
        assert_eq!(decode("-inf").unwrap().1, f64::NEG_INFINITY);
        let whole = FieldTypes::default().decode::<(u32,)>(&record(&["0x10"]), None).unwrap_err();
        assert_eq!((whole.field, whole.problem.as_str()), (Some(0), "invalid digit found in string"));
    }
}
