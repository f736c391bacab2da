//! Date expressions: a day or an instant relative to the moment of a launch, such as `yesterday in Europe/Berlin`.

pub(crate) mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};

use super::DateTime;

/// Most units that one term adds or subtracts.
const MAX_COUNT: i64 = 100_000;
/// Longest expression in bytes.
const MAX_BYTES: usize = 200;

/// A day or an instant relative to a moment, in a named time zone.
///
/// | expression | value |
/// |---|---|
/// | `today`, `yesterday`, `tomorrow` | the day in the zone |
/// | `now` | the instant |
/// | `first day of month`, `last day of previous quarter` | a day; `week` (from Monday), `month`, `quarter`, `year`, and `previous` or `next` before it |
/// | `today - 3 days`, `now + 90 minutes` | terms of `minutes`, `hours` (of `now` alone), `days`, `weeks`, `months`, `years`, from left to right |
/// | `yesterday at 22:00` | the instant at which the clocks of the zone show that time |
/// | `… in Europe/Berlin` | the zone, by its IANA name; UTC unless given |
///
/// A time that the clocks leave out is read as if they had not been set yet (02:30 becomes 03:30); of a time that comes
/// twice it is the first. A month too short for a day has its last one: `today - 1 month` on 31 March is 28 or 29
/// February.
///
/// ```
/// use oxbatch::job::DateExpression;
///
/// let expression: DateExpression = "yesterday in Europe/Berlin".parse()?;
/// let launch = "2026-03-01T23:30:00Z".parse()?;
/// assert_eq!(expression.evaluate(launch)?.to_string(), "2026-03-01");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DateExpression {
    text: String,
    base: Base,
    terms: Vec<Term>,
    time: Option<Time>,
    zone: TimeZone,
}

/// The day or instant that the terms are added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Now,
    /// Days after today.
    Day(i8),
    /// The first or last day of a period.
    Edge {
        edge: Edge,
        period: Period,
        /// Periods after the current one.
        offset: i8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    First,
    Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Week,
    Month,
    Quarter,
    Year,
}

/// Units that are added; subtracted where the count is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    count: i64,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// Why a text is no date expression, or has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// Something else stands where a certain part is expected.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// The parts that may stand there.
        expected: &'static str,
        /// The part that stands there.
        found: String,
    },
    /// There is no such time zone.
    #[error("there is no time zone '{name}': give the IANA name of one, such as Europe/Berlin, or UTC")]
    UnknownZone {
        /// The name.
        name: String,
    },
    /// A term of minutes or hours stands with a day.
    #[error("a day has no {unit}: begin with 'now', or give the time of the day with 'at'")]
    UnitOfDay {
        /// The unit.
        unit: &'static str,
    },
    /// A time of the day stands with `now`.
    #[error("'now' has a time of its own: write 'today at …'")]
    TimeOfNow,
    /// A time of the day that no clock shows.
    #[error("{hour}:{minute} is no time of the day from 00:00 to 23:59")]
    Time {
        /// The hour as it was written.
        hour: String,
        /// The minute as it was written.
        minute: String,
    },
    /// A term is too large.
    #[error("{count} is more than {MAX_COUNT}, the largest number of units")]
    Count {
        /// The number as it was written.
        count: String,
    },
    /// The whole text is too long.
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// An expression that belongs to no schedule speaks of a fire.
    #[error("only the expressions of a schedule have a 'fire': write 'now' or 'today'")]
    NoFire,
    /// The value lies outside of the years that a parameter can have.
    #[error("its value is outside of the years 0001 to 9999")]
    OutOfRange,
}

impl DateExpression {
    /// Reads an expression over the fire of a schedule. It is evaluated at the fire's instant, whenever that is done:
    /// `fire` is the instant, as `now`, and `fire date` its day, as `today`. The zone is that of the schedule unless it
    /// is given.
    ///
    /// # Errors
    /// As for any expression.
    pub fn of_fire(text: &str, zone: &TimeZone) -> Result<Self, ExpressionError> {
        parse::parse(text, Some(zone))
    }

    /// The value for a launch at `now`: a date, or an instant in UTC. The same moment gives the same value, wherever it
    /// is evaluated.
    ///
    /// # Errors
    /// [`ExpressionError::OutOfRange`] when the value is outside of the years 0001 to 9999.
    pub fn evaluate(&self, now: Timestamp) -> Result<DateTime, ExpressionError> {
        self.value(&now.to_zoned(self.zone.clone())).map_err(|_| ExpressionError::OutOfRange)?.in_range()
    }

    fn value(&self, now: &Zoned) -> Result<Value, jiff::Error> {
        let first = match self.base {
            Base::Now => {
                let mut instant = now.clone();
                for term in &self.terms {
                    instant = instant.checked_add(term.span()?)?;
                }
                return Ok(Value::Instant(instant.timestamp()));
            }
            Base::Day(days) => now.date().checked_add(i64::from(days).days())?,
            Base::Edge { edge, period, offset } => period.edge(now.date(), edge, offset)?,
        };
        let mut date = first;
        for term in &self.terms {
            date = date.checked_add(term.span()?)?;
        }
        Ok(match self.time {
            None => Value::Date(date),
            // What the clocks leave out or show twice is resolved as RFC 5545 has it.
            Some(time) => Value::Instant(date.to_datetime(time).to_zoned(self.zone.clone())?.timestamp()),
        })
    }
}

enum Value {
    Date(Date),
    Instant(Timestamp),
}

impl Value {
    fn in_range(self) -> Result<DateTime, ExpressionError> {
        let value = match self {
            Self::Date(date) => DateTime::from_date(date),
            Self::Instant(instant) => Some(DateTime::from_instant(instant)).filter(|value| value.date().year() > 0),
        };
        value.ok_or(ExpressionError::OutOfRange)
    }
}

impl Term {
    fn span(self) -> Result<Span, jiff::Error> {
        let Self { count, unit } = self;
        let span = Span::new();
        match unit {
            Unit::Minute => span.try_minutes(count),
            Unit::Hour => span.try_hours(count),
            Unit::Day => span.try_days(count),
            Unit::Week => span.try_weeks(count),
            Unit::Month => span.try_months(count),
            Unit::Year => span.try_years(count),
        }
    }
}

impl Unit {
    /// `true` for a unit of the time of a day.
    const fn is_of_time(self) -> bool {
        matches!(self, Self::Minute | Self::Hour)
    }

    /// Its name for messages.
    const fn plural(self) -> &'static str {
        match self {
            Self::Minute => "minutes",
            Self::Hour => "hours",
            Self::Day => "days",
            Self::Week => "weeks",
            Self::Month => "months",
            Self::Year => "years",
        }
    }
}

impl Period {
    /// The first or last day of the period around a day, or of the one before or after.
    fn edge(self, day: Date, edge: Edge, offset: i8) -> Result<Date, jiff::Error> {
        let first = match self {
            Self::Week => day.checked_sub(i64::from(day.weekday().since(Weekday::Monday)).days())?,
            Self::Month => day.first_of_month(),
            Self::Quarter => Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1)?,
            Self::Year => day.first_of_year(),
        };
        let periods = |count: i8| {
            let count = i64::from(count);
            match self {
                Self::Week => count.weeks(),
                Self::Month => count.months(),
                Self::Quarter => (3 * count).months(),
                Self::Year => count.years(),
            }
        };
        match edge {
            Edge::First => first.checked_add(periods(offset)),
            Edge::Last => first.checked_add(periods(offset + 1))?.checked_sub(1.day()),
        }
    }
}

impl FromStr for DateExpression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        parse::parse(text, None)
    }
}

/// As it was written.
impl fmt::Display for DateExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
