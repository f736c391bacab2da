//! Times and parameter values as the interface shows them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use oxbatch_core::job::{JobParameters, Parameter, ParameterValue};
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// Stands for every secret value.
pub(crate) const SECRET: &str = "***";

/// RFC 3339, UTC, with microseconds.
pub(crate) fn time(instant: Timestamp) -> String {
    format!("{instant:.6}")
}

/// The value of a parameter: text, also for dates, or a number.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ValueView {
    Text(String),
    Integer(i64),
    Float(f64),
}

/// A whole number is a number too, so the variants cannot be told apart by `oneOf`.
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
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = ParameterType)]
pub(crate) enum TypeView {
    String,
    Integer,
    Float,
    DateTime,
}

impl From<&ParameterValue> for ValueView {
    fn from(value: &ParameterValue) -> Self {
        match value {
            ParameterValue::String(text) => Self::Text(text.clone()),
            ParameterValue::Integer(number) => Self::Integer(*number),
            ParameterValue::Float(number) => Self::Float(*number),
            ParameterValue::DateTime(value) => Self::Text(value.to_string()),
        }
    }
}

impl ValueView {
    /// The value as it may be shown.
    pub(crate) fn shown(parameter: &Parameter) -> Self {
        if parameter.secret { Self::Text(SECRET.to_owned()) } else { (&parameter.value).into() }
    }
}

impl From<oxbatch_core::job::ParameterType> for TypeView {
    fn from(kind: oxbatch_core::job::ParameterType) -> Self {
        use oxbatch_core::job::ParameterType as T;
        match kind {
            T::String => Self::String,
            T::Integer => Self::Integer,
            T::Float => Self::Float,
            T::DateTime => Self::DateTime,
        }
    }
}

/// The parameters of a launch by name, secrets masked.
pub(crate) fn parameters(parameters: &JobParameters) -> BTreeMap<String, ValueView> {
    parameters.iter().map(|(name, parameter)| (name.to_owned(), ValueView::shown(parameter))).collect()
}
