//! Decimals as text, in files, in JSON and for people.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Decimal, DecimalError, MAX_DECIMAL_PLACES};

/// All digits with the places that were given, without an exponent.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = self.units.unsigned_abs().to_string();
        let places = self.places as usize;
        if places > 0 {
            if digits.len() <= places {
                digits.insert_str(0, &"0".repeat(places + 1 - digits.len()));
            }
            digits.insert(digits.len() - places, '.');
        }
        f.pad_integral(self.units >= 0, "", &digits)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `-12.50`, `+3`, `.5`, `1e3`: what JSON and CSV files hold. Blanks and separators of thousands are refused.
impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let no_number = || DecimalError::NoNumber { text: cut(text) };
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (number, exponent) = match rest.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().map_err(|_| no_number())?),
            None => (rest, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let mut digits = 0_u128;
        let mut any = false;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return Err(no_number());
            }
            any = true;
            let longer = digits.checked_mul(10).and_then(|tens| tens.checked_add(u128::from(digit - b'0')));
            digits = longer.ok_or_else(|| DecimalError::TooLong { text: cut(text) })?;
        }
        if !any {
            return Err(no_number());
        }
        let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        Self::from_digits(negative, digits, i64::from(exponent) - places, text)
    }
}

impl Decimal {
    /// Digits and an exponent of ten.
    fn from_digits(negative: bool, digits: u128, exponent: i64, text: &str) -> Result<Self, DecimalError> {
        let too_long = || DecimalError::TooLong { text: cut(text) };
        let (mut digits, mut exponent) = (digits, exponent);
        while exponent < -i64::from(MAX_DECIMAL_PLACES) && digits % 10 == 0 && digits > 0 {
            digits /= 10;
            exponent += 1;
        }
        if digits == 0 {
            exponent = exponent.clamp(-i64::from(MAX_DECIMAL_PLACES), 0);
        }
        let signed = if negative { 0_i128.checked_sub_unsigned(digits) } else { i128::try_from(digits).ok() };
        let mut units = signed.ok_or_else(too_long)?;
        if exponent > 0 {
            let factor = u32::try_from(exponent).ok().and_then(|exponent| 10_i128.checked_pow(exponent));
            units = factor.and_then(|factor| units.checked_mul(factor)).ok_or_else(too_long)?;
        }
        let places = u32::try_from(exponent.min(0).unsigned_abs()).map_err(|_| too_long())?;
        Self::new(units, places).ok_or_else(too_long)
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number as text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Decimal, E> {
                Ok(number.into())
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Decimal, E> {
                Ok(number.into())
            }
        }
        deserializer.deserialize_str(Text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_reads_back_from_its_text_with_its_places() {
        for text in ["0", "12.50", "-0.001", "-7", "170141183460469231731687303715884105727", "0.00"] {
            assert_eq!(decimal(text).to_string(), text);
        }
        for (text, shown) in [("+3", "3"), (".5", "0.5"), ("5.", "5"), ("1e3", "1000"), ("-1.5E-3", "-0.0015")] {
            assert_eq!(decimal(text).to_string(), shown);
        }
        let least = Decimal::new(i128::MIN, 3).unwrap();
        assert_eq!(decimal(&least.to_string()), least);
        assert_eq!(decimal("0e-400").to_string(), format!("0.{}", "0".repeat(38)));
    }

    #[test]
    fn what_is_no_exact_number_is_refused_with_its_text() {
        for (text, message) in [
            ("", "'' is no decimal number"),
            ("-", "'-' is no decimal number"),
            (" 1", "' 1' is no decimal number"),
            ("1,000", "'1,000' is no decimal number"),
            ("NaN", "'NaN' is no decimal number"),
            ("1e400", "1e400 has more than the 38 digits that are exact"),
            ("1e-400", "1e-400 has more than the 38 digits that are exact"),
        ] {
            assert_eq!(text.parse::<Decimal>().unwrap_err().to_string(), message);
        }
        let long = "9".repeat(39);
        assert!(long.parse::<Decimal>().unwrap_err().to_string().contains("more than the 38 digits"));
    }

    #[test]
    fn in_json_it_is_a_text() {
        let json = serde_json::to_string(&decimal("12.50")).unwrap();
        assert_eq!(json, r#""12.50""#);
        assert_eq!(serde_json::from_str::<Decimal>(&json).unwrap().to_string(), "12.50");
        assert!(serde_json::from_str::<Decimal>("12.5").is_err());
    }
}
