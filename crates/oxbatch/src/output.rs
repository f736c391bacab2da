//! Standard output and the error line: written by hand, because a reader that closes the pipe is no error.

use std::fmt::Display;
use std::io::{self, Write};

use oxbatch_core::log::changes_display;
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

/// Text as it may go to a terminal: what controls it, or turns the direction of text, is escaped. Line breaks stay.
pub(crate) fn plain(text: &str) -> String {
    escaped(text, |c| c != '\n' && changes_display(c))
}

/// Text as it may stand in a line: with its line breaks escaped too, so that no value passes for another line.
pub(crate) fn one_line(text: &str) -> String {
    escaped(text, changes_display)
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_passes_for_no_other_line_and_turns_no_text_around() {
        assert_eq!(one_line("a\nstatus  COMPLETED"), "a\\nstatus  COMPLETED");
        assert_eq!(one_line("\u{202e}DELIAF \u{1b}[2K \u{2028}x"), "\\u{202e}DELIAF \\u{1b}[2K \\u{2028}x");
        assert_eq!(plain("two\nlines\t\u{2066}"), "two\nlines\\t\\u{2066}");
        assert_eq!(one_line("Müller — 日本 שלום"), "Müller — 日本 שלום");
    }
}
