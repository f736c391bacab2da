//! Dates, times and timestamps between ISO 8601 text and the days and microseconds of the wire.

use std::fmt::Write;

const MICROS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
const EPOCH_DAYS: i64 = 10_957;
/// The earliest and the latest day that the server takes, counted from 2000-01-01.
const DAYS: std::ops::RangeInclusive<i64> = -2_451_545..=2_145_031_948;

/// Days since 2000-01-01 of `2024-02-29`, `infinity` or `-infinity`.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    match text {
        "infinity" => Some(i32::MAX),
        "-infinity" => Some(i32::MIN),
        _ => {
            let (days, rest) = date(text.as_bytes())?;
            if rest.is_empty() { i32::try_from(days).ok() } else { None }
        }
    }
}

/// Microseconds since midnight of `13:45`, `13:45:59` or `13:45:59.123456`.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let (micros, rest) = time(text.as_bytes())?;
    rest.is_empty().then_some(micros)
}

/// Microseconds since 2000-01-01T00:00 UTC of a date, a date with time, or one with an offset. Without an offset it is
/// UTC, as everywhere in Oxbatch.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (days, rest) = date(text.as_bytes())?;
    let midnight = days.checked_mul(MICROS_PER_DAY)?;
    let [separator, rest @ ..] = rest else { return Some(midnight) };
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (micros, rest) = time(rest)?;
    let (offset, rest) = offset(rest)?;
    // The name of a zone behind the offset says nothing more: `[Europe/Berlin]`.
    let named = matches!(rest, [b'[', .., b']']);
    (rest.is_empty() || named).then_some(())?;
    midnight.checked_add(micros)?.checked_sub(offset * MICROS_PER_SECOND)
}

/// Two decimal digits.
#[inline]
fn two(text: &[u8]) -> Option<(i64, &[u8])> {
    let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = text else { return None };
    Some((i64::from(tens - b'0') * 10 + i64::from(ones - b'0'), rest))
}

fn after(byte: u8, text: &[u8]) -> Option<&[u8]> {
    text.split_first().filter(|(first, _)| **first == byte).map(|(_, rest)| rest)
}

#[inline]
fn date(text: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    let length = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    if !(4..=6).contains(&length) {
        return None;
    }
    let year = sign * digits[..length].iter().fold(0, |year, digit| year * 10 + i64::from(digit - b'0'));
    let (month, rest) = two(after(b'-', &digits[length..])?)?;
    let (day, rest) = two(after(b'-', rest)?)?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    DAYS.contains(&days).then_some((days, rest))
}

#[inline]
fn time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = two(text)?;
    let (minute, mut rest) = two(after(b':', rest)?)?;
    let (mut second, mut micros) = (0, 0);
    if let Some(behind) = after(b':', rest) {
        (second, rest) = two(behind)?;
        if let Some(fraction) = after(b'.', rest) {
            let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&length) {
                return None;
            }
            let nanos = (0..9).fold(0, |nanos, at| {
                let digit = if at < length { i64::from(fraction[at] - b'0') } else { 0 };
                nanos * 10 + digit
            });
            // Rounded to the nearest microsecond, as the server does.
            micros = (nanos + 500) / 1_000;
            rest = &fraction[length..];
        }
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some((((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros, rest))
}

/// Seconds east of Greenwich; none is UTC.
fn offset(text: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, rest) = match text {
        [b'Z' | b'z', rest @ ..] => return Some((0, rest)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return Some((0, text)),
    };
    let (hours, mut rest) = two(rest)?;
    let mut parts = [0, 0];
    for part in &mut parts {
        let behind = after(b':', rest).unwrap_or(rest);
        if let Some((number, behind)) = two(behind) {
            (*part, rest) = (number, behind);
        }
    }
    let [minutes, seconds] = parts;
    (hours < 24 && minutes < 60 && seconds < 60).then_some((sign * ((hours * 60 + minutes) * 60 + seconds), rest))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 2000-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 - EPOCH_DAYS
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Writes `2024-02-29`.
pub(super) fn show_date(days: i32, out: &mut String) {
    match days {
        i32::MAX => out.push_str("infinity"),
        i32::MIN => out.push_str("-infinity"),
        _ => put_date(i64::from(days), out),
    }
}

/// Writes `13:45:59` or `13:45:59.123456`.
pub(super) fn show_time(micros: i64, out: &mut String) {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    // Writing into a text cannot fail.
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let _ = write!(out, ".{fraction:06}");
    }
}

/// Writes `2024-02-29T13:45:59`, with a `Z` behind it for an instant.
pub(super) fn show_timestamp(micros: i64, instant: bool, out: &mut String) {
    match micros {
        i64::MAX => out.push_str("infinity"),
        i64::MIN => out.push_str("-infinity"),
        _ => {
            put_date(micros.div_euclid(MICROS_PER_DAY), out);
            out.push('T');
            show_time(micros.rem_euclid(MICROS_PER_DAY), out);
            if instant {
                out.push('Z');
            }
        }
    }
}

/// A date or timestamp that was written here, as the server reads it: it knows no signs of years, and counts those
/// before Christ from 1.
pub(super) fn for_server(text: &str) -> String {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let parsed = digits.split_once('-').and_then(|(year, rest)| Some((year.parse::<i64>().ok()?, rest)));
    match parsed.map(|(year, rest)| (sign * year, rest)) {
        Some((year @ ..=0, rest)) => format!("{:04}-{rest} BC", 1 - year),
        Some((year, rest)) => format!("{year:04}-{rest}"),
        // The infinite ones.
        None => text.to_owned(),
    }
}

fn put_date(days: i64, out: &mut String) {
    let (year, month, day) = civil_from_days(days);
    // Writing into a text cannot fail.
    let _ = match year {
        0..=9_999 => write!(out, "{year:04}-{month:02}-{day:02}"),
        _ => write!(out, "{year:+07}-{month:02}-{day:02}"),
    };
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "2024-02-30", "2023-02-29", "2024-13-01", "24-01-01", "2024-1-1", "2024-01-01x", "2024/01/01"]
        {
            assert_eq!(parse_date(text), None, "{text}");
        }
        for text in ["24:00", "1:00", "12:60", "12:00:61", "12:00:00.", "12:00:00.1234567890"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        for text in ["2024-01-01T", "2024-01-01T12", "2024-01-01T12:00+25", "2024-01-01_12:00", "2024-01-01T12:00Zx"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn an_offset_is_taken_away_and_none_is_utc() {
        let noon = parse_timestamp("2024-01-01T12:00:00Z");
        assert!(noon.is_some());
        for text in [
            "2024-01-01 12:00",
            "2024-01-01T14:00:00+02:00",
            "2024-01-01T14:00:00+02",
            "2024-01-01T06:30:00-0530",
            "2024-01-01T13:00:00+01:00[Europe/Berlin]",
            "2024-01-01T11:59:59.9999996Z",
        ] {
            assert_eq!(parse_timestamp(text), noon, "{text}");
        }
        assert_eq!(parse_timestamp("2000-01-01"), Some(0));
    }

    proptest! {
        #[test]
        fn days_agree_with_the_calendar_of_jiff(days in -4_000_000_i32..2_900_000) {
            let mut text = String::new();
            if let Ok(expected) = date(2000, 1, 1).checked_add(jiff::Span::new().days(days)) {
                show_date(days, &mut text);
                prop_assert_eq!(text.parse::<Date>().ok(), Some(expected));
                if DAYS.contains(&i64::from(days)) {
                    prop_assert_eq!(parse_date(&text), Some(days));
                }
            }
        }

        #[test]
        fn an_instant_comes_back_as_it_was(micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let mut text = String::new();
            show_timestamp(micros, true, &mut text);
            prop_assert_eq!(parse_timestamp(&text), Some(micros));
            let expected: jiff::Timestamp = text.parse().unwrap();
            prop_assert_eq!(expected.as_microsecond(), micros + EPOCH_DAYS * MICROS_PER_DAY);
        }

        #[test]
        fn a_time_comes_back_as_it_was(micros in 0_i64..MICROS_PER_DAY) {
            let mut text = String::new();
            show_time(micros, &mut text);
            prop_assert_eq!(parse_time(&text), Some(micros));
        }
    }
}
