//! The test of a value that can be serialised for `None`.

use std::fmt;

use serde::ser::{Impossible, Serialize, Serializer};

/// True if a value is an `Option` without content, within newtypes or not.
#[inline]
pub(super) fn is_none<T: Serialize + ?Sized>(value: &T) -> bool {
    value.serialize(Probe) == Err(Seen::None)
}

struct Probe;

/// The finding of a probe, which no value can be written to.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    None,
    Something,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::None { "nothing" } else { "something" })
    }
}

impl std::error::Error for Seen {}

impl serde::ser::Error for Seen {
    fn custom<T: fmt::Display>(_: T) -> Self {
        // The serializer proper will tell.
        Self::Something
    }
}

macro_rules! something {
    ($($name:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        #[inline]
        fn $name(self, $(_: $type),*) -> Result<$ok, Seen> {
            Err(Seen::Something)
        }
    )*};
}

type Nowhere = Impossible<(), Seen>;

impl Serializer for Probe {
    type Ok = ();
    type Error = Seen;
    type SerializeSeq = Nowhere;
    type SerializeTuple = Nowhere;
    type SerializeTupleStruct = Nowhere;
    type SerializeTupleVariant = Nowhere;
    type SerializeMap = Nowhere;
    type SerializeStruct = Nowhere;
    type SerializeStructVariant = Nowhere;

    something! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_i128(i128) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_u128(u128) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> Nowhere;
        serialize_tuple(usize) -> Nowhere;
        serialize_tuple_struct(&'static str, usize) -> Nowhere;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Nowhere;
        serialize_map(Option<usize>) -> Nowhere;
        serialize_struct(&'static str, usize) -> Nowhere;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Nowhere;
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Seen> {
        Err(Seen::None)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Seen> {
        Err(Seen::Something)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Seen> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Seen> {
        Err(Seen::Something)
    }

    #[inline]
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), Seen> {
        Err(Seen::Something)
    }
}
