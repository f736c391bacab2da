//! `Decimal`: an exact decimal number of up to 38 digits, for sums of money and the like; it never rounds.

mod summand;
mod text;

pub use summand::Summand;

/// Most decimal places.
pub const MAX_DECIMAL_PLACES: u32 = 38;
/// Whole numbers up to this are distinguished by an f64, and a decimal of as many digits is the only one that reads as
/// its f64.
const EXACT_IN_F64: f64 = 1e15;
/// Powers of ten that an f64 holds exactly and that are tried before the long way.
const TENS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// An exact decimal number: an `i128` divided by a power of ten.
///
/// Sums keep every digit or are a [`DecimalError`]; nothing is ever rounded. The places that were given stay: `10.50 +
/// 1` is `11.50`. Equality and order are those of the numbers: `12.3` equals `12.30`.
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
pub enum DecimalError {
    /// Infinite, or not a number.
    #[error("{text} is not a finite number")]
    NotFinite {
        /// The text that is no decimal number.
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
        /// The number that was to be added.
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
    /// [`DecimalError::Overflow`] when it has more than 38 digits.
    #[inline]
    pub fn checked_add(self, other: Self) -> Result<Self, DecimalError> {
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
    /// [`DecimalError::Overflow`] when it has more than 38 digits.
    pub fn checked_sub(self, other: Self) -> Result<Self, DecimalError> {
        match other.units.checked_neg() {
            Some(units) => self.checked_add(Self { units, places: other.places }),
            None => Err(DecimalError::Overflow { left: self, right: other }),
        }
    }

    fn add_aligned(self, other: Self) -> Result<Self, DecimalError> {
        let places = self.places.max(other.places);
        let sum = self.units_at(places).zip(other.units_at(places)).and_then(|(left, right)| left.checked_add(right));
        match sum {
            Some(units) => Ok(Self { units, places }),
            // Zeros at the end may be all that is in the way.
            None if self.shortened().places < self.places || other.shortened().places < other.places => {
                self.shortened().add_aligned(other.shortened())
            }
            None => Err(DecimalError::Overflow { left: self, right: other }),
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

/// The shortest decimal number that reads as this `f64`: what stood in the file or the source it came from, up to 15
/// digits.
impl TryFrom<f64> for Decimal {
    type Error = DecimalError;

    #[inline]
    fn try_from(number: f64) -> Result<Self, DecimalError> {
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
            return Err(DecimalError::NotFinite { text: number.to_string() });
        }
        format!("{number:e}").parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
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
            assert_eq!(Decimal::try_from(number).unwrap_err().to_string(), message);
        }
    }
}
