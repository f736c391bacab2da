//! From the fields of a serde struct to the binary form of PostgreSQL's columns, without a value in between.

use std::fmt::{self, Write as _};

use bytes::{BufMut, BytesMut};
use serde::ser::{Error as _, Impossible, Serialize, SerializeSeq, SerializeTuple, Serializer};

use super::kind::{Kind, Scalar};
use super::{moment, numeric};
use crate::item::row::{Fields, RowError, RowSerializer};

/// Longest text of a value that an error quotes, in characters.
const QUOTED: usize = 100;
/// Header of an array of one dimension: dimensions, flags, type of the elements, length, lower bound.
const ARRAY_HEADER: usize = 20;

/// A column that a field of the row goes to.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    /// None for a field that goes nowhere.
    pub(super) kind: Option<Kind>,
    /// The type as the catalogue names it, for messages.
    pub(super) type_name: String,
}

/// What is encoded, used again for each chunk: all values behind each other, or each column by itself.
#[derive(Debug)]
pub(super) struct Buffers {
    parts: Vec<BytesMut>,
    by_column: bool,
    scratch: String,
}

impl Buffers {
    /// One buffer for rows: the tuples of a binary COPY.
    pub(super) fn rows() -> Self {
        Self { parts: vec![BytesMut::new()], by_column: false, scratch: String::new() }
    }

    /// A buffer for each column: the elements of an array.
    pub(super) fn columns(count: usize) -> Self {
        Self { parts: vec![BytesMut::new(); count], by_column: true, scratch: String::new() }
    }

    pub(super) fn clear(&mut self) {
        self.parts.iter_mut().for_each(BytesMut::clear);
    }

    /// The buffer of the rows.
    pub(super) fn rows_mut(&mut self) -> &mut BytesMut {
        &mut self.parts[0]
    }

    pub(super) fn parts_mut(&mut self) -> &mut [BytesMut] {
        &mut self.parts
    }

    /// Encodes the fields of a row in the order of the slots.
    ///
    /// # Errors
    /// Names the field that does not fit its column, and its value.
    pub(super) fn put_row(&mut self, row: &impl Serialize, slots: &[Slot]) -> Result<(), RowError> {
        let mut encoding = Encoding { slots, number: 0, column: 0, buffers: self };
        row.serialize(RowSerializer(&mut encoding))?;
        match slots.get(encoding.number) {
            None => Ok(()),
            Some(slot) => Err(RowError::new(format!("the row lacks the field '{}'", slot.name))),
        }
    }

    /// Leaves room for the header of an array in the buffer of each column.
    pub(super) fn begin_arrays(&mut self) {
        for part in &mut self.parts {
            part.clear();
            part.put_bytes(0, ARRAY_HEADER);
        }
    }

    /// Writes the headers of arrays with `length` elements.
    pub(super) fn end_arrays(&mut self, element_types: &[u32], length: usize) -> Result<(), RowError> {
        for (part, element_type) in self.parts.iter_mut().zip(element_types) {
            write_array_header(&mut part[..ARRAY_HEADER], *element_type, length)?;
        }
        Ok(())
    }
}

struct Encoding<'a> {
    slots: &'a [Slot],
    /// Field of the row.
    number: usize,
    /// Column that the next value goes to.
    column: usize,
    buffers: &'a mut Buffers,
}

impl Fields for Encoding<'_> {
    #[inline]
    fn field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), RowError> {
        // The names are constants: mostly the same pointer, so that nothing is compared.
        let slot = match self.slots.get(self.number) {
            Some(slot) if std::ptr::eq(slot.name, name) || slot.name == name => slot,
            _ => return Err(RowError::new(format!("the fields of a row differ from those of the first at '{name}'"))),
        };
        self.number += 1;
        let Some(kind) = slot.kind else { return Ok(()) };
        let place = if self.buffers.by_column { self.column } else { 0 };
        self.column += 1;
        let out = &mut self.buffers.parts[place];
        put(value, kind, out, &mut self.buffers.scratch)
            .map_err(|error| RowError::new(format!("column '{name}' of type {} cannot hold {error}", slot.type_name)))
    }
}

/// Writes the length and the binary form of a value; −1 for NULL.
#[inline]
fn put<T: ?Sized + Serialize>(value: &T, kind: Kind, out: &mut BytesMut, scratch: &mut String) -> Result<(), RowError> {
    match kind {
        Kind::One(Scalar::Json) => put_json(value, false, out),
        Kind::One(Scalar::Jsonb) => put_json(value, true, out),
        Kind::One(scalar) => value.serialize(ValueSerializer { scalar, out, scratch }),
        Kind::Many { element, element_type } => {
            value.serialize(ArraySerializer { element, element_type, out, scratch })
        }
    }
}

/// Any value as a JSON document; `null` is NULL.
fn put_json<T: ?Sized + Serialize>(value: &T, with_version: bool, out: &mut BytesMut) -> Result<(), RowError> {
    let start = begin(out);
    if with_version {
        out.put_u8(1);
    }
    let document = out.len();
    serde_json::to_writer(out.writer(), value).map_err(RowError::custom)?;
    if &out[document..] == b"null" {
        out.truncate(start);
        put_null(out);
        return Ok(());
    }
    end(out, start)
}

fn put_null(out: &mut BytesMut) {
    out.put_i32(-1);
}

#[inline]
fn put_bytes(out: &mut BytesMut, bytes: &[u8]) -> Result<(), RowError> {
    out.put_i32(i32::try_from(bytes.len()).map_err(|_| too_long())?);
    out.put_slice(bytes);
    Ok(())
}

/// Leaves room for a length.
fn begin(out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_i32(0);
    start
}

/// Writes the length of what stands behind `start`.
fn end(out: &mut BytesMut, start: usize) -> Result<(), RowError> {
    let length = i32::try_from(out.len() - start - 4).map_err(|_| too_long())?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn write_array_header(mut header: &mut [u8], element_type: u32, length: usize) -> Result<(), RowError> {
    header.put_i32(1);
    header.put_i32(0);
    header.put_u32(element_type);
    header.put_i32(i32::try_from(length).map_err(|_| too_long())?);
    header.put_i32(1);
    Ok(())
}

fn too_long() -> RowError {
    RowError::new("a value of more than 2 GiB")
}

/// A value that does not fit, as an error quotes it.
fn misfit(value: impl fmt::Display) -> RowError {
    let text = value.to_string();
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => RowError::new(format!("\"{}…\"", &text[..end])),
        None => RowError::new(format!("\"{text}\"")),
    }
}

/// Takes a single value.
struct ValueSerializer<'a> {
    scalar: Scalar,
    out: &'a mut BytesMut,
    scratch: &'a mut String,
}

impl ValueSerializer<'_> {
    #[inline]
    fn text(self, text: &str) -> Result<(), RowError> {
        put_text(self.scalar, text, self.out)
    }

    /// A number as its text, where the column is none of numbers.
    fn shown(self, value: impl fmt::Display) -> Result<(), RowError> {
        self.scratch.clear();
        write!(self.scratch, "{value}").map_err(RowError::custom)?;
        put_text(self.scalar, self.scratch, self.out)
    }

    #[inline]
    fn integer(self, value: i128) -> Result<(), RowError> {
        let no = || misfit(value);
        match self.scalar {
            Scalar::Int2 => {
                let value = i16::try_from(value).map_err(|_| no())?;
                self.out.put_i32(2);
                self.out.put_i16(value);
            }
            Scalar::Int4 => {
                let value = i32::try_from(value).map_err(|_| no())?;
                self.out.put_i32(4);
                self.out.put_i32(value);
            }
            Scalar::Int8 => {
                let value = i64::try_from(value).map_err(|_| no())?;
                self.out.put_i32(8);
                self.out.put_i64(value);
            }
            Scalar::Oid => {
                let value = u32::try_from(value).map_err(|_| no())?;
                self.out.put_i32(4);
                self.out.put_u32(value);
            }
            Scalar::Byte => self.out.put_u8(u8::try_from(value).map_err(|_| no())?),
            Scalar::Float4 | Scalar::Float8 => {
                let float = whole_float(value).ok_or_else(no)?;
                return self.float(float);
            }
            Scalar::Bool if matches!(value, 0 | 1) => put_bool(self.out, value == 1),
            Scalar::Numeric | Scalar::Text | Scalar::Other => return self.shown(value),
            _ => return Err(no()),
        }
        Ok(())
    }

    fn float(self, value: f64) -> Result<(), RowError> {
        match self.scalar {
            Scalar::Float8 => {
                self.out.put_i32(8);
                self.out.put_f64(value);
            }
            Scalar::Float4 => {
                self.out.put_i32(4);
                self.out.put_f32(narrow(value).ok_or_else(|| misfit(value))?);
            }
            Scalar::Int2 | Scalar::Int4 | Scalar::Int8 => {
                let whole = whole_integer(value).ok_or_else(|| misfit(value))?;
                return self.integer(whole);
            }
            Scalar::Numeric | Scalar::Text | Scalar::Other => return self.shown(value),
            _ => return Err(misfit(value)),
        }
        Ok(())
    }
}

fn put_bool(out: &mut BytesMut, value: bool) {
    out.put_i32(1);
    out.put_u8(u8::from(value));
}

/// The float that is exactly this integer.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "what is lost is found by comparison")]
fn whole_float(value: i128) -> Option<f64> {
    let float = value as f64;
    (float as i128 == value).then_some(float)
}

/// The integer that is exactly this float.
#[expect(clippy::cast_possible_truncation, reason = "what is lost is found by comparison")]
fn whole_integer(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() < 1e30).then_some(value as i128)
}

/// The nearest single float, unless the value is beyond its range.
#[expect(clippy::cast_possible_truncation, reason = "rounding to the column's precision is what the column asks for")]
fn narrow(value: f64) -> Option<f32> {
    let narrow = value as f32;
    (narrow.is_finite() || !value.is_finite()).then_some(narrow)
}

/// Writes a text as a value of the type.
#[inline]
fn put_text(scalar: Scalar, text: &str, out: &mut BytesMut) -> Result<(), RowError> {
    let no = || misfit(text);
    match scalar {
        Scalar::Text | Scalar::Enum | Scalar::Other => {
            if text.as_bytes().contains(&0) {
                return Err(RowError::new("a text with a NUL character, which PostgreSQL does not store"));
            }
            return put_bytes(out, text.as_bytes());
        }
        Scalar::Bool => match text.trim() {
            "t" | "true" | "TRUE" | "True" | "1" => put_bool(out, true),
            "f" | "false" | "FALSE" | "False" | "0" => put_bool(out, false),
            _ => return Err(no()),
        },
        Scalar::Int2 => {
            let value: i16 = text.trim().parse().map_err(|_| no())?;
            out.put_i32(2);
            out.put_i16(value);
        }
        Scalar::Int4 => {
            let value: i32 = text.trim().parse().map_err(|_| no())?;
            out.put_i32(4);
            out.put_i32(value);
        }
        Scalar::Int8 => {
            let value: i64 = text.trim().parse().map_err(|_| no())?;
            out.put_i32(8);
            out.put_i64(value);
        }
        Scalar::Oid => {
            let value: u32 = text.trim().parse().map_err(|_| no())?;
            out.put_i32(4);
            out.put_u32(value);
        }
        Scalar::Float4 => {
            let value: f64 = text.trim().parse().map_err(|_| no())?;
            let value = narrow(value).ok_or_else(no)?;
            out.put_i32(4);
            out.put_f32(value);
        }
        Scalar::Float8 => {
            let value: f64 = text.trim().parse().map_err(|_| no())?;
            out.put_i32(8);
            out.put_f64(value);
        }
        Scalar::Numeric => {
            let start = begin(out);
            numeric::encode(text, out).ok_or_else(no)?;
            return end(out, start);
        }
        Scalar::Date => {
            let days = moment::parse_date(text).ok_or_else(no)?;
            out.put_i32(4);
            out.put_i32(days);
        }
        Scalar::Time => {
            let micros = moment::parse_time(text).ok_or_else(no)?;
            out.put_i32(8);
            out.put_i64(micros);
        }
        Scalar::Timestamp | Scalar::TimestampTz => {
            let micros = moment::parse_timestamp(text).ok_or_else(no)?;
            out.put_i32(8);
            out.put_i64(micros);
        }
        Scalar::Uuid => {
            let uuid = uuid::Uuid::try_parse(text).map_err(|_| no())?;
            return put_bytes(out, uuid.as_bytes());
        }
        Scalar::Bytea => return Err(RowError::new("a text; give it as bytes")),
        Scalar::Json | Scalar::Jsonb | Scalar::Byte => return Err(no()),
    }
    Ok(())
}

/// Nothing can be collected of the compound kinds that are refused.
macro_rules! refused_compounds {
    () => {
        type SerializeTupleStruct = Impossible<(), RowError>;
        type SerializeTupleVariant = Impossible<(), RowError>;
        type SerializeMap = Impossible<(), RowError>;
        type SerializeStruct = Impossible<(), RowError>;
        type SerializeStructVariant = Impossible<(), RowError>;

        fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, RowError> {
            Err(RowError::new("a tuple"))
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            variant: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, RowError> {
            Err(RowError::new(format!("the variant {variant} with values")))
        }

        fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, RowError> {
            Err(RowError::new("a map; only json and jsonb hold one"))
        }

        fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self::SerializeStruct, RowError> {
            Err(RowError::new(format!("the struct {name}; only json and jsonb hold one")))
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            variant: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, RowError> {
            Err(RowError::new(format!("the variant {variant} with values")))
        }

        fn serialize_newtype_variant<T: ?Sized + Serialize>(
            self,
            _: &'static str,
            _: u32,
            variant: &'static str,
            _: &T,
        ) -> Result<(), RowError> {
            Err(RowError::new(format!("the variant {variant} with a value")))
        }
    };
}

impl<'a> Serializer for ValueSerializer<'a> {
    type Ok = ();
    type Error = RowError;
    type SerializeSeq = BytesSerializer<'a>;
    type SerializeTuple = BytesSerializer<'a>;
    refused_compounds!();

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), RowError> {
        match self.scalar {
            Scalar::Bool => {
                put_bool(self.out, value);
                Ok(())
            }
            Scalar::Text | Scalar::Other => self.text(if value { "true" } else { "false" }),
            _ => Err(misfit(value)),
        }
    }

    fn serialize_i8(self, value: i8) -> Result<(), RowError> {
        self.integer(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), RowError> {
        self.integer(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), RowError> {
        self.integer(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), RowError> {
        self.integer(value.into())
    }

    fn serialize_i128(self, value: i128) -> Result<(), RowError> {
        self.integer(value)
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), RowError> {
        self.integer(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), RowError> {
        self.integer(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), RowError> {
        self.integer(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), RowError> {
        self.integer(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<(), RowError> {
        match i128::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => self.shown(value),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), RowError> {
        match self.scalar {
            // Its own shortest text: 0.1 and not 0.10000000149011612.
            Scalar::Numeric | Scalar::Text | Scalar::Other => self.shown(value),
            _ => self.float(value.into()),
        }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), RowError> {
        self.float(value)
    }

    fn serialize_char(self, value: char) -> Result<(), RowError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), RowError> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), RowError> {
        match self.scalar {
            Scalar::Bytea => put_bytes(self.out, value),
            Scalar::Uuid if value.len() == 16 => put_bytes(self.out, value),
            _ => Err(RowError::new(format!("{} bytes", value.len()))),
        }
    }

    #[inline]
    fn serialize_none(self) -> Result<(), RowError> {
        if self.scalar == Scalar::Byte {
            return Err(RowError::new("a sequence of bytes with a gap"));
        }
        put_null(self.out);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), RowError> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), RowError> {
        Err(RowError::new(format!("the struct {name} without fields")))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), RowError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    /// Dates, decimals and the like: written into a text that is used again for each.
    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<(), RowError> {
        self.shown(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<BytesSerializer<'a>, RowError> {
        match self.scalar {
            Scalar::Bytea => Ok(BytesSerializer { start: begin(self.out), out: self.out, scratch: self.scratch }),
            _ => Err(RowError::new("a sequence; its type is no array")),
        }
    }

    fn serialize_tuple(self, length: usize) -> Result<BytesSerializer<'a>, RowError> {
        self.serialize_seq(Some(length))
    }
}

/// Takes bytes that are given one by one.
struct BytesSerializer<'a> {
    start: usize,
    out: &'a mut BytesMut,
    scratch: &'a mut String,
}

impl SerializeSeq for BytesSerializer<'_> {
    type Ok = ();
    type Error = RowError;

    #[inline]
    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), RowError> {
        value.serialize(ValueSerializer { scalar: Scalar::Byte, out: self.out, scratch: self.scratch })
    }

    fn end(self) -> Result<(), RowError> {
        end(self.out, self.start)
    }
}

impl SerializeTuple for BytesSerializer<'_> {
    type Ok = ();
    type Error = RowError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), RowError> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), RowError> {
        SerializeSeq::end(self)
    }
}

/// Takes the value of an array's column.
struct ArraySerializer<'a> {
    element: Scalar,
    element_type: u32,
    out: &'a mut BytesMut,
    scratch: &'a mut String,
}

/// Takes the elements.
struct ElementsSerializer<'a> {
    array: ArraySerializer<'a>,
    start: usize,
    length: usize,
}

const NO_ARRAY: &str = "a single value; its type is an array";

/// The methods of a serializer that refuse.
macro_rules! refuse {
    ($($method:ident($kind:ty);)*) => {
        $(fn $method(self, _: $kind) -> Result<(), RowError> {
            Err(RowError::new(NO_ARRAY))
        })*
    };
}

impl<'a> Serializer for ArraySerializer<'a> {
    type Ok = ();
    type Error = RowError;
    type SerializeSeq = ElementsSerializer<'a>;
    type SerializeTuple = ElementsSerializer<'a>;
    refused_compounds!();
    refuse! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_unit_struct(&'static str);
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), RowError> {
        Err(RowError::new(NO_ARRAY))
    }

    fn serialize_none(self) -> Result<(), RowError> {
        put_null(self.out);
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), RowError> {
        self.serialize_none()
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), RowError> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ElementsSerializer<'a>, RowError> {
        let start = begin(self.out);
        self.out.put_bytes(0, ARRAY_HEADER);
        Ok(ElementsSerializer { array: self, start, length: 0 })
    }

    fn serialize_tuple(self, length: usize) -> Result<ElementsSerializer<'a>, RowError> {
        self.serialize_seq(Some(length))
    }
}

impl SerializeSeq for ElementsSerializer<'_> {
    type Ok = ();
    type Error = RowError;

    #[inline]
    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), RowError> {
        self.length += 1;
        put(value, Kind::One(self.array.element), self.array.out, self.array.scratch)
            .map_err(|error| RowError::new(format!("{error} as element {}", self.length)))
    }

    fn end(self) -> Result<(), RowError> {
        let out = self.array.out;
        let header = self.start + 4;
        write_array_header(&mut out[header..header + ARRAY_HEADER], self.array.element_type, self.length)?;
        if self.length == 0 {
            // An empty array has no dimension.
            out.truncate(header + 12);
            out[header..header + 4].fill(0);
        }
        end(out, self.start)
    }
}

impl SerializeTuple for ElementsSerializer<'_> {
    type Ok = ();
    type Error = RowError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), RowError> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), RowError> {
        SerializeSeq::end(self)
    }
}

/// The binary form of a single value that is given as text.
///
/// # Errors
/// When it is no value of the type.
pub(super) fn text_value(kind: Kind, text: &str) -> Result<Vec<u8>, RowError> {
    let mut out = BytesMut::new();
    match kind {
        Kind::One(scalar) => put_text(scalar, text, &mut out)?,
        Kind::Many { .. } => return Err(misfit(text)),
    }
    Ok(out.split_off(4).to_vec())
}
