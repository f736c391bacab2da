//! A schedule as it is asked for: the body of a call, and what the command line makes of its flags.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::schedule::{FireParameter, Schedule};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use utoipa::ToSchema;

use super::SecretReferenceView;

/// A schedule as it is asked for. It has either a cron text or a pattern of files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSchedule)]
pub struct ScheduleInput {
    /// The job that it launches.
    pub job: String,
    /// Its name; that of its job unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Minute, hour, day of the month, month and day of the week, with seconds before them where there are six.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "30 2 * * *")]
    pub cron: Option<String>,
    /// The time zone by its IANA name; UTC unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Europe/Berlin")]
    pub zone: Option<String>,
    /// The path of files, with `*` and `?` in its last part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Seconds for which size and time of a file stay the same before it counts as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged_for_seconds: Option<u64>,
    /// End of the name of a file beside it that says that it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// The parameters of its launches: texts, numbers, or `{"expression": "fire date - 1 day"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, ParameterInput>,
    /// The fires that are made up for after an outage: `latest`, `all` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
    /// The time for which they may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u64>,
    /// The outcome of a fire while the one before it runs: `wait`, `skip` or `allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// The outcome of a fire after the one before it has failed: `go_on` or `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_failure: Option<String>,
    /// The outcome of a fire whose instance exists: `record` or `restart`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_existing: Option<String>,
    /// Makes each fire a new run of its job.
    #[serde(default)]
    pub new_run: bool,
    /// Seconds after which a fire is late whose execution has not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by_seconds: Option<u64>,
    /// Seconds after which a fire is late whose execution is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_by_seconds: Option<u64>,
    /// The reason for which it begins as a paused one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
}

/// A parameter of a new schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = NewFireParameter)]
pub enum ParameterInput {
    /// A text, or a date that is written as one.
    Text(String),
    /// A number.
    #[schema(value_type = f64)]
    Number(Number),
    /// An expression over the fire.
    Expression(ExpressionInput),
    /// The name of a secret, for a parameter that the job declares secret.
    Secret(SecretReferenceView),
}

/// An expression over the fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewFireExpression)]
pub struct ExpressionInput {
    /// Such as `fire date - 1 day`.
    pub expression: String,
}

impl From<Value> for ParameterInput {
    fn from(value: Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Object(mut fields) if fields.len() == 1 && fields.contains_key("secret") => {
                let secret = fields.remove("secret").and_then(|name| name.as_str().map(str::to_owned));
                Self::Secret(SecretReferenceView { secret: secret.unwrap_or_default() })
            }
            other => Self::Text(other.to_string()),
        }
    }
}

impl ScheduleInput {
    /// The schedule.
    ///
    /// # Errors
    /// The sentence that names the field that is wrong or missing. What its own check finds is found by the scheduler.
    pub fn schedule(&self) -> Result<Schedule, String> {
        let mut schedule = match (&self.cron, &self.file) {
            (Some(cron), None) => Schedule::cron(cron),
            (None, Some(pattern)) => Schedule::file(pattern),
            _ => return Err("give either cron or file".to_owned()),
        };
        let is_of_files = self.file.is_some();
        for (name, is_given, fits) in [
            ("zone", self.zone.is_some(), !is_of_files),
            ("unchanged_for_seconds", self.unchanged_for_seconds.is_some(), is_of_files),
            ("marker", self.marker.is_some(), is_of_files),
        ] {
            if is_given && !fits {
                let whose = if is_of_files { "a schedule of files" } else { "a calendar" };
                return Err(format!("{name} does not go with {whose}"));
            }
        }
        if let Some(zone) = &self.zone {
            schedule = schedule.zone(zone);
        }
        if let Some(seconds) = self.unchanged_for_seconds {
            schedule = schedule.unchanged_for(Duration::from_secs(seconds));
        }
        if let Some(marker) = &self.marker {
            schedule = schedule.marker(marker);
        }
        if let Some(name) = &self.name {
            schedule = schedule.named(name);
        }
        for (name, value) in &self.parameters {
            schedule = schedule.parameter(
                name,
                match value {
                    ParameterInput::Text(text) => FireParameter::Text(text.clone()),
                    ParameterInput::Number(number) => FireParameter::Number(number.to_string()),
                    ParameterInput::Expression(it) => FireParameter::Expression(it.expression.clone()),
                    ParameterInput::Secret(it) => FireParameter::Secret(it.secret.clone()),
                },
            );
        }
        self.policies(schedule)
    }

    fn policies(&self, mut schedule: Schedule) -> Result<Schedule, String> {
        fn word<T: std::str::FromStr<Err = oxbatch_core::repository::UnknownWord>>(
            name: &str,
            text: &str,
        ) -> Result<T, String> {
            text.parse().map_err(|problem| format!("{name}: {problem}"))
        }
        if let Some(text) = &self.missed {
            schedule = schedule.missed(word("missed", text)?);
        }
        if let Some(text) = &self.overlap {
            schedule = schedule.overlap(word("overlap", text)?);
        }
        if let Some(text) = &self.after_failure {
            schedule = schedule.after_failure(word("after_failure", text)?);
        }
        if let Some(text) = &self.on_existing {
            schedule = schedule.on_existing(word("on_existing", text)?);
        }
        if let Some(seconds) = self.window_seconds {
            schedule = schedule.window(Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.started_by_seconds {
            schedule = schedule.started_by(Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.finished_by_seconds {
            schedule = schedule.finished_by(Duration::from_secs(seconds));
        }
        if let Some(reason) = &self.off {
            schedule = schedule.off(reason);
        }
        Ok(if self.new_run { schedule.new_run() } else { schedule })
    }
}

/// A pause as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPause)]
pub struct PauseInput {
    /// The reason, for those who find it paused.
    pub reason: String,
    /// When it ends by itself, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl PauseInput {
    /// The end of the pause.
    ///
    /// # Errors
    /// The sentence that says that it is none.
    pub fn end(&self) -> Result<Option<Timestamp>, String> {
        let read = |text: &String| {
            text.parse().map_err(|_| format!("until must be a time such as 2026-01-31T08:00:00Z, not '{text}'"))
        };
        self.until.as_ref().map(read).transpose()
    }
}
