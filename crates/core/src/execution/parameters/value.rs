//! A parameter: its type, its value, and how it counts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SecretValue;
use crate::execution::DateTime;

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
    /// A secret, whatever its type.
    Secret(SecretValue),
}

impl ParameterValue {
    /// Its type.
    pub const fn kind(&self) -> ParameterType {
        match self {
            Self::String(_) => ParameterType::String,
            Self::Integer(_) => ParameterType::Integer,
            Self::Float(_) => ParameterType::Float,
            Self::DateTime(_) => ParameterType::DateTime,
            Self::Secret(value) => value.kind(),
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
            Self::Secret(value) => value.fmt(f),
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
