//! An item as a row: each of its fields has its column, those too that serde leaves out of some items.

use serde::ser::{
    Error, Impossible, Serialize, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::columns::{by_name, has_keys};

/// The reason for which an item with keys of its own is no row; it is one of the settings, not of the item.
pub(super) const NEEDS_HEADERS: &str = "the keys of maps and of flattened structs need columns: name them by `headers`";

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

/// Passes an item on to the serializer of rows, and a left out field as an empty one.
pub(super) struct InPlace<S>(pub(super) S);

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
