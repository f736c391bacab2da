//! From a row of SQLite to a serde type: by the names of the columns, by their order, or the value of a single one.

use std::fmt;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::de::value::{BorrowedBytesDeserializer, BorrowedStrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The mismatch of a row and the type that is made of it.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
struct RowError {
    problem: String,
}

impl serde::de::Error for RowError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { problem: message.to_string() }
    }
}

impl From<rusqlite::Error> for RowError {
    fn from(error: rusqlite::Error) -> Self {
        Self::custom(error)
    }
}

/// Makes a `T` of a row.
///
/// # Errors
/// The mismatch, with the name of the column.
pub(super) fn read_row<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<T> {
    // Of rusqlite's errors this is the one that shows what it holds and nothing else.
    T::deserialize(RowDeserializer(row)).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

struct RowDeserializer<'a>(&'a Row<'a>);

impl<'a> RowDeserializer<'a> {
    fn columns(&self) -> usize {
        self.0.as_ref().column_count()
    }

    fn value(&self, index: usize) -> Result<ValueDeserializer<'a>, RowError> {
        Ok(ValueDeserializer(self.0.get_ref(index)?))
    }

    /// An error of a column's value, with its name.
    fn of_column(&self, index: usize, error: RowError) -> RowError {
        match self.0.as_ref().column_name(index) {
            Ok(name) => RowError::custom(format!("column '{name}': {}", error.problem)),
            Err(_) => error,
        }
    }

    /// The only column.
    fn single(&self) -> Result<ValueDeserializer<'a>, RowError> {
        match self.columns() {
            1 => self.value(0),
            columns => Err(RowError::custom(format!(
                "a row of {columns} columns is read as a struct, a map or a tuple, not as a single value"
            ))),
        }
    }
}

macro_rules! single {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
            let value = self.single()?;
            value.$name(visitor).map_err(|error| self.of_column(0, error))
        }
    )*};
}

impl<'de> Deserializer<'de> for RowDeserializer<'de> {
    type Error = RowError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_map(Columns { row: self, next: 0 })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_seq(Columns { row: self, next: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, RowError> {
        match self.columns() {
            columns if columns == length => self.deserialize_seq(visitor),
            columns => {
                Err(RowError::custom(format!("the row has {columns} columns, and a tuple of {length} is made of it")))
            }
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        let value = self.single()?;
        value.deserialize_enum(name, variants, visitor).map_err(|error| self.of_column(0, error))
    }

    single! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
    }

    serde::forward_to_deserialize_any! { unit unit_struct map struct identifier ignored_any }
}

/// The columns of a row, one after another.
struct Columns<'a> {
    row: RowDeserializer<'a>,
    next: usize,
}

impl<'de> MapAccess<'de> for Columns<'de> {
    type Error = RowError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, RowError> {
        if self.next == self.row.columns() {
            return Ok(None);
        }
        let name = self.row.0.as_ref().column_name(self.next)?;
        seed.deserialize(serde::de::value::StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, RowError> {
        let index = self.next;
        self.next += 1;
        seed.deserialize(self.row.value(index)?).map_err(|error| self.row.of_column(index, error))
    }
}

impl<'de> SeqAccess<'de> for Columns<'de> {
    type Error = RowError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, RowError> {
        if self.next == self.row.columns() {
            return Ok(None);
        }
        MapAccess::next_value_seed(self, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.row.columns() - self.next)
    }
}

struct ValueDeserializer<'a>(ValueRef<'a>);

impl<'a> ValueDeserializer<'a> {
    fn text(bytes: &'a [u8]) -> Result<&'a str, RowError> {
        std::str::from_utf8(bytes).map_err(|_| RowError::custom("the text is not UTF-8"))
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = RowError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.0 {
            ValueRef::Null => visitor.visit_unit(),
            ValueRef::Integer(number) => visitor.visit_i64(number),
            ValueRef::Real(number) => visitor.visit_f64(number),
            ValueRef::Text(bytes) => visitor.visit_borrowed_str(Self::text(bytes)?),
            ValueRef::Blob(bytes) => visitor.visit_borrowed_bytes(bytes),
        }
    }

    /// SQLite has no type of its own for them.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.0 {
            ValueRef::Integer(number @ (0 | 1)) => visitor.visit_bool(number == 1),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.0 {
            ValueRef::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        match self.0 {
            ValueRef::Text(bytes) => {
                BorrowedStrDeserializer::new(Self::text(bytes)?).deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// Bytes as a sequence of numbers too, as `Vec<u8>` wants them.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.0 {
            ValueRef::Blob(bytes) => {
                let numbers = bytes.iter().copied();
                serde::de::value::SeqDeserializer::new(numbers).deserialize_seq(visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.0 {
            ValueRef::Blob(bytes) => BorrowedBytesDeserializer::new(bytes).deserialize_bytes(visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        self.deserialize_bytes(visitor)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use serde::Deserialize;

    fn read<T: DeserializeOwned>(query: &str) -> Result<T, String> {
        let connection = Connection::open_in_memory().unwrap();
        connection.query_row(query, [], |row| read_row(row)).map_err(|error| error.to_string())
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Size {
        Small,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Strike {
        id: u32,
        species: Option<String>,
        size: Option<Size>,
        cost: f64,
        day: jiff::civil::Date,
        seen: bool,
        photo: Vec<u8>,
    }

    #[test]
    fn a_struct_takes_the_columns_of_its_fields() {
        let query = "SELECT x'0102' AS photo, 7 AS id, NULL AS species, 'small' AS size, 3 AS cost, 1 AS seen, \
                     '1990-01-31' AS day, 'nobody wants it' AS other";
        let day = jiff::civil::date(1990, 1, 31);
        let strike =
            Strike { id: 7, species: None, size: Some(Size::Small), cost: 3.0, day, seen: true, photo: vec![1, 2] };
        assert_eq!(read::<Strike>(query), Ok(strike));
    }

    #[test]
    fn tuples_go_by_the_order_and_a_single_column_is_a_value() {
        assert_eq!(read("SELECT 1, 'a', NULL"), Ok((1_i64, "a".to_owned(), None::<f64>)));
        assert_eq!(read("SELECT 'a'"), Ok("a".to_owned()));
        assert_eq!(read("SELECT NULL"), Ok(None::<i64>));
        assert_eq!(read("SELECT 'small'"), Ok(Size::Small));
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_column() {
        assert_eq!(
            read::<(u8, i64)>("SELECT 300 AS id, 1").unwrap_err(),
            "column 'id': invalid value: integer `300`, expected u8"
        );
        assert!(read::<Strike>("SELECT 1 AS id").unwrap_err().contains("missing field"));
        assert!(read::<(i64, i64)>("SELECT 1").unwrap_err().contains("1 columns, and a tuple of 2"));
        assert!(read::<i64>("SELECT 1, 2").unwrap_err().contains("not as a single value"));
        assert_eq!(
            read::<String>("SELECT 1 AS name").unwrap_err(),
            "column 'name': invalid type: integer `1`, expected a string"
        );
    }
}
