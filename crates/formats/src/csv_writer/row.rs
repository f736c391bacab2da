//! An item as a row: each of its fields has its place, those too that serde leaves out of some items.

use serde::ser::{
    Error, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Why an item with keys of its own is no row.
const NEEDS_HEADERS: &str = "the keys of maps and of flattened structs need columns: name them by `headers`";

/// An item whose left out fields (`skip_serializing_if`) are empty, so that those behind them keep their columns.
pub(super) struct Row<'a, T: ?Sized> {
    pub(super) item: &'a T,
    /// The columns of the file for what has keys of its own, a map or a flattened struct; none when they are not known.
    pub(super) columns: Option<&'a [String]>,
}

impl<'a, T: Serialize + ?Sized> Row<'a, T> {
    /// A part of a row, which has no columns of its own.
    fn part(item: &'a T) -> Self {
        Self { item, columns: None }
    }
}

impl<T: Serialize + ?Sized> Serialize for Row<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.columns {
            Some(columns) if has_keys(self.item) => by_name(self.item, columns, serializer),
            _ => self.item.serialize(InPlace(serializer)),
        }
    }
}

/// A row of what has keys: each column gets the value of its name, or none.
fn by_name<T: Serialize + ?Sized, S: Serializer>(
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

/// Passes an item on to the serializer of rows, and a left out field as an empty one.
struct InPlace<S>(S);

macro_rules! pass_on {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $name(self, $($argument: $type),*) -> Result<Self::Ok, Self::Error> {
            self.0.$name($($argument),*)
        }
    )*};
}

macro_rules! parts {
    ($($name:ident($($argument:ident: $type:ty),*) $part:ident;)*) => {$(
        #[inline]
        fn $name(self, $($argument: $type),*) -> Result<InPlace<S::$part>, S::Error> {
            self.0.$name($($argument),*).map(InPlace)
        }
    )*};
}

impl<S: Serializer> Serializer for InPlace<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = InPlace<S::SerializeSeq>;
    type SerializeTuple = InPlace<S::SerializeTuple>;
    type SerializeTupleStruct = InPlace<S::SerializeTupleStruct>;
    type SerializeTupleVariant = InPlace<S::SerializeTupleVariant>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = InPlace<S::SerializeStruct>;
    type SerializeStructVariant = InPlace<S::SerializeStructVariant>;

    pass_on! {
        serialize_bool(v: bool);
        serialize_i8(v: i8);
        serialize_i16(v: i16);
        serialize_i32(v: i32);
        serialize_i64(v: i64);
        serialize_i128(v: i128);
        serialize_u8(v: u8);
        serialize_u16(v: u16);
        serialize_u32(v: u32);
        serialize_u64(v: u64);
        serialize_u128(v: u128);
        serialize_f32(v: f32);
        serialize_f64(v: f64);
        serialize_char(v: char);
        serialize_str(v: &str);
        serialize_bytes(v: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    parts! {
        serialize_seq(len: Option<usize>) SerializeSeq;
        serialize_tuple(len: usize) SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) SerializeTupleVariant;
        serialize_struct(name: &'static str, len: usize) SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) SerializeStructVariant;
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Err(S::Error::custom(NEEDS_HEADERS))
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Row::part(value))
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Row::part(value))
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Row::part(value))
    }

    #[inline]
    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! elements {
    ($($part:ident $name:ident;)*) => {$(
        impl<P: $part> $part for InPlace<P> {
            type Ok = P::Ok;
            type Error = P::Error;

            #[inline]
            fn $name<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), P::Error> {
                self.0.$name(&Row::part(value))
            }

            #[inline]
            fn end(self) -> Result<P::Ok, P::Error> {
                self.0.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! fields {
    ($($part:ident)*) => {$(
        impl<P: $part> $part for InPlace<P> {
            type Ok = P::Ok;
            type Error = P::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), P::Error> {
                self.0.serialize_field(name, &Row::part(value))
            }

            /// It has its column all the same.
            #[inline]
            fn skip_field(&mut self, name: &'static str) -> Result<(), P::Error> {
                self.0.serialize_field(name, &None::<()>)
            }

            #[inline]
            fn end(self) -> Result<P::Ok, P::Error> {
                self.0.end()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

/// Why the search for keys has no value to give.
#[derive(Debug)]
enum Finding {
    /// It is a map that it looked at.
    Map,
    Other,
    Problem(String),
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if let Self::Problem(problem) = self { problem } else { NOT_A_MAP })
    }
}

impl std::error::Error for Finding {}

impl Error for Finding {
    fn custom<M: std::fmt::Display>(message: M) -> Self {
        Self::Problem(message.to_string())
    }
}

/// Whether an item is written as a map: it is one, or a struct with a flattened part.
#[inline]
fn has_keys<T: Serialize + ?Sized>(item: &T) -> bool {
    matches!(item.serialize(Kind), Err(Finding::Map))
}

/// The kinds of values that are no map.
macro_rules! no_map {
    ($($name:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        #[inline]
        fn $name(self, $(_: $type),*) -> Result<$ok, Self::Error> {
            Err(Self::no_map())
        }
    )*};
}

const NOT_A_MAP: &str = "item is a map in one place and none in another";

macro_rules! no_map_at_all {
    () => {
        no_map! {
            serialize_bool(bool) -> Self::Ok;
            serialize_i8(i8) -> Self::Ok;
            serialize_i16(i16) -> Self::Ok;
            serialize_i32(i32) -> Self::Ok;
            serialize_i64(i64) -> Self::Ok;
            serialize_u8(u8) -> Self::Ok;
            serialize_u16(u16) -> Self::Ok;
            serialize_u32(u32) -> Self::Ok;
            serialize_u64(u64) -> Self::Ok;
            serialize_f32(f32) -> Self::Ok;
            serialize_f64(f64) -> Self::Ok;
            serialize_char(char) -> Self::Ok;
            serialize_str(&str) -> Self::Ok;
            serialize_bytes(&[u8]) -> Self::Ok;
            serialize_none() -> Self::Ok;
            serialize_unit() -> Self::Ok;
            serialize_unit_struct(&'static str) -> Self::Ok;
            serialize_unit_variant(&'static str, u32, &'static str) -> Self::Ok;
            serialize_seq(Option<usize>) -> Self::SerializeSeq;
            serialize_tuple(usize) -> Self::SerializeTuple;
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
            serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
            serialize_struct(&'static str, usize) -> Self::SerializeStruct;
            serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<Self::Ok, Self::Error> {
            Err(Self::no_map())
        }

        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Ok, Self::Error> {
            value.serialize(self)
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            value: &T,
        ) -> Result<Self::Ok, Self::Error> {
            value.serialize(self)
        }
    };
}

macro_rules! nothing_but_maps {
    ($ok:ty, $error:ty) => {
        type Ok = $ok;
        type Error = $error;
        type SerializeSeq = Impossible<$ok, $error>;
        type SerializeTuple = Impossible<$ok, $error>;
        type SerializeTupleStruct = Impossible<$ok, $error>;
        type SerializeTupleVariant = Impossible<$ok, $error>;
        type SerializeStruct = Impossible<$ok, $error>;
        type SerializeStructVariant = Impossible<$ok, $error>;
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

/// The column of a key.
struct Find<'a> {
    columns: &'a [String],
    /// A key without a column is an error.
    must_be: bool,
}

impl Find<'_> {
    fn no_map() -> Finding {
        Finding::custom("a key that is no text has no column")
    }

    fn find(self, key: &str) -> Result<Option<usize>, Finding> {
        match self.columns.iter().position(|column| column == key) {
            None if self.must_be => Err(Finding::custom(format_args!("field '{key}' has no column"))),
            found => Ok(found),
        }
    }
}

impl Serializer for Find<'_> {
    nothing_but_maps! { Option<usize>, Finding }
    type SerializeMap = Impossible<Option<usize>, Finding>;

    no_map! {
        serialize_bool(bool) -> Self::Ok;
        serialize_i8(i8) -> Self::Ok;
        serialize_i16(i16) -> Self::Ok;
        serialize_i32(i32) -> Self::Ok;
        serialize_i64(i64) -> Self::Ok;
        serialize_u8(u8) -> Self::Ok;
        serialize_u16(u16) -> Self::Ok;
        serialize_u32(u32) -> Self::Ok;
        serialize_u64(u64) -> Self::Ok;
        serialize_f32(f32) -> Self::Ok;
        serialize_f64(f64) -> Self::Ok;
        serialize_bytes(&[u8]) -> Self::Ok;
        serialize_none() -> Self::Ok;
        serialize_unit() -> Self::Ok;
        serialize_unit_struct(&'static str) -> Self::Ok;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_str(self, key: &str) -> Result<Option<usize>, Finding> {
        self.find(key)
    }

    fn serialize_char(self, key: char) -> Result<Option<usize>, Finding> {
        self.find(key.encode_utf8(&mut [0; 4]))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, key: &'static str) -> Result<Option<usize>, Finding> {
        self.find(key)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, key: &T) -> Result<Option<usize>, Finding> {
        key.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        key: &T,
    ) -> Result<Option<usize>, Finding> {
        key.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Option<usize>, Finding> {
        Err(Self::no_map())
    }
}
