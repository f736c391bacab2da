//! Cron texts: five fields, or six with seconds, as times that a clock on the wall shows.

use std::fmt;
use std::str::FromStr;

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;

/// The fields of a text with seconds, in their order.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, L, or a day with W"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "0 to 7 or SUN to SAT, with # or L"),
];
/// Longest text in bytes.
const MAX_BYTES: usize = 200;

/// A cron text: minute, hour, day of the month, month, day of the week, with seconds before them where there are six.
///
/// A day has to fit both of its fields where one of them is `*`, and either where both say something, as in cron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    pattern: croner::Cron,
    by_the_clock: bool,
}

/// Why a text is no cron text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// It has too few fields or too many.
    #[error(
        "cron '{text}' has {count} fields: give minute, hour, day of the month, month and day of the week, or six with seconds before them"
    )]
    Fields {
        /// The text.
        text: String,
        /// The number of its fields.
        count: usize,
    },
    /// One of the fields is wrong.
    #[error("cron '{text}': the {field} '{value}' is not {expected}, alone or as a list, a range or with a step")]
    Field {
        /// The text.
        text: String,
        /// Name of the field.
        field: &'static str,
        /// The field as it was written.
        value: String,
        /// The values that it may have.
        expected: &'static str,
    },
    /// A name for a whole text that there is not.
    #[error("cron '{text}' is none of @hourly, @daily, @weekly, @monthly and @yearly")]
    Nickname {
        /// The text.
        text: String,
    },
    /// No day fits it.
    #[error(
        "cron '{text}' never comes: no day of any year fits its day of the month, its month and its day of the week"
    )]
    Never {
        /// The text.
        text: String,
    },
    /// It is longer than the most that is read.
    #[error("a cron text has at most {MAX_BYTES} bytes")]
    TooLong,
}

impl Cron {
    /// `true` if it follows the clock through its changes: its hour, minute or second says `*`, so that it means "every
    /// so often" and no certain time of the day.
    pub fn is_by_the_clock(&self) -> bool {
        self.by_the_clock
    }

    /// The first time after another, or at it, that a clock without changes shows.
    pub(super) fn next(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        self.pattern.find_next_occurrence(&from, inclusive).ok()
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(given: &str) -> Result<Self, CronError> {
        if given.len() > MAX_BYTES {
            return Err(CronError::TooLong);
        }
        let text = given.split_whitespace().collect::<Vec<_>>().join(" ");
        let expanded = expand(&text)?.to_owned();
        let mut fields: Vec<&str> = expanded.split(' ').filter(|field| !field.is_empty()).collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        if fields.len() != 6 {
            let count = fields.len();
            return Err(CronError::Fields { text, count });
        }
        let by_the_clock = fields[..3].iter().any(|field| field.starts_with('*'));
        let found = pattern(&fields.join(" ")).filter(|_| fields.iter().all(|field| is_plain(field)));
        let Some(pattern) = found else {
            return Err(culprit(text, &fields));
        };
        let cron = Self { text, pattern, by_the_clock };
        // 2000 is a leap year, and each weekday falls on each date within 40 years.
        match cron.next(DateTime::constant(2000, 1, 1, 0, 0, 0, 0), true).is_some_and(|first| first.year() < 2041) {
            true => Ok(cron),
            false => Err(CronError::Never { text: cron.text }),
        }
    }
}

/// The fields of a name for a whole text.
fn expand(text: &str) -> Result<&str, CronError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let names = [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ];
    let known = names.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    known.map(|(_, fields)| fields).ok_or_else(|| CronError::Nickname { text: text.to_owned() })
}

/// The first field that is wrong by itself: the others say nothing.
fn culprit(text: String, fields: &[&str]) -> CronError {
    for (index, (field, expected)) in FIELDS.into_iter().enumerate() {
        let mut alone = ["*"; 6];
        alone[index] = fields[index];
        if !is_plain(fields[index]) || pattern(&alone.join(" ")).is_none() {
            return CronError::Field { text, field, value: fields[index].to_owned(), expected };
        }
    }
    CronError::Fields { text, count: fields.len() }
}

/// `@` and `+` stand for things that have other ways to be said; an empty part of a list is a slip.
fn is_plain(field: &str) -> bool {
    !field.contains(['@', '+']) && field.split(',').all(|part| !part.is_empty())
}

fn pattern(text: &str) -> Option<croner::Cron> {
    CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build().parse(text).ok()
}

/// As it was written.
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_text_is_said_by_the_name_of_its_field() {
        let named = |text: &str| match text.parse::<Cron>().unwrap_err() {
            CronError::Field { field, .. } => field,
            other => panic!("{text}: {other}"),
        };
        for (text, field) in [
            ("60 2 * * *", "minute"),
            ("-1 2 * * *", "minute"),
            ("a 2 * * *", "minute"),
            ("*/0 2 * * *", "minute"),
            ("5-1 2 * * *", "minute"),
            ("1,,2 2 * * *", "minute"),
            ("99999999999 2 * * *", "minute"),
            ("0 24 * * *", "hour"),
            ("0 2.5 * * *", "hour"),
            ("0 @daily * * *", "hour"),
            ("0 2 0 * *", "day of the month"),
            ("0 2 32 * *", "day of the month"),
            ("0 2 * 13 *", "month"),
            ("0 2 * Foo *", "month"),
            ("0 2 * * 8", "day of the week"),
            ("0 2 * * MON#6", "day of the week"),
            ("60 0 2 * * *", "second"),
            ("\u{663} 2 * * *", "minute"),
        ] {
            assert_eq!(named(text), field, "{text}");
        }
        assert_eq!(
            "0 24 * * *".parse::<Cron>().unwrap_err().to_string(),
            "cron '0 24 * * *': the hour '24' is not 0 to 23, alone or as a list, a range or with a step"
        );
    }

    #[test]
    fn a_text_has_five_fields_or_six_and_comes_at_all() {
        for (text, sentence) in [
            ("", "has 0 fields"),
            ("   ", "has 0 fields"),
            ("* * * *", "has 4 fields"),
            ("0 0 0 1 1 * 2026", "has 7 fields"),
            ("@fortnightly", "is none of @hourly"),
            ("0 2 30 2 *", "never comes"),
            ("0 2 31 4,6 *", "never comes"),
        ] {
            let refused = text.parse::<Cron>().unwrap_err().to_string();
            assert!(refused.contains(sentence), "{text}: {refused}");
        }
        assert!("* ".repeat(200).parse::<Cron>().is_err());
        for text in
            ["30 2 * * *", "*/10 * * * * *", "@Daily", "0 2 29 2 *", "0  2 * JAN-MAR mon", "0 0 L * *", "0 0 * * 5#L"]
        {
            text.parse::<Cron>().unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        assert_eq!(" 30   2 * * * ".parse::<Cron>().unwrap().to_string(), "30 2 * * *");
    }
}
