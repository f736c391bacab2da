//! `Guarded`: a value that is serialised under a rule of its format, which the format's serializer does not know.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::none::is_none;

/// A rule of a format for what its serializer would write wrongly without a word.
pub trait Guard: Copy {
    /// True if fields and entries that are `None` are left out, and those of lists are errors.
    const LEAVES_OUT_NONE: bool = false;

    /// Writes a float that is NaN or infinite, or refuses it.
    ///
    /// # Errors
    /// Those of the serializer, or one that says that the format cannot hold the number.
    fn not_finite<S: Serializer>(self, serializer: S, value: f64) -> Result<S::Ok, S::Error>;
}

/// A value that any serializer writes under the rule of `G`, whatever it contains.
#[derive(Debug)]
pub struct Guarded<'a, T: ?Sized, G> {
    value: &'a T,
    guard: G,
}

impl<'a, T: ?Sized, G: Guard> Guarded<'a, T, G> {
    /// Puts a value under a rule.
    pub fn new(value: &'a T, guard: G) -> Self {
        Self { value, guard }
    }
}

impl<T: Serialize + ?Sized, G: Guard> Serialize for Guarded<'_, T, G> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Under { inner: serializer, guard: self.guard })
    }
}

/// A serializer, or a part of one, under a rule.
struct Under<S, G> {
    inner: S,
    guard: G,
}

/// The ways of a serializer that a rule does not touch.
macro_rules! pass_on {
    ($($name:ident($type:ty);)*) => {$(
        #[inline]
        fn $name(self, value: $type) -> Result<Self::Ok, Self::Error> {
            self.inner.$name(value)
        }
    )*};
}

impl<S: Serializer, G: Guard> Serializer for Under<S, G> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Under<S::SerializeSeq, G>;
    type SerializeTuple = Under<S::SerializeTuple, G>;
    type SerializeTupleStruct = Under<S::SerializeTupleStruct, G>;
    type SerializeTupleVariant = Under<S::SerializeTupleVariant, G>;
    type SerializeMap = Under<S::SerializeMap, G>;
    type SerializeStruct = Under<S::SerializeStruct, G>;
    type SerializeStructVariant = Under<S::SerializeStructVariant, G>;

    pass_on! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_unit_struct(&'static str);
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            return self.inner.serialize_f32(value);
        }
        self.guard.not_finite(self.inner, f64::from(value))
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            return self.inner.serialize_f64(value);
        }
        self.guard.not_finite(self.inner, value)
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Guarded::new(value, self.guard))
    }

    #[inline]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Guarded::new(value, self.guard))
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_variant(name, index, variant, &Guarded::new(value, self.guard))
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Under { inner: self.inner.serialize_seq(length)?, guard: self.guard })
    }

    #[inline]
    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Under { inner: self.inner.serialize_tuple(length)?, guard: self.guard })
    }

    #[inline]
    fn serialize_tuple_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Under { inner: self.inner.serialize_tuple_struct(name, length)?, guard: self.guard })
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self.inner.serialize_tuple_variant(name, index, variant, length)?;
        Ok(Under { inner, guard: self.guard })
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Under { inner: self.inner.serialize_map(length)?, guard: self.guard })
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        Ok(Under { inner: self.inner.serialize_struct(name, length)?, guard: self.guard })
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self.inner.serialize_struct_variant(name, index, variant, length)?;
        Ok(Under { inner, guard: self.guard })
    }

    #[inline]
    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// The parts of a value without names of their own: none may be missing.
macro_rules! unnamed {
    ($($name:ident::$method:ident;)*) => {$(
        impl<S: $name, G: Guard> $name for Under<S, G> {
            type Ok = S::Ok;
            type Error = S::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                if G::LEAVES_OUT_NONE && is_none(value) {
                    return Err(serde::ser::Error::custom("nothing (`None`) cannot stand in a list"));
                }
                self.inner.$method(&Guarded::new(value, self.guard))
            }

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

unnamed! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

/// The fields of a value, which may be left out.
macro_rules! named {
    ($($name:ident)*) => {$(
        impl<S: $name, G: Guard> $name for Under<S, G> {
            type Ok = S::Ok;
            type Error = S::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), S::Error> {
                if G::LEAVES_OUT_NONE && is_none(value) {
                    return self.inner.skip_field(key);
                }
                self.inner.serialize_field(key, &Guarded::new(value, self.guard))
            }

            #[inline]
            fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
                self.inner.skip_field(key)
            }

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

named!(SerializeStruct SerializeStructVariant);

impl<S: SerializeMap, G: Guard> SerializeMap for Under<S, G> {
    type Ok = S::Ok;
    type Error = S::Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.inner.serialize_key(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.inner.serialize_value(&Guarded::new(value, self.guard))
    }

    #[inline]
    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), S::Error> {
        if G::LEAVES_OUT_NONE && is_none(value) {
            return Ok(());
        }
        self.inner.serialize_entry(key, &Guarded::new(value, self.guard))
    }

    #[inline]
    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}
