//! A record of the file, and the clean row that is made of it.

use std::fmt::Display;

use oxbatch::jiff::civil::Date;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

/// A record as it stands in the file. Numbers may be empty, spaced or grouped by commas; a value that is neither
/// empty nor of its type is an error with its line and column.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Record {
    #[serde(rename = "Airport Name")]
    airport: String,
    #[serde(rename = "Aircraft Make Model")]
    aircraft: String,
    #[serde(rename = "Effect Amount of damage")]
    damage: String,
    #[serde(rename = "Flight Date", deserialize_with = "flight_date")]
    flight_date: Date,
    #[serde(rename = "Aircraft Airline Operator")]
    operator: String,
    #[serde(rename = "Origin State")]
    origin_state: String,
    #[serde(rename = "Phase of flight")]
    phase_of_flight: String,
    #[serde(rename = "Wildlife Size")]
    wildlife_size: String,
    #[serde(rename = "Wildlife Species")]
    species: String,
    #[serde(rename = "Time of day")]
    time_of_day: String,
    #[serde(rename = "Cost Other", deserialize_with = "cost_other")]
    cost_other: Option<i64>,
    #[serde(rename = "Cost Repair", deserialize_with = "cost_repair")]
    cost_repair: Option<i64>,
    #[serde(rename = "Cost Total $", deserialize_with = "cost_total")]
    pub(super) cost_total: Option<i64>,
    #[serde(rename = "Speed IAS in knots", deserialize_with = "speed")]
    speed_knots: Option<i64>,
}

/// A row of the table `wildlife_strikes`.
#[derive(Debug, Serialize)]
pub(super) struct Strike {
    source: String,
    record: u64,
    airport: Option<String>,
    aircraft: Option<String>,
    damage: Option<String>,
    flight_date: Date,
    operator: Option<String>,
    origin_state: Option<String>,
    phase_of_flight: Option<String>,
    wildlife_size: Option<String>,
    species: Option<String>,
    time_of_day: Option<String>,
    cost_other: Option<i64>,
    cost_repair: Option<i64>,
    pub(super) cost_total: Option<i64>,
    speed_knots: Option<i64>,
}

impl Record {
    /// Trims texts; an empty one is none.
    pub(super) fn clean(self, source: &str, record: u64) -> Strike {
        Strike {
            source: source.to_owned(),
            record,
            airport: trimmed(self.airport),
            aircraft: trimmed(self.aircraft),
            damage: trimmed(self.damage),
            flight_date: self.flight_date,
            operator: trimmed(self.operator),
            origin_state: trimmed(self.origin_state),
            phase_of_flight: trimmed(self.phase_of_flight),
            wildlife_size: trimmed(self.wildlife_size),
            species: trimmed(self.species),
            time_of_day: trimmed(self.time_of_day),
            cost_other: self.cost_other,
            cost_repair: self.cost_repair,
            cost_total: self.cost_total,
            speed_knots: self.speed_knots,
        }
    }
}

fn trimmed(text: String) -> Option<String> {
    match text.trim() {
        "" => None,
        clean if clean.len() == text.len() => Some(text),
        clean => Some(clean.to_owned()),
    }
}

fn invalid<E: serde::de::Error>(column: &str, problem: impl Display) -> E {
    E::custom(format!("column '{column}': {problem}"))
}

fn flight_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.trim().parse().map_err(|_| invalid("Flight Date", format!("'{text}' is no date such as 1990-01-31")))
}

fn cost_other<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    number("Cost Other", deserializer)
}

fn cost_repair<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    number("Cost Repair", deserializer)
}

fn cost_total<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    number("Cost Total $", deserializer)
}

fn speed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    number("Speed IAS in knots", deserializer)
}

/// A whole number of at least 0, with or without commas between its thousands; nothing for an empty field.
fn number<'de, D: Deserializer<'de>>(column: &str, deserializer: D) -> Result<Option<i64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let clean = text.trim();
    if clean.is_empty() {
        return Ok(None);
    }
    let parsed = match clean.contains(',') {
        true => grouped(clean),
        false => clean.bytes().all(|byte| byte.is_ascii_digit()).then(|| clean.parse().ok()).flatten(),
    };
    parsed.map(Some).ok_or_else(|| invalid(column, format!("'{text}' is no whole number of at least 0")))
}

/// `1,234,567`: one to three digits, then groups of three.
fn grouped(text: &str) -> Option<i64> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (1..=3).contains(&first.len()) && digits(first) && groups.all(|group| group.len() == 3 && digits(group));
    fits.then(|| text.replace(',', "").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    fn read(text: &str) -> Result<Option<i64>, Error> {
        let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
        number("Cost", deserializer)
    }

    #[test]
    fn numbers_may_be_empty_spaced_or_grouped_and_nothing_else() {
        for (text, number) in
            [("", None), ("  ", None), ("0", Some(0)), (" 12 ", Some(12)), ("1,565,354", Some(1_565_354))]
        {
            assert_eq!(read(text), Ok(number), "{text}");
        }
        for text in ["-1", "+1", "1.5", "12,34", "1,2345", ",123", "n/a", "99999999999999999999"] {
            let error = read(text).unwrap_err().to_string();
            assert_eq!(error, format!("column 'Cost': '{text}' is no whole number of at least 0"));
        }
    }

    #[test]
    fn texts_are_trimmed_and_an_empty_one_is_none() {
        assert_eq!(trimmed("  Canada goose ".to_owned()).as_deref(), Some("Canada goose"));
        assert_eq!(trimmed("  ".to_owned()), None);
    }
}
