//! Standard output and the error line: written by hand, because a reader that closes the pipe is no error.

use std::fmt::Display;
use std::io::{self, Write};

pub(crate) use oxbatch_core::log::{one_line, plain_text as plain};
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

/// Writes a remark to standard error; nobody is left to report to when that fails.
pub(crate) fn remark(text: impl Display) {
    let _ = progress::without_bars(|| io::stderr().lock().write_all(format!("{text}\n").as_bytes()));
}

/// A size for people.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
