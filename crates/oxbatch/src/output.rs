//! Standard output and the error line: written by hand, because a reader that closes the pipe is no fault.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::error::CliError;
use crate::progress;

/// Writes a line to standard output. A closed pipe is no error: who reads has seen enough.
pub(crate) fn line(text: impl Display) -> Result<(), CliError> {
    write(format!("{text}\n").as_bytes())
}

/// Writes a value as JSON to standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| CliError::Output { source: io::Error::other(error) })?;
    line(text)
}

/// Writes bytes to standard output.
pub(crate) fn write(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output { source }),
        _ => Ok(()),
    }
}

/// Writes a remark to standard error; there is nobody to tell when that fails.
pub(crate) fn remark(text: impl Display) {
    let _ = progress::without_bars(|| io::stderr().lock().write_all(format!("{text}\n").as_bytes()));
}

/// Text as it may go to a terminal: no control characters but line breaks.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
