//! Reads date expressions: words, numbers and signs from left to right, then the zone.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{Base, DateExpression, Edge, ExpressionError, MAX_BYTES, MAX_COUNT, Period, Term, Unit};

const BASES: &str = "now, today, yesterday, tomorrow, or first or last day of a week, month, quarter or year";
const PERIODS: &str = "week, month, quarter or year, alone or after previous or next";
const UNITS: &str = "a unit of time: minutes, hours, days, weeks, months or years";
const REST: &str = "+ or - with a number of units, 'at' with a time, 'in' with a time zone, or the end";

/// Reads a whole expression: of a default, or with the zone of its schedule, over a fire.
pub(super) fn parse(text: &str, fire: Option<&TimeZone>) -> Result<DateExpression, ExpressionError> {
    if text.len() > MAX_BYTES {
        return Err(ExpressionError::TooLong);
    }
    let mut rest = Rest { text: text.trim() };
    let base = base(&mut rest, fire.is_some())?;
    let zone_unless_given = fire.cloned().unwrap_or(TimeZone::UTC);
    let mut expression =
        DateExpression { text: text.trim().to_owned(), base, terms: Vec::new(), time: None, zone: zone_unless_given };
    loop {
        match rest.next() {
            Some(sign @ ("+" | "-")) if expression.time.is_none() => {
                expression.terms.push(term(&mut rest, sign == "-", base)?);
            }
            Some("at") if expression.time.is_none() => expression.time = Some(time(&mut rest, base)?),
            Some("in") => {
                expression.zone = named_zone(rest.text.trim())?;
                return Ok(expression);
            }
            None => return Ok(expression),
            found => return Err(unexpected(REST, found)),
        }
    }
}

fn base(rest: &mut Rest<'_>, of_fire: bool) -> Result<Base, ExpressionError> {
    let edge = match rest.next() {
        Some("fire") if !of_fire => return Err(ExpressionError::NoFire),
        Some("fire") => return Ok(fire(rest)),
        Some("now") => return Ok(Base::Now),
        Some("today") => return Ok(Base::Day(0)),
        Some("yesterday") => return Ok(Base::Day(-1)),
        Some("tomorrow") => return Ok(Base::Day(1)),
        Some("first") => Edge::First,
        Some("last") => Edge::Last,
        found => return Err(unexpected(BASES, found)),
    };
    rest.expect("day", "'day of' after 'first' or 'last'")?;
    rest.expect("of", "'of' after 'day'")?;
    let mut word = rest.next();
    let offset = match word {
        Some("previous") => -1,
        Some("next") => 1,
        _ => 0,
    };
    if offset != 0 {
        word = rest.next();
    }
    let period = match word {
        Some("week") => Period::Week,
        Some("month") => Period::Month,
        Some("quarter") => Period::Quarter,
        Some("year") => Period::Year,
        found => return Err(unexpected(PERIODS, found)),
    };
    Ok(Base::Edge { edge, period, offset })
}

/// The instant of a fire, or with `date` behind it, its day.
fn fire(rest: &mut Rest<'_>) -> Base {
    let behind = rest.text;
    if rest.next() == Some("date") {
        return Base::Day(0);
    }
    rest.text = behind;
    Base::Now
}

fn term(rest: &mut Rest<'_>, is_subtracted: bool, base: Base) -> Result<Term, ExpressionError> {
    let count = rest.next();
    let Some(digits) = count.filter(|count| is_number(count)) else {
        return Err(unexpected("a number of units after + or -", count));
    };
    let count = digits.parse().ok().filter(|count| *count <= MAX_COUNT);
    let count: i64 = count.ok_or_else(|| ExpressionError::Count { count: digits.to_owned() })?;
    let unit = match rest.next() {
        Some("minute" | "minutes") => Unit::Minute,
        Some("hour" | "hours") => Unit::Hour,
        Some("day" | "days") => Unit::Day,
        Some("week" | "weeks") => Unit::Week,
        Some("month" | "months") => Unit::Month,
        Some("year" | "years") => Unit::Year,
        found => return Err(unexpected(UNITS, found)),
    };
    if unit.is_of_time() && base != Base::Now {
        return Err(ExpressionError::UnitOfDay { unit: unit.plural() });
    }
    Ok(Term { count: if is_subtracted { -count } else { count }, unit })
}

fn time(rest: &mut Rest<'_>, base: Base) -> Result<Time, ExpressionError> {
    const TIME: &str = "a time such as 06:30 after 'at'";
    if base == Base::Now {
        return Err(ExpressionError::TimeOfNow);
    }
    let hour = rest.next();
    let Some(hour) = hour.filter(|hour| is_number(hour)) else { return Err(unexpected(TIME, hour)) };
    rest.expect(":", TIME)?;
    let minute = rest.next();
    let Some(minute) = minute.filter(|minute| is_number(minute)) else { return Err(unexpected(TIME, minute)) };
    let parsed = (minute.len() == 2 && hour.len() <= 2)
        .then(|| Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok())
        .flatten();
    parsed.ok_or_else(|| ExpressionError::Time { hour: hour.to_owned(), minute: minute.to_owned() })
}

/// The zone of an IANA name.
pub(crate) fn named_zone(name: &str) -> Result<TimeZone, ExpressionError> {
    if name.is_empty() {
        return Err(unexpected("the name of a time zone after 'in'", None));
    }
    // The name of no file: where zones are files, a path would lead out of their folder.
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
    let found = TimeZone::get(name).ok().filter(|_| is_name && !name.starts_with('/'));
    found.ok_or_else(|| ExpressionError::UnknownZone { name: name.to_owned() })
}

fn unexpected(expected: &'static str, found: Option<&str>) -> ExpressionError {
    let found = found.map_or_else(|| "the end".to_owned(), |found| format!("'{found}'"));
    ExpressionError::Unexpected { expected, found }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The part that is yet to be read.
struct Rest<'a> {
    text: &'a str,
}

impl<'a> Rest<'a> {
    /// The next word, number or sign; anything else is a part of its own.
    fn next(&mut self) -> Option<&'a str> {
        self.text = self.text.trim_start();
        let first = self.text.chars().next()?;
        let end = if first.is_ascii_digit() {
            self.text.find(|c: char| !c.is_ascii_digit())
        } else if first.is_alphabetic() {
            self.text.find(|c: char| !c.is_alphabetic())
        } else {
            Some(first.len_utf8())
        };
        let (part, rest) = self.text.split_at(end.unwrap_or(self.text.len()));
        self.text = rest;
        Some(part)
    }

    fn expect(&mut self, word: &str, expected: &'static str) -> Result<(), ExpressionError> {
        match self.next() {
            Some(found) if found == word => Ok(()),
            found => Err(unexpected(expected, found)),
        }
    }
}
