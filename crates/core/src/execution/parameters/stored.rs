//! Parameters as they are stored, in JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{JobParameters, Parameter, ParameterType, ParameterValue};
use crate::execution::DateTime;

impl JobParameters {
    /// The parameters as stored JSON.
    pub fn to_json(&self) -> String {
        let stored: BTreeMap<&str, Stored> =
            self.iter().map(|(name, parameter)| (name, Stored::from(parameter))).collect();
        // A map of strings, finite numbers and flags can always be written.
        serde_json::to_string(&stored).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Reads stored parameters.
    ///
    /// # Errors
    /// When the text is not what [`to_json`](Self::to_json) wrote.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        let stored: BTreeMap<String, Stored> = serde_json::from_str(json)?;
        let by_name = stored
            .into_iter()
            .map(|(name, stored)| Ok((name, stored.try_into()?)))
            .collect::<Result<_, serde_json::Error>>()?;
        Ok(Self { by_name })
    }
}

/// The stored form of a parameter; floats as their bits in hexadecimal would not be readable, so JSON numbers.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "type")]
    kind: ParameterType,
    value: serde_json::Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    date_only: bool,
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    identifying: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    secret: bool,
}

const fn yes() -> bool {
    true
}

impl From<&Parameter> for Stored {
    fn from(parameter: &Parameter) -> Self {
        let value = match &parameter.value {
            ParameterValue::String(text) => text.clone().into(),
            ParameterValue::Integer(number) => (*number).into(),
            ParameterValue::Float(number) => (*number).into(),
            ParameterValue::DateTime(value) => value.microseconds().into(),
        };
        Self {
            kind: parameter.value.kind(),
            value,
            date_only: matches!(&parameter.value, ParameterValue::DateTime(value) if value.is_date()),
            identifying: parameter.identifying,
            secret: parameter.secret,
        }
    }
}

impl TryFrom<Stored> for Parameter {
    type Error = serde_json::Error;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        use serde::de::Error as _;
        let value = match stored.kind {
            ParameterType::String => ParameterValue::String(String::deserialize(&stored.value)?),
            ParameterType::Integer => ParameterValue::Integer(i64::deserialize(&stored.value)?),
            ParameterType::Float => ParameterValue::Float(f64::deserialize(&stored.value)?),
            ParameterType::DateTime => {
                let instant = DateTime::from_parts(i64::deserialize(&stored.value)?, stored.date_only);
                ParameterValue::DateTime(instant.ok_or_else(|| Self::Error::custom("instant out of range"))?)
            }
        };
        Ok(Self { value, identifying: stored.identifying, secret: stored.secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::parameters::tests::all_types;

    #[test]
    fn stored_parameters_read_back() {
        let mut parameters = all_types();
        parameters.insert("token", Parameter { value: "s3".into(), identifying: false, secret: true });
        let read = JobParameters::from_json(&parameters.to_json()).unwrap();
        assert_eq!(read, parameters);
        assert!(read.date_time("start_date").unwrap().is_date());
    }
}
