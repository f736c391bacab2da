//! Times and parameter values as the interface shows them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use oxbatch_core::job::{JobParameters, Parameter, ParameterType, ParameterValue};
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// Stands for every secret value.
pub const SECRET: &str = "***";

/// RFC 3339, UTC, with microseconds.
pub(super) fn time(instant: Timestamp) -> String {
    format!("{instant:.6}")
}

/// The value of a parameter: text, also for dates, or a number.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ValueView {
    /// A text, or a date or instant written as one.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
}

/// A whole number is a number too, so the variants cannot be distinguished by `oneOf`.
impl PartialSchema for ValueView {
    fn schema() -> RefOr<Schema> {
        let types = SchemaType::from_iter([Type::String, Type::Number]);
        let description = "The value of a parameter: text, also for dates, or a number; a secret is `***`.";
        ObjectBuilder::new().schema_type(types).description(Some(description)).into()
    }
}

impl ToSchema for ValueView {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ParameterValue")
    }
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = ParameterType)]
pub enum TypeView {
    /// Any text.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// A number of 64 bits.
    Float,
    /// A date, or an instant.
    DateTime,
}

impl ValueView {
    /// A value as it may be shown: one that is secret is [`SECRET`].
    pub fn new(value: &ParameterValue, secret: bool) -> Self {
        match value {
            _ if secret => Self::Text(SECRET.to_owned()),
            ParameterValue::String(text) => Self::Text(text.clone()),
            ParameterValue::Integer(number) => Self::Integer(*number),
            ParameterValue::Float(number) => Self::Float(*number),
            ParameterValue::DateTime(value) => Self::Text(value.to_string()),
        }
    }
}

impl From<&Parameter> for ValueView {
    fn from(parameter: &Parameter) -> Self {
        Self::new(&parameter.value, parameter.secret)
    }
}

impl From<ParameterType> for TypeView {
    fn from(kind: ParameterType) -> Self {
        match kind {
            ParameterType::String => Self::String,
            ParameterType::Integer => Self::Integer,
            ParameterType::Float => Self::Float,
            ParameterType::DateTime => Self::DateTime,
        }
    }
}

/// The parameters of a launch by name, secrets masked.
pub(super) fn parameters(parameters: &JobParameters) -> BTreeMap<String, ValueView> {
    parameters.iter().map(|(name, parameter)| (name.to_owned(), parameter.into())).collect()
}
