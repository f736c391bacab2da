//! The shapes of what is only described: values of queries that are read as text, and events of a stream.
#![expect(dead_code, reason = "the fields stand in the document alone")]

use utoipa::ToSchema;

/// The id of an execution.
#[derive(ToSchema)]
#[schema(as = ExecutionId, value_type = i64, minimum = 1)]
pub(crate) struct ExecutionIdShape(i64);

/// A parameter with its value: NAME=VALUE.
#[derive(ToSchema)]
#[schema(as = ParameterMatch, value_type = String, pattern = "^[^=\\u0000\\ufffd]+=[^\\u0000\\ufffd]*$")]
pub(crate) struct ParameterMatchShape(String);

/// A server-sent event.
#[derive(ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventShape {
    /// Behind it a stream goes on, given as `Last-Event-ID`.
    #[schema(nullable = false)]
    id: Option<String>,
    /// `execution` or `step`.
    #[schema(nullable = false)]
    event: Option<String>,
    /// The shape of an execution or a step, as JSON.
    data: String,
}
