//! `Decimal`: an exact decimal number of up to 38 digits, for sums of money and the like; it never rounds.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most decimal places.
pub const MAX_DECIMAL_PLACES: u32 = 38;
/// Whole numbers up to this are told apart by an f64, and a decimal of as many digits is the only one that reads as its f64.
const EXACT_IN_F64: f64 = 1e15;
/// Powers of ten that an f64 holds exactly and that are tried before the long way.
const TENS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// An exact decimal number: an `i128` divided by a power of ten.
///
/// Sums keep every digit or are a [`DecimalFault`]; nothing is ever rounded. The places that were given stay: `10.50 + 1` is
/// `11.50`. Equality and order are those of the numbers: `12.3` equals `12.30`.
///
/// In JSON and the like it is a text, since a number would lose digits on the way through an `f64`.
#[derive(Clone, Copy, Default)]
pub struct Decimal {
    units: i128,
    places: u32,
}

/// Why something is no exact decimal number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalFault {
    /// Infinite, or not a number.
    #[error("{text} is not a finite number")]
    NotFinite {
        /// What it is.
        text: String,
    },
    /// More digits than fit.
    #[error("{text} has more than the 38 digits that are exact")]
    TooLong {
        /// The number.
        text: String,
    },
    /// A sum that does not fit.
    #[error("{left} and {right} add up to more than 38 digits")]
    Overflow {
        /// The sum so far.
        left: Decimal,
        /// What was to be added.
        right: Decimal,
    },
    /// A text that is no number.
    #[error("'{text}' is no decimal number")]
    NoNumber {
        /// The text, cut.
        text: String,
    },
    /// The author's own.
    #[error("{message}")]
    Author {
        /// The message, with its causes.
        message: String,
    },
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { units: 0, places: 0 };

    /// `units` divided by ten `places` times: `Decimal::new(1250, 2)` is `12.50`. `None` above [`MAX_DECIMAL_PLACES`].
    ///
    /// A decimal of another crate is taken over by its mantissa and scale.
    pub const fn new(units: i128, places: u32) -> Option<Self> {
        if places > MAX_DECIMAL_PLACES { None } else { Some(Self { units, places }) }
    }

    /// The whole number that is divided by ten [`places`](Self::places) times.
    pub const fn units(self) -> i128 {
        self.units
    }

    /// Decimal places.
    pub const fn places(self) -> u32 {
        self.places
    }

    /// The exact sum.
    ///
    /// # Errors
    /// [`DecimalFault::Overflow`] when it has more than 38 digits.
    #[inline]
    pub fn checked_add(self, other: Self) -> Result<Self, DecimalFault> {
        if self.places == other.places
            && let Some(units) = self.units.checked_add(other.units)
        {
            return Ok(Self { units, places: self.places });
        }
        self.add_aligned(other)
    }

    /// The exact difference.
    ///
    /// # Errors
    /// [`DecimalFault::Overflow`] when it has more than 38 digits.
    pub fn checked_sub(self, other: Self) -> Result<Self, DecimalFault> {
        match other.units.checked_neg() {
            Some(units) => self.checked_add(Self { units, places: other.places }),
            None => Err(DecimalFault::Overflow { left: self, right: other }),
        }
    }

    fn add_aligned(self, other: Self) -> Result<Self, DecimalFault> {
        let places = self.places.max(other.places);
        let sum = self.units_at(places).zip(other.units_at(places)).and_then(|(left, right)| left.checked_add(right));
        match sum {
            Some(units) => Ok(Self { units, places }),
            // Zeros at the end may be all that is in the way.
            None if self.shortened().places < self.places || other.shortened().places < other.places => {
                self.shortened().add_aligned(other.shortened())
            }
            None => Err(DecimalFault::Overflow { left: self, right: other }),
        }
    }

    fn units_at(self, places: u32) -> Option<i128> {
        self.units.checked_mul(10_i128.checked_pow(places - self.places)?)
    }

    /// Without zeros at the end.
    fn shortened(mut self) -> Self {
        while self.places > 0 && self.units % 10 == 0 {
            self.units /= 10;
            self.places -= 1;
        }
        self
    }

    /// The whole part, and the rest in units of 38 places: the same for equal numbers.
    fn parts(self) -> (i128, i128) {
        // 10^38 fits, and a rest is smaller than the power that it is divided by.
        let divisor = 10_i128.pow(self.places);
        (self.units / divisor, self.units % divisor * 10_i128.pow(MAX_DECIMAL_PLACES - self.places))
    }

    /// Digits and an exponent of ten.
    fn from_digits(negative: bool, digits: u128, exponent: i64, text: &str) -> Result<Self, DecimalFault> {
        let too_long = || DecimalFault::TooLong { text: cut(text) };
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

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl std::hash::Hash for Decimal {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

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
    type Err = DecimalFault;

    fn from_str(text: &str) -> Result<Self, DecimalFault> {
        let no_number = || DecimalFault::NoNumber { text: cut(text) };
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
            digits = longer.ok_or_else(|| DecimalFault::TooLong { text: cut(text) })?;
        }
        if !any {
            return Err(no_number());
        }
        let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        Self::from_digits(negative, digits, i64::from(exponent) - places, text)
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {
        $(impl From<$integer> for Decimal {
            #[inline]
            fn from(number: $integer) -> Self {
                Self { units: i128::from(number), places: 0 }
            }
        })*
    };
}

from_integers!(i8 i16 i32 i64 u8 u16 u32 u64);

/// The shortest decimal number that reads as this `f64`: what stood in the file or the source it came from, up to 15 digits.
impl TryFrom<f64> for Decimal {
    type Error = DecimalFault;

    #[inline]
    fn try_from(number: f64) -> Result<Self, DecimalFault> {
        for (places, tens) in (0..).zip(TENS) {
            let units = (number * tens).round();
            if units.abs() >= EXACT_IN_F64 {
                break;
            }
            // A division of two exact numbers is rounded once: it gives the very f64 that the decimal reads as.
            if units / tens == number {
                #[expect(clippy::cast_possible_truncation, reason = "a whole number below 10^15")]
                return Ok(Self { units: i128::from(units as i64), places });
            }
        }
        if !number.is_finite() {
            return Err(DecimalFault::NotFinite { text: number.to_string() });
        }
        format!("{number:e}").parse()
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

/// What a control total can add: whole numbers, `f64`, [`Decimal`], `bool` (true counts one), and these where they may be
/// missing (`None` adds nothing) or fail.
pub trait Summand {
    /// The number to add.
    ///
    /// # Errors
    /// When it is no exact decimal number.
    fn summand(self) -> Result<Decimal, DecimalFault>;
}

macro_rules! summands {
    ($($number:ty)*) => {
        $(impl Summand for $number {
            #[inline]
            fn summand(self) -> Result<Decimal, DecimalFault> {
                Ok(self.into())
            }
        })*
    };
}

summands!(i8 i16 i32 i64 u8 u16 u32 u64 Decimal);

impl Summand for f64 {
    #[inline]
    fn summand(self) -> Result<Decimal, DecimalFault> {
        self.try_into()
    }
}

impl Summand for bool {
    #[inline]
    fn summand(self) -> Result<Decimal, DecimalFault> {
        Ok(u8::from(self).into())
    }
}

impl<T: Summand> Summand for Option<T> {
    #[inline]
    fn summand(self) -> Result<Decimal, DecimalFault> {
        self.map_or(Ok(Decimal::ZERO), Summand::summand)
    }
}

impl<T: Summand, E: Into<crate::BoxError>> Summand for Result<T, E> {
    #[inline]
    fn summand(self) -> Result<Decimal, DecimalFault> {
        self.map_err(|error| DecimalFault::Author { message: crate::execution::cause_chain(error.into().as_ref()) })?
            .summand()
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
    fn sums_are_exact_or_refused() {
        let mut sum = Decimal::ZERO;
        for _ in 0..1_000_000 {
            sum = sum.checked_add(Decimal::try_from(0.1).unwrap()).unwrap();
        }
        assert_eq!(sum.to_string(), "100000.0");
        assert_eq!(decimal("10.50").checked_add(1_i64.into()).unwrap().to_string(), "11.50");
        assert_eq!(decimal("1").checked_sub(decimal("0.001")).unwrap().to_string(), "0.999");
        let most = Decimal::new(i128::MAX, 0).unwrap();
        assert!(most.checked_add(1_i64.into()).is_err());
        assert!(most.checked_add(decimal("0.1")).unwrap_err().to_string().contains("add up to more than 38 digits"));
        // Zeros at the end are no reason to refuse.
        assert_eq!(most.checked_add(decimal("0.00")).unwrap(), most);
    }

    #[test]
    fn order_and_equality_are_those_of_the_numbers() {
        assert_eq!(decimal("12.3"), decimal("12.300"));
        let sorted = ["-2", "-1.5", "-0.5", "0", "0.49", "0.5", "1.25", "3"].map(decimal);
        assert!(sorted.is_sorted() && sorted.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(Decimal::new(i128::MIN, 38).unwrap() < decimal("-1.7"));
    }

    #[test]
    fn an_f64_counts_as_what_stood_in_the_file() {
        for text in ["0.1", "-19.99", "1234567.891", "0.0000001", "98765432109876.5", "1e20", "0.30000000000000004"] {
            let number: f64 = text.parse().unwrap();
            assert_eq!(Decimal::try_from(number).unwrap(), decimal(text), "{text}");
        }
        assert_eq!(Decimal::try_from(-0.0).unwrap(), Decimal::ZERO);
        for (number, message) in [
            (f64::NAN, "NaN is not a finite number"),
            (f64::NEG_INFINITY, "-inf is not a finite number"),
            (1e300, "1e300 has more than the 38 digits that are exact"),
            (5e-324, "5e-324 has more than the 38 digits that are exact"),
        ] {
            assert_eq!(number.summand().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn in_json_it_is_a_text() {
        let json = serde_json::to_string(&decimal("12.50")).unwrap();
        assert_eq!(json, r#""12.50""#);
        assert_eq!(serde_json::from_str::<Decimal>(&json).unwrap().to_string(), "12.50");
        assert!(serde_json::from_str::<Decimal>("12.5").is_err());
    }

    #[test]
    fn what_may_be_missing_or_fail_can_be_added_too() {
        assert_eq!(None::<i64>.summand().unwrap(), Decimal::ZERO);
        assert_eq!(true.summand().unwrap(), 1_i64.into());
        assert_eq!("1.5".parse::<Decimal>().summand().unwrap(), decimal("1.5"));
        assert_eq!("x".parse::<Decimal>().summand().unwrap_err().to_string(), "'x' is no decimal number");
    }
}
