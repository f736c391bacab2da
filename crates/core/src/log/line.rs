//! A line of a log: its shape when it is read, and how it is written within bounds.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::level::LogLevel;
use crate::secret::Mask;

/// Longest message, and longest value of a field, in bytes; what is longer is cut with a mark.
pub const MAX_TEXT_BYTES: usize = 8 * 1024;
/// Most bytes of all texts of a line together.
pub const MAX_LINE_BYTES: usize = 32 * 1024;

/// A line of the log of an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The time at which it was logged.
    pub time: Timestamp,
    /// Its level, as the code has logged it: never read out of its text.
    pub level: LogLevel,
    /// The part of the program that has logged it.
    pub target: String,
    /// The step; `None` for what belongs to no step, such as listeners of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The message.
    #[serde(default)]
    pub message: String,
    /// The other values that were logged with it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

/// A text within a bound: what is beyond it is counted and left out.
#[derive(Debug, Default)]
struct Bounded {
    text: String,
    left: usize,
    /// Length of the whole text.
    whole: usize,
}

impl Bounded {
    fn begin(&mut self, left: usize) {
        self.text.clear();
        (self.left, self.whole) = (left, 0);
    }

    /// Marks a cut behind the text.
    fn end(&mut self) {
        if self.whole > self.text.len() {
            let _ = write!(self.text, "… [cut: {} of {} bytes]", self.text.len(), self.whole);
        }
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.whole += text.len();
        let mut end = text.len().min(self.left);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.push_str(&text[..end]);
        // Behind a cut nothing follows, not even a shorter text.
        self.left = if end < text.len() { 0 } else { self.left - end };
        Ok(())
    }
}

/// The parts of a line that is being written.
#[derive(Debug, Default)]
pub struct LineBuilder {
    message: Vec<u8>,
    fields: Vec<u8>,
    /// Another target than that of the event.
    target: Option<String>,
    text: Bounded,
    left: usize,
    /// Of the secrets of the execution.
    mask: Mask,
}

impl LineBuilder {
    pub(super) fn begin(&mut self, mask: &Mask) {
        self.mask.clone_from(mask);
        self.message.clear();
        self.fields.clear();
        self.target = None;
        self.left = MAX_LINE_BYTES;
    }

    /// Forgets the secrets of the execution: the builder is the thread's, and lives on.
    pub(super) fn end(&mut self) {
        self.mask = Mask::default();
    }

    /// The message.
    pub fn message(&mut self, message: fmt::Arguments<'_>) {
        self.bound(message);
        self.message.clear();
        write_json(&mut self.message, &self.text.text);
    }

    /// The target, in place of that of the event.
    pub fn target(&mut self, target: fmt::Arguments<'_>) {
        self.bound(target);
        self.target = Some(self.text.text.clone());
    }

    /// A field whose value is a text.
    pub fn text(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.bound(value);
        begin_field(&mut self.fields, name);
        write_json(&mut self.fields, &self.text.text);
    }

    /// A field whose value is a number, a truth value or another of JSON.
    pub fn value(&mut self, name: &str, value: impl Serialize) {
        begin_field(&mut self.fields, name);
        if self.mask.is_empty() {
            return write_json(&mut self.fields, &value);
        }
        let mut value = serde_json::to_value(&value).unwrap_or_default();
        self.mask.mask_json(&mut value);
        write_json(&mut self.fields, &value);
    }

    fn bound(&mut self, value: fmt::Arguments<'_>) {
        self.text.begin(self.left.min(MAX_TEXT_BYTES));
        // A value whose own formatting fails is kept as far as it came.
        if self.mask.is_empty() {
            let _ = self.text.write_fmt(value);
        } else {
            // Before it is cut: a part of a secret would not be found.
            let mut whole = String::new();
            let _ = whole.write_fmt(value);
            let _ = self.text.write_str(&self.mask.apply(&whole));
        }
        self.left -= self.text.text.len();
        self.text.end();
    }

    /// Appends the whole line with its end.
    pub(super) fn write(&self, out: &mut Vec<u8>, time: Timestamp, level: LogLevel, target: &str, step: Option<&str>) {
        let _ = write!(out, "{{\"time\":\"{time:.6}\",\"level\":\"{level}\",\"target\":");
        write_json(out, self.target.as_deref().unwrap_or(target));
        if let Some(step) = step {
            out.extend_from_slice(b",\"step\":");
            write_json(out, step);
        }
        out.extend_from_slice(b",\"message\":");
        out.extend_from_slice(if self.message.is_empty() { b"\"\"" } else { &self.message });
        if !self.fields.is_empty() {
            out.extend_from_slice(b",\"fields\":{");
            out.extend_from_slice(&self.fields);
            out.push(b'}');
        }
        out.extend_from_slice(b"}\n");
    }
}

fn begin_field(fields: &mut Vec<u8>, name: &str) {
    if !fields.is_empty() {
        fields.push(b',');
    }
    write_json(fields, name);
    fields.push(b':');
}

/// Appends a value as JSON; nothing in a value can end its line.
fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let begin = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(begin);
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(fill: impl FnOnce(&mut LineBuilder)) -> LogLine {
        let (mut builder, mut out) = (LineBuilder::default(), Vec::new());
        builder.begin(&Mask::default());
        fill(&mut builder);
        builder.write(&mut out, Timestamp::UNIX_EPOCH, LogLevel::Info, "a::b", Some("Step"));
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_value_ends_no_line_and_passes_for_no_other_field() {
        let line = line(|builder| {
            builder.message(format_args!("two\nlines\",\"level\":\"ERROR\""));
            builder.text("file", format_args!("a\u{202e}b\0"));
            builder.value("number", 7_u64);
            builder.value("share", 0.5);
        });
        assert_eq!(line.level, LogLevel::Info);
        assert_eq!(line.message, "two\nlines\",\"level\":\"ERROR\"");
        assert_eq!(Value::Object(line.fields), serde_json::json!({"file": "a\u{202e}b\0", "number": 7, "share": 0.5}));
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark_between_characters() {
        let long = "ü".repeat(500_000);
        let cut = line(|builder| builder.message(format_args!("{long}"))).message;
        assert!(cut.starts_with("üü") && cut.len() < MAX_TEXT_BYTES + 100, "{}", cut.len());
        assert!(cut.ends_with("… [cut: 8192 of 1000000 bytes]"), "{}", &cut[cut.len() - 60..]);
        let line = line(|builder| (0..20).for_each(|n| builder.text(&format!("f{n}"), format_args!("{long}"))));
        let all: usize = line.fields.values().map(|value| value.as_str().unwrap().len()).sum();
        assert!(all < MAX_LINE_BYTES + 20 * 50, "{all}");
    }
}
