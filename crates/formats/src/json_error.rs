//! The error of a JSON value in a file: where in it, and what.

use std::ops::Range;

use super::input_file::{InputFile, RecordError};
use oxbatch_core::item::{ItemError, JsonError};

/// The error of a value; `start` says where the value begins.
#[cold]
pub(super) fn json_error(input: &InputFile, value: &Range<usize>, start: &str, fault: &JsonError) -> ItemError {
    input.record_error(value, &fault.position(start), RecordError::Json { problem: fault.to_string() })
}
