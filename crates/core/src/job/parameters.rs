//! Typed parameters of a launch, and the identity that they give to a job instance.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::DateTime;

/// Heads the canonical form under the hash. A release may never change the identity of a stored instance, so a new
/// form needs a new line here and the old one for the instances that exist.
const IDENTITY_VERSION: &[u8] = b"oxbatch-job-key-1\n";

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ParameterType {
    /// Text.
    String,
    /// A whole number, i64.
    Integer,
    /// A finite f64.
    Float,
    /// A UTC instant or a date.
    DateTime,
}

impl ParameterType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::String, Self::Integer, Self::Float, Self::DateTime];

    /// The type as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "STRING",
            Self::Integer => "INTEGER",
            Self::Float => "FLOAT",
            Self::DateTime => "DATETIME",
        }
    }
}

impl fmt::Display for ParameterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterValue {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Float(f64),
    /// A UTC instant or a date.
    DateTime(DateTime),
}

impl ParameterValue {
    /// Its type.
    pub const fn kind(&self) -> ParameterType {
        match self {
            Self::String(_) => ParameterType::String,
            Self::Integer(_) => ParameterType::Integer,
            Self::Float(_) => ParameterType::Float,
            Self::DateTime(_) => ParameterType::DateTime,
        }
    }
}

impl fmt::Display for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            // Debug keeps `1.0` a float where Display would print `1`.
            Self::Float(number) => write!(f, "{number:?}"),
            Self::DateTime(instant) => instant.fmt(f),
        }
    }
}

impl From<&str> for ParameterValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for ParameterValue {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<i64> for ParameterValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for ParameterValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<DateTime> for ParameterValue {
    fn from(value: DateTime) -> Self {
        Self::DateTime(value)
    }
}

/// A parameter of one launch.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its value.
    pub value: ParameterValue,
    /// True if it takes part in the identity of the job instance.
    pub identifying: bool,
    /// True if it is shown as `***`.
    pub secret: bool,
}

/// The parameters of one launch, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobParameters {
    by_name: BTreeMap<String, Parameter>,
}

/// A parameter that the job asks for and cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// There is none of this name.
    #[error("parameter '{name}' is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// It has another type.
    #[error("parameter '{name}' has type {found}, not {expected}")]
    WrongType {
        /// Its name.
        name: String,
        /// Type asked for.
        expected: ParameterType,
        /// Type that it has.
        found: ParameterType,
    },
    /// Its value does not fit the field of the struct that [`JobParameters::read`] makes.
    #[error("parameter '{name}': {problem}")]
    Invalid {
        /// Its name.
        name: String,
        /// The mismatch.
        problem: String,
    },
    /// The parameters together do not make the struct that [`JobParameters::read`] is to make.
    #[error("the parameters do not fit: {problem}")]
    Unreadable {
        /// The mismatch.
        problem: String,
    },
}

impl JobParameters {
    /// Adds an identifying parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<ParameterValue>) -> Self {
        self.insert(name, Parameter { value: value.into(), identifying: true, secret: false });
        self
    }

    /// Adds or replaces a parameter.
    pub fn insert(&mut self, name: &str, parameter: Parameter) {
        self.by_name.insert(name.to_owned(), parameter);
    }

    /// The parameter `name`.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.by_name.get(name)
    }

    /// The parameters in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.by_name.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The text of the STRING parameter `name`.
    ///
    /// # Errors
    /// [`ParameterError`] when it is missing or has another type.
    pub fn string(&self, name: &str) -> Result<&str, ParameterError> {
        match self.value(name)? {
            ParameterValue::String(text) => Ok(text),
            other => Err(wrong_type(name, ParameterType::String, other)),
        }
    }

    /// The text of the STRING parameter `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`ParameterError`] when it has another type.
    pub fn optional_string(&self, name: &str) -> Result<Option<&str>, ParameterError> {
        self.if_given(name, Self::string)
    }

    /// The number of the INTEGER parameter `name`.
    ///
    /// # Errors
    /// [`ParameterError`] when it is missing or has another type.
    pub fn integer(&self, name: &str) -> Result<i64, ParameterError> {
        match self.value(name)? {
            ParameterValue::Integer(number) => Ok(*number),
            other => Err(wrong_type(name, ParameterType::Integer, other)),
        }
    }

    /// The number of the INTEGER parameter `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`ParameterError`] when it has another type.
    pub fn optional_integer(&self, name: &str) -> Result<Option<i64>, ParameterError> {
        self.if_given(name, Self::integer)
    }

    /// The number of the FLOAT parameter `name`.
    ///
    /// # Errors
    /// [`ParameterError`] when it is missing or has another type.
    pub fn float(&self, name: &str) -> Result<f64, ParameterError> {
        match self.value(name)? {
            ParameterValue::Float(number) => Ok(*number),
            other => Err(wrong_type(name, ParameterType::Float, other)),
        }
    }

    /// The number of the FLOAT parameter `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`ParameterError`] when it has another type.
    pub fn optional_float(&self, name: &str) -> Result<Option<f64>, ParameterError> {
        self.if_given(name, Self::float)
    }

    /// The instant of the DATETIME parameter `name`.
    ///
    /// # Errors
    /// [`ParameterError`] when it is missing or has another type.
    pub fn date_time(&self, name: &str) -> Result<DateTime, ParameterError> {
        match self.value(name)? {
            ParameterValue::DateTime(instant) => Ok(*instant),
            other => Err(wrong_type(name, ParameterType::DateTime, other)),
        }
    }

    /// The instant of the DATETIME parameter `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`ParameterError`] when it has another type.
    pub fn optional_date_time(&self, name: &str) -> Result<Option<DateTime>, ParameterError> {
        self.if_given(name, Self::date_time)
    }

    fn if_given<'a, T>(
        &'a self,
        name: &str,
        read: impl FnOnce(&'a Self, &str) -> Result<T, ParameterError>,
    ) -> Result<Option<T>, ParameterError> {
        self.get(name).map(|_| read(self, name)).transpose()
    }

    fn value(&self, name: &str) -> Result<&ParameterValue, ParameterError> {
        let parameter = self.get(name).ok_or_else(|| ParameterError::Missing { name: name.to_owned() })?;
        Ok(&parameter.value)
    }

    /// The identity of an instance: SHA-256, in hexadecimal, over the identifying parameters.
    ///
    /// The canonical form is a version line, then for each identifying parameter in the order of its name's bytes:
    /// length of the name (u32, big-endian), name, type tag (`s`, `i`, `f`, `t`), length of the value, value. Values
    /// are UTF-8 text, a decimal integer, the 16 hexadecimal digits of the float's bits (−0.0 as 0.0), or the decimal
    /// microseconds since 1970 of an instant.
    pub fn job_key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(IDENTITY_VERSION);
        for (name, parameter) in self.iter().filter(|(_, parameter)| parameter.identifying) {
            let (tag, value) = match &parameter.value {
                ParameterValue::String(text) => (b"s", text.clone()),
                ParameterValue::Integer(number) => (b"i", number.to_string()),
                ParameterValue::Float(number) => {
                    let number = if *number == 0.0 { 0.0 } else { *number };
                    (b"f", format!("{:016x}", number.to_bits()))
                }
                ParameterValue::DateTime(value) => (b"t", value.microseconds().to_string()),
            };
            let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
            hash.update(length(name));
            hash.update(name);
            hash.update(tag);
            hash.update(length(&value));
            hash.update(&value);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

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

fn wrong_type(name: &str, expected: ParameterType, found: &ParameterValue) -> ParameterError {
    ParameterError::WrongType { name: name.to_owned(), expected, found: found.kind() }
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

    fn all_types() -> JobParameters {
        JobParameters::default()
            .with("name", "Müller")
            .with("batch_size", 100)
            .with("threshold", 0.95)
            .with("start_date", DateTime::parse("2024-01-01").unwrap())
    }

    /// Golden: a release may never change the identity of a stored instance.
    #[test]
    fn the_identity_of_known_parameters_never_changes() {
        assert_eq!(
            JobParameters::default().job_key(),
            "b129c92b13cb075004dcad71b07ebaa461db3156d77c156d2c3ec24ced150acc"
        );
        assert_eq!(all_types().job_key(), "d5fc0c15e9f5fc3e74b2b9cd8c29ec3c05643536226505c7f632f383cd2b5e40");
    }

    #[test]
    fn the_identity_ignores_what_does_not_identify() {
        let mut parameters = all_types();
        let note = Parameter { value: "x".into(), identifying: false, secret: false };
        parameters.insert("note", note);
        assert_eq!(parameters.job_key(), all_types().job_key());
    }

    #[test]
    fn the_identity_tells_types_and_borders_apart() {
        let keys = [
            JobParameters::default().with("a", 1),
            JobParameters::default().with("a", 1.0),
            JobParameters::default().with("a", "1"),
            JobParameters::default().with("a", "1").with("b", "2"),
            JobParameters::default().with("a", "1b2"),
        ]
        .map(|parameters| parameters.job_key());
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(
            JobParameters::default().with("a", 0.0).job_key(),
            JobParameters::default().with("a", -0.0).job_key()
        );
    }

    #[test]
    fn stored_parameters_read_back() {
        let mut parameters = all_types();
        parameters.insert("token", Parameter { value: "s3".into(), identifying: false, secret: true });
        let read = JobParameters::from_json(&parameters.to_json()).unwrap();
        assert_eq!(read, parameters);
        assert!(read.date_time("start_date").unwrap().is_date());
    }

    #[test]
    fn a_parameter_of_another_type_is_named() {
        let error = all_types().string("batch_size").unwrap_err();
        assert_eq!(error.to_string(), "parameter 'batch_size' has type INTEGER, not STRING");
        assert_eq!(all_types().integer("absent").unwrap_err().to_string(), "parameter 'absent' is missing");
    }

    #[test]
    fn an_optional_parameter_may_be_missing_but_must_have_its_type() {
        let given = all_types();
        assert_eq!((given.optional_string("name"), given.optional_string("none")), (Ok(Some("Müller")), Ok(None)));
        assert_eq!((given.optional_integer("batch_size"), given.optional_float("none")), (Ok(Some(100)), Ok(None)));
        assert_eq!(given.optional_date_time("start_date").unwrap(), DateTime::parse("2024-01-01").ok());
        let error = given.optional_string("batch_size").unwrap_err();
        assert_eq!(error.to_string(), "parameter 'batch_size' has type INTEGER, not STRING");
    }
}
