//! The date-time value of a parameter: a UTC instant that remembers whether it was given as a date.

use std::fmt;

use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

/// A UTC instant with microseconds; a date without time stays a date when shown.
///
/// Two values are equal when they are the same instant: `2024-01-01`, `2024-01-01T00:00:00Z` and
/// `2024-01-01T01:00:00+01:00` identify the same job instance. A time without offset is UTC.
#[derive(Debug, Clone, Copy)]
pub struct DateTime {
    instant: Timestamp,
    date_only: bool,
}

impl DateTime {
    /// Reads an ISO 8601 / RFC 3339 date (`2024-01-01`), date-time, or date-time with offset; `None` for any other text.
    ///
    /// Only the extended form is taken: `20240101` is a string or a number, never a date.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
        if bytes.len() < 10 || !(digits(0..4) && bytes[4] == b'-' && digits(5..7) && bytes[7] == b'-' && digits(8..10))
        {
            return None;
        }
        if bytes.len() == 10 {
            let date: civil::Date = text.parse().ok()?;
            let instant = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
            return Some(Self { instant, date_only: true });
        }
        let time_follows =
            matches!(bytes[10], b'T' | b't' | b' ') && bytes.len() >= 16 && digits(11..13) && bytes[13] == b':';
        // A zone in brackets is RFC 9557, which the interface does not promise.
        if !time_follows || bytes.contains(&b'[') {
            return None;
        }
        let instant = match text.parse::<Timestamp>() {
            Ok(instant) => instant,
            Err(_) => {
                let local: civil::DateTime = text.parse().ok()?;
                local.to_zoned(TimeZone::UTC).ok()?.timestamp()
            }
        };
        Some(Self::from_instant(instant))
    }

    /// An instant, cut to microseconds.
    pub fn from_instant(instant: Timestamp) -> Self {
        let rounding = jiff::TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Floor);
        Self { instant: instant.round(rounding).unwrap_or(instant), date_only: false }
    }

    /// The value from its stored parts; `None` outside the range of years −9999 to 9999.
    pub fn from_parts(microseconds: i64, date_only: bool) -> Option<Self> {
        let instant = Timestamp::from_microsecond(microseconds).ok()?;
        Some(Self { instant, date_only })
    }

    /// The instant.
    pub fn instant(self) -> Timestamp {
        self.instant
    }

    /// The day in UTC.
    pub fn date(self) -> civil::Date {
        self.instant.to_zoned(TimeZone::UTC).date()
    }

    /// Whether it was given without a time.
    pub fn is_date(self) -> bool {
        self.date_only
    }
}

impl PartialEq for DateTime {
    fn eq(&self, other: &Self) -> bool {
        self.instant == other.instant
    }
}

impl Eq for DateTime {}

/// `2024-01-01` for a date, RFC 3339 UTC with microseconds otherwise.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.date_only { write!(f, "{}", self.date()) } else { write!(f, "{:.6}", self.instant) }
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
            ("2024-01-01T08:30:01.1234567+02:00", "2024-01-01T06:30:01.123456Z"),
        ] {
            assert_eq!(DateTime::parse(text).map(|value| value.to_string()).as_deref(), Some(shown), "{text}");
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
            assert!(DateTime::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn one_instant_in_three_forms_is_one_value() {
        let forms = ["2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"];
        let values: Vec<_> = forms.iter().map(|text| DateTime::parse(text).unwrap()).collect();
        assert!(values.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
