//! The error of a JSON value in a file: its place in the record, and the reason.

use super::DecodeError;
use super::input_error::RecordError;
use oxbatch_core::item::JsonError;

/// The error of a record that is a JSON value.
#[cold]
pub(super) fn json_error(error: &JsonError) -> DecodeError {
    let part = error.position("");
    DecodeError::new(RecordError::Json { problem: error.to_string() }).at(part.trim_start_matches(", "))
}
