//! The date-time value of a parameter: a UTC instant that remembers whether it was given as a date.

use std::fmt;

use jiff::civil;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Unit};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits of a fraction of a second that are kept: microseconds.
const FRACTION_DIGITS: usize = 6;
/// First year that a parameter can have; the last one is 9999.
const FIRST_YEAR: i16 = 1;

/// A UTC instant with microseconds from the year 0001 to 9999; a date without time stays a date when shown.
///
/// Two values are equal when they are the same instant: `2024-01-01`, `2024-01-01T00:00:00Z` and
/// `2024-01-01T01:00:00+01:00` identify the same job instance. A time without offset is UTC.
#[derive(Debug, Clone, Copy)]
pub struct DateTime {
    /// Date and time in UTC: jiff's timestamps end a day before `9999-12-31`, the "for ever" of many warehouses.
    utc: civil::DateTime,
    date_only: bool,
}

/// A text that is no date-time of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DateTimeError {
    /// Neither a date nor a date-time.
    #[error("is no date or time such as 2024-01-31 or 2024-01-31T08:00:00Z")]
    NotADate,
    /// A fraction of a second that would have to be cut: two different times would become one.
    #[error("is finer than a microsecond, the finest time that can be kept")]
    TooFine,
    /// Before the year 0001 or after the year 9999, in UTC.
    #[error("is outside of the years 0001 to 9999 (UTC)")]
    OutOfRange,
}

impl DateTime {
    /// Reads an ISO 8601 / RFC 3339 date (`2024-01-01`), date-time, or date-time with offset.
    ///
    /// Only the extended form is taken: `20240101` is a string or a number, never a date.
    ///
    /// # Errors
    /// [`DateTimeError`] when the text is none of them, finer than a microsecond or outside of the years 0001 to 9999.
    pub fn parse(text: &str) -> Result<Self, DateTimeError> {
        if !has_form_of_a_date(text.as_bytes()) {
            return Err(DateTimeError::NotADate);
        }
        if text.len() == 10 {
            let date: civil::Date = text.parse().map_err(|_| DateTimeError::NotADate)?;
            return Self::checked(date.to_datetime(civil::Time::midnight()), true);
        }
        let (text, is_cut) = cut_fraction(text);
        let pieces = Pieces::parse(text.as_ref()).map_err(|_| DateTimeError::NotADate)?;
        let offset = match pieces.offset() {
            None | Some(PiecesOffset::Zulu) => Offset::UTC,
            Some(PiecesOffset::Numeric(offset)) => offset.offset(),
            Some(_) => return Err(DateTimeError::NotADate),
        };
        if is_cut {
            return Err(DateTimeError::TooFine);
        }
        let local = pieces.date().to_datetime(pieces.time().unwrap_or_default());
        let to_utc = jiff::SignedDuration::from_secs(-i64::from(offset.seconds()));
        Self::checked(local.checked_add(to_utc).map_err(|_| DateTimeError::OutOfRange)?, false)
    }

    fn checked(utc: civil::DateTime, date_only: bool) -> Result<Self, DateTimeError> {
        if utc.year() < FIRST_YEAR { Err(DateTimeError::OutOfRange) } else { Ok(Self { utc, date_only }) }
    }

    /// An instant, cut to microseconds.
    pub fn from_instant(instant: Timestamp) -> Self {
        let rounding = jiff::TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Floor);
        Self { utc: TimeZone::UTC.to_datetime(instant.round(rounding).unwrap_or(instant)), date_only: false }
    }

    /// A day; `None` outside of the years 0001 to 9999.
    pub fn from_date(date: civil::Date) -> Option<Self> {
        Self::checked(date.to_datetime(civil::Time::midnight()), true).ok()
    }

    /// The value from its stored parts; `None` outside the range of years −9999 to 9999.
    pub fn from_parts(microseconds: i64, date_only: bool) -> Option<Self> {
        let since_epoch = jiff::SignedDuration::from_micros(microseconds);
        let utc = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(since_epoch).ok()?;
        Some(Self { utc, date_only })
    }

    /// Microseconds since 1970, as they are stored and make the identity of an instance.
    pub fn microseconds(self) -> i64 {
        let since_epoch = self.utc.duration_since(civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        // Twenty thousand years are 63 · 10^16 microseconds.
        i64::try_from(since_epoch.as_micros()).unwrap_or_default()
    }

    /// The instant; `None` for the last 26 hours before the year 10000, which jiff's timestamps do not reach.
    pub fn instant(self) -> Option<Timestamp> {
        self.utc.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    }

    /// The instant, or the last one that jiff's timestamps reach: for the bounds of a range.
    pub fn saturating_instant(self) -> Timestamp {
        self.instant().unwrap_or(Timestamp::MAX)
    }

    /// Date and time in UTC.
    pub fn utc(self) -> civil::DateTime {
        self.utc
    }

    /// The day in UTC.
    pub fn date(self) -> civil::Date {
        self.utc.date()
    }

    /// True if it was given without a time.
    pub fn is_date(self) -> bool {
        self.date_only
    }
}

/// `dddd-dd-dd`, alone or with a time `Tdd:dd` behind it.
fn has_form_of_a_date(bytes: &[u8]) -> bool {
    let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
    if bytes.len() < 10 || !(digits(0..4) && bytes[4] == b'-' && digits(5..7) && bytes[7] == b'-' && digits(8..10)) {
        return false;
    }
    let time_follows =
        || matches!(bytes[10], b'T' | b't' | b' ') && bytes.len() >= 16 && digits(11..13) && bytes[13] == b':';
    // A zone in brackets is RFC 9557, which the interface does not promise.
    bytes.len() == 10 || (time_follows() && !bytes.contains(&b'['))
}

/// The text with at most six digits behind the second, and whether a digit other than 0 was cut off.
fn cut_fraction(text: &str) -> (std::borrow::Cow<'_, str>, bool) {
    let Some(point) = text.find(['.', ',']) else { return (text.into(), false) };
    let digits = text[point + 1..].bytes().take_while(u8::is_ascii_digit).count();
    if digits <= FRACTION_DIGITS {
        return (text.into(), false);
    }
    let (kept, end) = (point + 1 + FRACTION_DIGITS, point + 1 + digits);
    let is_cut = text[kept..end].bytes().any(|digit| digit != b'0');
    (format!("{}{}", &text[..kept], &text[end..]).into(), is_cut)
}

/// From its ISO 8601 text.
impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| D::Error::custom(format!("'{text}' {error}")))
    }
}

/// As its ISO 8601 text.
impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialEq for DateTime {
    fn eq(&self, other: &Self) -> bool {
        self.utc == other.utc
    }
}

impl Eq for DateTime {}

/// `2024-01-01` for a date, RFC 3339 UTC with microseconds otherwise.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.date_only { write!(f, "{}", self.date()) } else { write!(f, "{:.6}Z", self.utc) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_date_times_are_read_and_nothing_else() {
        for (text, shown) in [
            ("2024-01-01", "2024-01-01"),
            ("2024-01-01T08:30", "2024-01-01T08:30:00.000000Z"),
            ("2024-01-01 08:30:01", "2024-01-01T08:30:01.000000Z"),
            ("2024-01-01T08:30:01.5Z", "2024-01-01T08:30:01.500000Z"),
            ("2024-01-01T08:30:01.1234560+02:00", "2024-01-01T06:30:01.123456Z"),
            ("2024-01-01T08:30:01,5-00:30", "2024-01-01T09:00:01.500000Z"),
            ("9999-12-31", "9999-12-31"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
            ("0001-01-01", "0001-01-01"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(DateTime::parse(text).map(|value| value.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in [
            "",
            "2024",
            "20240101",
            "2024-13-01",
            "2024-02-30",
            "2024-01-01T",
            "2024-01-01x",
            "2024-01-01 and on",
            "2024-01-01T08",
            "2024-1-1",
            "2024-W01-1",
            "2024-01-01T08:30[Europe/Berlin]",
            "２０２４-01-01",
        ] {
            assert_eq!(DateTime::parse(text), Err(DateTimeError::NotADate), "{text}");
        }
    }

    #[test]
    fn what_would_be_cut_or_lies_outside_of_the_years_is_refused() {
        for text in
            ["2024-01-01T08:30:01.1234567Z", "2024-01-01T08:30:01.0000000000001", "2024-01-01 08:30:01,123456789"]
        {
            assert_eq!(DateTime::parse(text), Err(DateTimeError::TooFine), "{text}");
        }
        for text in ["0000-01-01", "0000-12-31T23:59:59Z", "0001-01-01T00:30:00+01:00", "9999-12-31T23:30:00-01:00"] {
            assert_eq!(DateTime::parse(text), Err(DateTimeError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn the_stored_parts_give_the_value_back() {
        for text in ["0001-01-01", "1969-12-31T23:59:59.999999Z", "2024-02-29T12:00:00Z", "9999-12-31T23:59:59.999999Z"]
        {
            let value = DateTime::parse(text).unwrap();
            let read = DateTime::from_parts(value.microseconds(), value.is_date()).unwrap();
            assert_eq!((read, read.to_string()), (value, value.to_string()), "{text}");
        }
        assert_eq!(DateTime::parse("1970-01-02").unwrap().microseconds(), 86_400_000_000);
    }

    #[test]
    fn one_instant_in_three_forms_is_one_value() {
        let forms = ["2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"];
        let values: Vec<_> = forms.iter().map(|text| DateTime::parse(text).unwrap()).collect();
        assert!(values.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
