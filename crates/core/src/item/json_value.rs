//! Values from JSON text: a number is read as it stands there, or it is an error.

mod exact;
mod number;

use serde::de::{DeserializeOwned, DeserializeSeed};

use exact::Exact;

/// The reason for which a text is no JSON value, or not a `T`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct JsonError {
    /// Its path within the value where there is one, and what is wrong.
    problem: String,
    /// The first is 1.
    line: usize,
    /// The first is 1, in bytes.
    column: usize,
}

impl JsonError {
    /// The position of the error, for a value that begins at `start`: `line 17, column 3`.
    pub fn position(&self, start: &str) -> String {
        match self.line {
            1 => format!("{start}, column {}", self.column),
            line => format!("{start}, column {} of its line {line}", self.column),
        }
    }
}

/// Reads a value from its JSON, for the readers of formats that are JSON or hold it.
///
/// A number that the type would change is an error: one with more digits than the 64-bit number that a type without an
/// opinion, such as `serde_json`'s `Value`, makes of it, and one that is too small to be anything but 0. A field of
/// type `f64` is rounded as floats are, and one of `RawValue` keeps what is written.
///
/// # Errors
/// [`JsonError`] tells the path within the value and the place in the text.
#[inline]
pub fn read_json<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    match serde_json::from_str(text) {
        Ok(value) if number::may_be_inexact(text) => check_exact::<T>(text).map(|()| value),
        Ok(value) => Ok(value),
        Err(error) => Err(json_error::<T>(text, &error)),
    }
}

/// As [`read_json`], for what asks for the value by a seed.
///
/// # Errors
/// Says what is wrong with it.
pub fn read_json_by<'de, S: DeserializeSeed<'de>>(seed: S, text: &'de str) -> Result<S::Value, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = match number::may_be_inexact(text) {
        true => seed.deserialize(Exact(&mut parser))?,
        false => seed.deserialize(&mut parser)?,
    };
    parser.end()?;
    Ok(value)
}

/// Reads the value once more, number by number.
#[cold]
fn check_exact<T: DeserializeOwned>(text: &str) -> Result<(), JsonError> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(Exact(&mut parser)) else { return Ok(()) };
    let (path, problem) = (error.path().to_string(), error.into_inner().to_string());
    // The parsers of its parts know no place in the whole.
    let problem = problem.rsplit_once(" at line ").map_or(problem.as_str(), |(problem, _)| problem);
    let at = number::tokens(text).find(|(_, token)| problem.starts_with(&format!("{token} "))).map_or(0, |(at, _)| at);
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    Err(JsonError {
        problem: with_path(&path, problem),
        line: before.matches('\n').count() + 1,
        column: at - line_start + 1,
    })
}

#[cold]
fn json_error<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> JsonError {
    // Parsed once more with a track of the path, which is too dear for values that are right.
    let mut parser = serde_json::Deserializer::from_str(text);
    let path = serde_path_to_error::deserialize::<_, T>(&mut parser).err().map(|error| error.path().to_string());
    let location = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&location).unwrap_or(&message);
    let problem = with_path(path.as_deref().unwrap_or("."), message);
    JsonError { problem, line: error.line(), column: error.column() }
}

fn with_path(path: &str, problem: &str) -> String {
    if path == "." || path == "?" { problem.to_owned() } else { format!("'{path}': {problem}") }
}
