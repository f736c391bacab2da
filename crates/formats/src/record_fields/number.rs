//! The number in a field of which it is known that the type asks for one.

use serde::de::Visitor;

use super::FieldError;

/// Visits the number in a field, or its text where it is none.
pub(super) fn visit_number<'de, V: Visitor<'de>>(field: &'de str, visitor: V) -> Result<V::Value, FieldError> {
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

/// The reason for which a float is not the number that stands in its field: its type makes infinite or 0 of it.
#[inline]
pub(super) fn misfit(field: &str, infinite: bool, zero: bool) -> Option<&'static str> {
    if infinite && field.bytes().any(|byte| byte.is_ascii_digit()) {
        return Some("number too large to fit in target type");
    }
    if zero && field.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9')) {
        return Some("number too small to fit in target type");
    }
    None
}
