//! The fault of a JSON value in a file: where in it, and what.

use std::ops::Range;

use super::input_file::{InputFile, RecordFault};
use oxbatch_core::item::{ItemError, JsonFault};

/// The fault of a value; `start` says where the value begins.
#[cold]
pub(super) fn json_fault(input: &InputFile, value: &Range<usize>, start: &str, fault: &JsonFault) -> ItemError {
    input.record_fault(value, &fault.position(start), RecordFault::Json { problem: fault.to_string() })
}
