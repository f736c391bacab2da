//! An item with keys of its own, a map or a flattened struct, as a row: each column has the value of its name.

use serde::ser::{Error, Impossible, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::key::{Find, Finding, NOT_A_MAP, no_map, no_map_but_text, nothing_but_maps};
use super::row::InPlace;

/// A row of what has keys: each column gets the value of its name, or none.
pub(super) fn by_name<T: Serialize + ?Sized, S: Serializer>(
    item: &T,
    columns: &[String],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if let Err(Finding::Problem(problem)) = item.serialize(Keys { columns, seen: vec![false; columns.len()] }) {
        return Err(S::Error::custom(problem));
    }
    let mut row = serializer.serialize_seq(Some(columns.len()))?;
    for name in columns {
        row.serialize_element(&Cell { item, name })?;
    }
    row.end()
}

/// The value of one key of an item.
struct Cell<'a, T: ?Sized> {
    item: &'a T,
    name: &'a String,
}

impl<T: Serialize + ?Sized> Serialize for Cell<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.item.serialize(Pick { inner: serializer, name: self.name })
    }
}

/// True if an item is written as a map: it is one, or a struct with a flattened part.
#[inline]
pub(super) fn has_keys<T: Serialize + ?Sized>(item: &T) -> bool {
    matches!(item.serialize(Kind), Err(Finding::Map))
}

/// Refuses all values that are no map: text too.
macro_rules! no_map_at_all {
    () => {
        no_map_but_text! {}
        no_map! {
            serialize_char(char) -> Self::Ok;
            serialize_str(&str) -> Self::Ok;
            serialize_unit_variant(&'static str, u32, &'static str) -> Self::Ok;
        }
    };
}

/// Finds out what an item is.
struct Kind;

impl Kind {
    fn no_map() -> Finding {
        Finding::Other
    }
}

impl Serializer for Kind {
    nothing_but_maps! { (), Finding }
    type SerializeMap = Impossible<(), Finding>;
    no_map_at_all! {}

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Finding> {
        Err(Finding::Map)
    }
}

/// Checks that each key has a column of its own.
struct Keys<'a> {
    columns: &'a [String],
    seen: Vec<bool>,
}

impl Keys<'_> {
    fn no_map() -> Finding {
        Finding::custom(NOT_A_MAP)
    }
}

impl Serializer for Keys<'_> {
    nothing_but_maps! { (), Finding }
    type SerializeMap = Self;
    no_map_at_all! {}

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Finding> {
        Ok(self)
    }
}

impl SerializeMap for Keys<'_> {
    type Ok = ();
    type Error = Finding;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Finding> {
        match key.serialize(Find { columns: self.columns, must_be: true })? {
            Some(column) if !std::mem::replace(&mut self.seen[column], true) => Ok(()),
            Some(column) => Err(Finding::custom(format_args!("field '{}' comes twice", self.columns[column]))),
            None => Ok(()),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Finding> {
        Ok(())
    }

    fn end(self) -> Result<(), Finding> {
        Ok(())
    }
}

/// Passes the value of one key on to the serializer of rows, and nothing when there is none.
struct Pick<'a, S> {
    inner: S,
    name: &'a String,
}

impl<S: Serializer> Pick<'_, S> {
    fn no_map() -> S::Error {
        S::Error::custom(NOT_A_MAP)
    }
}

impl<'a, S: Serializer> Serializer for Pick<'a, S> {
    nothing_but_maps! { S::Ok, S::Error }
    type SerializeMap = Picking<'a, S>;
    no_map_at_all! {}

    fn serialize_map(self, _: Option<usize>) -> Result<Picking<'a, S>, S::Error> {
        Ok(Picking { inner: Some(self.inner), name: self.name, is_next: false, picked: None })
    }
}

struct Picking<'a, S: Serializer> {
    inner: Option<S>,
    name: &'a String,
    is_next: bool,
    picked: Option<S::Ok>,
}

impl<S: Serializer> SerializeMap for Picking<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        let found = key.serialize(Find { columns: std::slice::from_ref(self.name), must_be: false });
        self.is_next = found.map_err(S::Error::custom)?.is_some();
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        if let Some(inner) = self.inner.take_if(|_| self.is_next) {
            self.picked = Some(value.serialize(InPlace(inner))?);
        }
        Ok(())
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match (self.picked, self.inner) {
            (Some(picked), _) => Ok(picked),
            (None, Some(inner)) => inner.serialize_none(),
            (None, None) => Err(S::Error::custom(NOT_A_MAP)),
        }
    }
}
