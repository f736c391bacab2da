//! Times and parameter values as the interface shows them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use oxbatch_core::job::{JobParameters, Parameter, ParameterType, ParameterValue};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// Stands for every secret value.
pub const SECRET: &str = oxbatch_core::job::SECRET_SHOWN;

/// The name of a secret.
const SECRET_NAME: &str = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$";

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
    /// A secret that is given by its name.
    Reference(SecretReferenceView),
}

/// A reference to a named secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretReference)]
pub struct SecretReferenceView {
    /// Name of the secret: that of a file in the folder of secrets of the node that runs the execution.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$")]
    pub secret: String,
}

/// A whole number is a number too, so the variants cannot be distinguished by `oneOf`.
impl PartialSchema for ValueView {
    fn schema() -> RefOr<Schema> {
        let types = SchemaType::from_iter([Type::String, Type::Number, Type::Object]);
        let description = "The value of a parameter: text, also for dates, or a number; a secret is `***`, or the name of \
                           one where it is given so.";
        // Of texts and numbers these keywords say nothing.
        let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some(SECRET_NAME));
        ObjectBuilder::new()
            .schema_type(types)
            .description(Some(description))
            .property("secret", name)
            .required("secret")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
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
            ParameterValue::Secret(value) => match value.reference_name() {
                Some(name) => Self::Reference(SecretReferenceView { secret: name.to_owned() }),
                None => Self::Text(SECRET.to_owned()),
            },
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
