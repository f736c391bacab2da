//! The column of a key, and the serializers that take nothing but what has keys.

use serde::ser::{Error, Impossible, Serialize, Serializer};

pub(super) const NOT_A_MAP: &str = "item is a map in one place and none in another";

/// The reason for which the search for keys has no value to give.
#[derive(Debug)]
pub(super) enum Finding {
    /// The item is a map.
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

/// The kinds of values that are no map.
macro_rules! no_map {
    ($($name:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        #[inline]
        fn $name(self, $(_: $type),*) -> Result<$ok, Self::Error> {
            Err(Self::no_map())
        }
    )*};
}

/// Refuses all values that are neither a map nor text, and looks into those that wrap another.
macro_rules! no_map_but_text {
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
            serialize_bytes(&[u8]) -> Self::Ok;
            serialize_none() -> Self::Ok;
            serialize_unit() -> Self::Ok;
            serialize_unit_struct(&'static str) -> Self::Ok;
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

pub(super) use {no_map, no_map_but_text, nothing_but_maps};

/// The column of a key.
pub(super) struct Find<'a> {
    pub(super) columns: &'a [String],
    /// A key without a column is an error.
    pub(super) must_be: bool,
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

    no_map_but_text! {}
    no_map! {
        serialize_map(Option<usize>) -> Self::SerializeMap;
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
}
