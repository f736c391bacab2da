//! The parameters of the launches of a schedule: values, and expressions over the fire.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Schedule, ScheduleError};
use crate::job::{DateExpression, GivenParameters, GivenValue};

/// A parameter of the launches of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FireParameter {
    /// A text, or a date that is written as one: as a JSON string of a launch.
    Text(String),
    /// A number, as a JSON number of a launch is written.
    Number(String),
    /// An expression over the fire.
    Expression(String),
    /// The name of a secret, for a parameter that the job declares secret: a schedule holds no secret itself.
    Secret(String),
}

impl From<&str> for FireParameter {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for FireParameter {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for FireParameter {
    fn from(number: i64) -> Self {
        Self::Number(number.to_string())
    }
}

impl FireParameter {
    /// Checks the expression, if it is one.
    pub(super) fn check(&self, name: &str, zone: &TimeZone) -> Result<(), ScheduleError> {
        let Self::Expression(text) = self else { return Ok(()) };
        match DateExpression::of_fire(text, zone) {
            Ok(_) => Ok(()),
            Err(source) => {
                Err(ScheduleError::Expression { parameter: name.to_owned(), expression: text.clone(), source })
            }
        }
    }

    fn at(&self, name: &str, instant: Timestamp, zone: &TimeZone) -> Result<GivenValue, ScheduleError> {
        Ok(match self {
            Self::Text(text) => GivenValue::JsonString(text.clone()),
            Self::Number(text) => GivenValue::JsonNumber(text.clone()),
            Self::Secret(name) => GivenValue::SecretReference(name.clone()),
            Self::Expression(text) => {
                let value = DateExpression::of_fire(text, zone).and_then(|expression| expression.evaluate(instant));
                let value = value.map_err(|source| ScheduleError::Expression {
                    parameter: name.to_owned(),
                    expression: text.clone(),
                    source,
                })?;
                GivenValue::Typed(value.into())
            }
        })
    }
}

impl Schedule {
    /// The parameters that a fire gives to its launch.
    ///
    /// # Errors
    /// When an expression has no value at this instant.
    pub fn parameters_at(&self, instant: Timestamp) -> Result<GivenParameters, ScheduleError> {
        let zone = self.expression_zone();
        let entries = self.parameters().iter().map(|(name, value)| Ok((name.clone(), value.at(name, instant, &zone)?)));
        Ok(GivenParameters { entries: entries.collect::<Result<_, ScheduleError>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_over_the_fire_in_the_zone_of_the_schedule() {
        let schedule = Schedule::cron("30 0 * * *")
            .zone("Europe/Berlin")
            .expression("day", "fire date - 1 day")
            .expression("same", "yesterday")
            .expression("at", "fire - 90 minutes")
            .expression("utc", "fire date in UTC")
            .expression("month", "first day of month")
            .parameter("region", "EU")
            .parameter("limit", 5);
        let given = schedule.parameters_at("2026-06-30T22:30:00Z".parse().unwrap()).unwrap();
        let shown: Vec<_> =
            given.entries.into_iter().map(|(name, value)| format!("{name}={}", value.detect().unwrap())).collect();
        assert_eq!(
            shown,
            [
                "day=2026-06-30",
                "same=2026-06-30",
                "at=2026-06-30T21:00:00.000000Z",
                "utc=2026-06-30",
                "month=2026-07-01",
                "region=EU",
                "limit=5"
            ]
        );
    }

    #[test]
    fn a_default_has_no_fire() {
        let refused = "fire date".parse::<DateExpression>().unwrap_err();
        assert!(refused.to_string().contains("only the expressions of a schedule have a 'fire'"), "{refused}");
    }
}
