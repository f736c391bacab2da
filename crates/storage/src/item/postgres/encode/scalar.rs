//! Numbers, truth values and texts as the binary form of a single value of each type.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::wire::{begin, end, put_bytes, put_fixed};
use crate::item::postgres::kind::{Kind, Scalar};
use crate::item::postgres::{moment, numeric};
use crate::item::row::RowError;

/// Longest text of a value that an error quotes, in characters.
const QUOTED: usize = 100;

/// A value that does not fit, as an error quotes it.
pub(super) fn misfit(value: impl fmt::Display) -> RowError {
    let text = value.to_string();
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => RowError::new(format!("\"{}…\"", &text[..end])),
        None => RowError::new(format!("\"{text}\"")),
    }
}

pub(super) fn put_bool(out: &mut BytesMut, value: bool) {
    put_fixed(out, [u8::from(value)]);
}

/// Writes an integer as a value of a type of numbers, if it is one of it exactly.
#[inline]
pub(super) fn put_integer(scalar: Scalar, value: i128, out: &mut BytesMut) -> Option<()> {
    match scalar {
        Scalar::Int2 => put_fixed(out, i16::try_from(value).ok()?.to_be_bytes()),
        Scalar::Int4 => put_fixed(out, i32::try_from(value).ok()?.to_be_bytes()),
        Scalar::Int8 => put_fixed(out, i64::try_from(value).ok()?.to_be_bytes()),
        Scalar::Oid => put_fixed(out, u32::try_from(value).ok()?.to_be_bytes()),
        Scalar::Byte => out.put_u8(u8::try_from(value).ok()?),
        Scalar::Float4 | Scalar::Float8 => return put_float(scalar, whole_float(value)?, out),
        Scalar::Bool if matches!(value, 0 | 1) => put_bool(out, value == 1),
        _ => return None,
    }
    Some(())
}

/// Writes a float as a value of a type of numbers: rounded where the type is one of floats, otherwise only exactly.
#[inline]
pub(super) fn put_float(scalar: Scalar, value: f64, out: &mut BytesMut) -> Option<()> {
    match scalar {
        Scalar::Float8 => put_fixed(out, value.to_be_bytes()),
        Scalar::Float4 => put_fixed(out, narrow(value)?.to_be_bytes()),
        Scalar::Int2 | Scalar::Int4 | Scalar::Int8 => return put_integer(scalar, whole_integer(value)?, out),
        _ => return None,
    }
    Some(())
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
pub(super) fn put_text(scalar: Scalar, text: &str, out: &mut BytesMut) -> Result<(), RowError> {
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
        Scalar::Int2 | Scalar::Int4 | Scalar::Int8 | Scalar::Oid => {
            let value: i64 = text.trim().parse().map_err(|_| no())?;
            put_integer(scalar, value.into(), out).ok_or_else(no)?;
        }
        Scalar::Float4 | Scalar::Float8 => {
            let value: f64 = text.trim().parse().map_err(|_| no())?;
            put_float(scalar, value, out).ok_or_else(no)?;
        }
        Scalar::Numeric => {
            let start = begin(out);
            numeric::encode(text, out).ok_or_else(no)?;
            return end(out, start);
        }
        Scalar::Date => put_fixed(out, moment::parse_date(text).ok_or_else(no)?.to_be_bytes()),
        Scalar::Time => put_fixed(out, moment::parse_time(text).ok_or_else(no)?.to_be_bytes()),
        Scalar::Timestamp | Scalar::TimestampTz => {
            put_fixed(out, moment::parse_timestamp(text).ok_or_else(no)?.to_be_bytes())
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

/// The binary form of a single value that is given as text.
///
/// # Errors
/// When it is no value of the type.
pub(in crate::item::postgres) fn text_value(kind: Kind, text: &str) -> Result<Vec<u8>, RowError> {
    let mut out = BytesMut::new();
    match kind {
        Kind::One(scalar) => put_text(scalar, text, &mut out)?,
        Kind::Many { .. } => return Err(misfit(text)),
    }
    Ok(out.split_off(4).to_vec())
}
