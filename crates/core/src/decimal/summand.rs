//! The values that control totals add.

use super::{Decimal, DecimalError};

/// A value that a control total can add: whole numbers, `f64`, [`Decimal`], `bool` (true counts one), and these where
/// they may be missing (`None` adds nothing) or fail.
pub trait Summand {
    /// The number to add.
    ///
    /// # Errors
    /// When it is no exact decimal number.
    fn summand(self) -> Result<Decimal, DecimalError>;
}

macro_rules! summands {
    ($($number:ty)*) => {
        $(impl Summand for $number {
            #[inline]
            fn summand(self) -> Result<Decimal, DecimalError> {
                Ok(self.into())
            }
        })*
    };
}

summands!(i8 i16 i32 i64 u8 u16 u32 u64 Decimal);

impl Summand for f64 {
    #[inline]
    fn summand(self) -> Result<Decimal, DecimalError> {
        self.try_into()
    }
}

impl Summand for bool {
    #[inline]
    fn summand(self) -> Result<Decimal, DecimalError> {
        Ok(u8::from(self).into())
    }
}

impl<T: Summand> Summand for Option<T> {
    #[inline]
    fn summand(self) -> Result<Decimal, DecimalError> {
        self.map_or(Ok(Decimal::ZERO), Summand::summand)
    }
}

impl<T: Summand, E: Into<crate::BoxError>> Summand for Result<T, E> {
    #[inline]
    fn summand(self) -> Result<Decimal, DecimalError> {
        self.map_err(|error| DecimalError::Author { message: crate::execution::cause_chain(error.into().as_ref()) })?
            .summand()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_missing_or_fail_can_be_added_too() {
        assert_eq!(None::<i64>.summand().unwrap(), Decimal::ZERO);
        assert_eq!(true.summand().unwrap(), 1_i64.into());
        assert_eq!("1.5".parse::<Decimal>().summand().unwrap(), Decimal::new(15, 1).unwrap());
        assert_eq!("x".parse::<Decimal>().summand().unwrap_err().to_string(), "'x' is no decimal number");
    }
}
