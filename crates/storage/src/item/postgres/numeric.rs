//! PostgreSQL's `numeric` between decimal text and the wire, without a digit lost.

use bytes::BufMut;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;
/// Most digits behind the point that the server takes.
const MAX_SCALE: i32 = 16_383;
/// Most digits before the point that the server takes.
const MAX_WHOLE: i32 = 131_072;

/// Writes the wire's form of a decimal text such as `-12.50`, `1e-7`, `NaN`; `None` when it is none.
pub(super) fn encode(text: &str, out: &mut impl BufMut) -> Option<()> {
    let decimal = match Decimal::parse(text.trim().as_bytes()) {
        Some(decimal) => decimal,
        None => {
            let sign = match text.trim().to_ascii_lowercase().as_str() {
                "nan" => NAN,
                "infinity" | "inf" => INFINITY,
                "-infinity" | "-inf" => NEGATIVE_INFINITY,
                _ => return None,
            };
            put_header(out, 0, 0, sign, 0);
            return Some(());
        }
    };
    let scale = decimal.scale();
    let Some((highest, lowest)) = decimal.places() else {
        put_header(out, 0, 0, 0, u16::try_from(scale.min(MAX_SCALE)).ok()?);
        return Some(());
    };
    if scale > MAX_SCALE || highest >= MAX_WHOLE {
        return None;
    }
    // The first and last group of four digits that are not all zero.
    let (weight, last) = (highest.div_euclid(4), lowest.div_euclid(4));
    let sign = if decimal.negative { NEGATIVE } else { 0 };
    put_header(
        out,
        i16::try_from(weight - last + 1).ok()?,
        i16::try_from(weight).ok()?,
        sign,
        u16::try_from(scale).ok()?,
    );
    for group in (last..=weight).rev() {
        let digits = (0..4).rev().map(|place| decimal.digit(group * 4 + place));
        out.put_i16(digits.fold(0, |number, digit| number * 10 + i16::from(digit)));
    }
    Some(())
}

fn put_header(out: &mut impl BufMut, groups: i16, weight: i16, sign: u16, scale: u16) {
    out.put_i16(groups);
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_u16(scale);
}

/// A decimal number as it stands in its text.
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i32,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (number, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => {
                let exponent: i32 = std::str::from_utf8(&text[at + 1..]).ok()?.parse().ok()?;
                (&text[..at], (exponent.abs() <= MAX_WHOLE).then_some(exponent)?)
            }
            None => (text, 0),
        };
        let (whole, fraction) = match number.iter().position(|byte| *byte == b'.') {
            Some(at) => (&number[..at], &number[at + 1..]),
            None => (number, &number[number.len()..]),
        };
        let digits = whole.iter().chain(fraction);
        let some = whole.len() + fraction.len() > 0;
        let short = i32::try_from(whole.len() + fraction.len()).is_ok();
        (some && short && digits.clone().all(u8::is_ascii_digit)).then_some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    /// Digits behind the point.
    fn scale(&self) -> i32 {
        (length(self.fraction) - self.exponent).max(0)
    }

    /// The digit with the value of ten to the power `place`.
    #[inline]
    fn digit(&self, place: i32) -> u8 {
        let place = place - self.exponent;
        let digit = match usize::try_from(place) {
            Ok(left) => self.whole.len().checked_sub(left + 1).and_then(|at| self.whole.get(at)),
            Err(_) => usize::try_from(-place - 1).ok().and_then(|at| self.fraction.get(at)),
        };
        digit.map_or(0, |digit| digit - b'0')
    }

    /// The highest and the lowest place whose digit is not zero; `None` for zero.
    fn places(&self) -> Option<(i32, i32)> {
        let not_zero = |digit: &u8| *digit != b'0';
        let first = self.whole.iter().chain(self.fraction).position(not_zero)?;
        let highest = length(self.whole) - 1 - i32::try_from(first).ok()? + self.exponent;
        let behind = self.fraction.iter().rposition(not_zero);
        let lowest = match behind {
            Some(at) => -i32::try_from(at).ok()? - 1,
            None => i32::try_from(self.whole.iter().rev().position(not_zero)?).ok()?,
        };
        Some((highest, lowest + self.exponent))
    }
}

fn length(digits: &[u8]) -> i32 {
    i32::try_from(digits.len()).unwrap_or(i32::MAX)
}

/// The decimal text of the wire's form; `None` when it is damaged.
pub(super) fn decode(wire: &[u8], out: &mut String) -> Option<()> {
    let short = |at: usize| Some(u16::from_be_bytes(wire.get(at..at + 2)?.try_into().ok()?));
    let (groups, weight, sign, scale) = (short(0)?, short(2)?.cast_signed(), short(4)?, usize::from(short(6)?));
    match sign {
        NAN => out.push_str("NaN"),
        INFINITY => out.push_str("Infinity"),
        NEGATIVE_INFINITY => out.push_str("-Infinity"),
        _ => {
            if sign == NEGATIVE {
                out.push('-');
            }
            let group = |place: i32| -> u16 {
                let at = usize::try_from(i32::from(weight) - place).ok().filter(|at| *at < usize::from(groups));
                at.and_then(|at| short(8 + 2 * at)).unwrap_or(0)
            };
            let start = out.len();
            for place in (0..=i32::from(weight)).rev() {
                let digits = group(place);
                if out.len() == start {
                    if digits > 0 {
                        put_digits(out, digits, false);
                    }
                } else {
                    put_digits(out, digits, true);
                }
            }
            if out.len() == start {
                out.push('0');
            }
            if scale > 0 {
                out.push('.');
                let end = out.len() + scale;
                let mut place = -1;
                while out.len() < end {
                    put_digits(out, group(place), true);
                    place -= 1;
                }
                out.truncate(end);
            }
        }
    }
    Some(())
}

fn put_digits(out: &mut String, group: u16, padded: bool) {
    use std::fmt::Write;
    // Writing into a text cannot fail.
    let _ = if padded { write!(out, "{group:04}") } else { write!(out, "{group}") };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    fn round_trip(text: &str) -> Option<String> {
        let mut wire = Vec::new();
        encode(text, &mut wire)?;
        let mut back = String::new();
        decode(&wire, &mut back)?;
        Some(back)
    }

    #[test]
    fn every_digit_of_a_decimal_survives() {
        for (text, expected) in [
            ("0", "0"),
            ("-0.00", "0.00"),
            ("1", "1"),
            ("+7", "7"),
            ("10000", "10000"),
            (
                "123456789012345678901234567890.12345678901234567890",
                "123456789012345678901234567890.12345678901234567890",
            ),
            ("-0.00001000", "-0.00001000"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1.25E-3", "0.00125"),
            ("12e-1", "1.2"),
            ("00012.50", "12.50"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
        ] {
            assert_eq!(round_trip(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", ".", "-", "1.2.3", "1e", "e5", "12a", "1e999999999", "0x10"] {
            assert_eq!(round_trip(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_decimal_comes_back_as_it_was(text in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?") {
            let zero = text.trim_start_matches('-').bytes().all(|byte| matches!(byte, b'0' | b'.'));
            let expected = if zero { text.trim_start_matches('-') } else { &text };
            let back = round_trip(&text);
            prop_assert_eq!(back.as_deref(), Some(expected));
        }
    }
}
