//! The fault of a JSON value in a file: where in it, and what.

use std::ops::Range;

use serde::de::DeserializeOwned;

use super::ItemError;
use super::input_file::{InputFile, RecordFault};

/// The fault of a value that is not JSON, or not a `T`; `start` says where the value begins.
#[cold]
pub(super) fn json_fault<T: DeserializeOwned>(
    input: &InputFile,
    value: &Range<usize>,
    start: &str,
    error: &serde_json::Error,
) -> ItemError {
    // Parsed once more with a track of the path, which is too dear for values that are right.
    let mut parser = serde_json::Deserializer::from_slice(input.bytes(value));
    let path = serde_path_to_error::deserialize::<_, T>(&mut parser).err().map(|error| error.path().to_string());
    let column = error.column();
    let place = format!(" at line {} column {column}", error.line());
    let message = error.to_string();
    let message = message.strip_suffix(&place).unwrap_or(&message);
    let problem = match path.filter(|path| path != "." && path != "?") {
        Some(path) => format!("'{path}': {message}"),
        None => message.to_owned(),
    };
    let position = match error.line() {
        1 => format!("{start}, column {column}"),
        line => format!("{start}, column {column} of its line {line}"),
    };
    input.record_fault(value, &position, RecordFault::Json { problem })
}
