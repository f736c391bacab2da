//! Parameters as they are stored, in JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{JobParameters, Parameter, ParameterType, ParameterValue, SECRET_SHOWN, Sealed, SecretForm, SecretValue};
use crate::execution::DateTime;

impl JobParameters {
    /// The parameters as stored JSON. The text of a secret is never a part of it: one that is not encrypted is left
    /// out.
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
    /// Of a secret, whose `value` is a placeholder of type STRING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
}

/// The form in which a secret is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The declared type of its value.
    #[serde(rename = "as")]
    kind: ParameterType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<KeptSealed>,
}

#[derive(Serialize, Deserialize)]
struct KeptSealed {
    key: String,
    text: String,
}

impl Kept {
    fn of(value: &ParameterValue) -> Self {
        let mut kept = Self { kind: value.kind(), reference: None, sealed: None };
        if let ParameterValue::Secret(value) = value {
            match value.form() {
                SecretForm::Reference(name) => kept.reference = Some(name.clone()),
                SecretForm::Sealed(Sealed { key, text }) => {
                    kept.sealed = Some(KeptSealed { key: key.clone(), text: text.clone() });
                }
                SecretForm::Open(_) | SecretForm::Absent => {}
            }
        }
        kept
    }

    fn value(self) -> SecretValue {
        let form = match (self.sealed, self.reference) {
            (Some(KeptSealed { key, text }), _) => SecretForm::Sealed(Sealed { key, text }),
            (None, Some(name)) => SecretForm::Reference(name),
            (None, None) => SecretForm::Absent,
        };
        SecretValue::new(self.kind, form)
    }
}

const fn yes() -> bool {
    true
}

impl Stored {
    fn of_secret(value: &ParameterValue) -> Self {
        Self {
            kind: ParameterType::String,
            value: SECRET_SHOWN.into(),
            date_only: false,
            identifying: false,
            secret: true,
            kept: Some(Kept::of(value)),
        }
    }
}

impl From<&Parameter> for Stored {
    fn from(parameter: &Parameter) -> Self {
        let value = match &parameter.value {
            value @ ParameterValue::Secret(_) => return Self::of_secret(value),
            value if parameter.secret => return Self::of_secret(value),
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
            secret: false,
            kept: None,
        }
    }
}

impl TryFrom<Stored> for Parameter {
    type Error = serde_json::Error;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        use serde::de::Error as _;
        if let Some(kept) = stored.kept {
            return Ok(Self::secret(kept.value()));
        }
        let value = match stored.kind {
            ParameterType::String => ParameterValue::String(String::deserialize(&stored.value)?),
            ParameterType::Integer => ParameterValue::Integer(i64::deserialize(&stored.value)?),
            ParameterType::Float => ParameterValue::Float(f64::deserialize(&stored.value)?),
            ParameterType::DateTime => {
                let instant = DateTime::from_parts(i64::deserialize(&stored.value)?, stored.date_only);
                ParameterValue::DateTime(instant.ok_or_else(|| Self::Error::custom("instant out of range"))?)
            }
        };
        if stored.secret {
            // Version 0.1 stored secrets as they were.
            return Ok(Self::secret(SecretValue::open(value.kind(), value.to_string())));
        }
        Ok(Self { value, identifying: stored.identifying, secret: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::parameters::tests::all_types;

    #[test]
    fn stored_parameters_read_back() {
        let mut parameters = all_types();
        parameters.insert("token", Parameter::secret(SecretValue::reference(ParameterType::Integer, "pin")));
        let sealed = SecretForm::Sealed(Sealed { key: "k1".to_owned(), text: "00ff".to_owned() });
        parameters.insert("password", Parameter::secret(SecretValue::new(ParameterType::String, sealed)));
        let read = JobParameters::from_json(&parameters.to_json()).unwrap();
        assert_eq!(read, parameters);
        assert!(read.date_time("start_date").unwrap().is_date());
    }

    #[test]
    fn the_text_of_a_secret_is_never_stored() {
        let mut parameters = JobParameters::default();
        parameters.insert("token", Parameter::secret(SecretValue::open(ParameterType::String, "hunter2")));
        // Made by hand, without the value of a secret.
        parameters.insert("other", Parameter { value: "hunter2".into(), identifying: false, secret: true });
        let json = parameters.to_json();
        assert!(!json.contains("hunter2"), "{json}");
        let read = JobParameters::from_json(&json).unwrap();
        let hidden = Parameter::secret(SecretValue::hidden(ParameterType::String));
        assert_eq!((read.get("token"), read.get("other")), (Some(&hidden), Some(&hidden)));
    }

    #[test]
    fn a_secret_that_version_0_1_has_stored_is_read() {
        let old = r#"{"token":{"type":"INTEGER","value":1234,"identifying":false,"secret":true}}"#;
        let read = JobParameters::from_json(old).unwrap();
        assert_eq!(read.secret("token").unwrap().expose(), "1234");
        assert!(!format!("{read:?}").contains("1234"));
    }
}
