//! A line of a log as text for people: one line, in which no value controls a terminal or passes for another.

use std::fmt::Write as _;

use serde_json::Value;

use super::line::LogLine;

/// `true` if a character changes how others are shown: control characters, line and paragraph separators, marks and
/// overrides of the direction of text.
pub fn changes_display(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

fn push(out: &mut String, text: &str) {
    for c in text.chars() {
        if changes_display(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
}

/// Text as it may stand in a line of a terminal or a page: no value in it passes for another line or turns the
/// direction of what stands around it.
pub fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    push(&mut shown, text);
    shown
}

/// The same with its line breaks as they are.
pub fn plain_text(text: &str) -> String {
    text.split('\n').map(one_line).collect::<Vec<_>>().join("\n")
}

/// The line: time, level, step, target, message, fields.
pub fn shown_line(line: &LogLine) -> String {
    let mut out = format!("{:.6} {:5} ", line.time, line.level);
    if let Some(step) = &line.step {
        push(&mut out, step);
        out.push_str(": ");
    }
    push(&mut out, &line.target);
    out.push_str(": ");
    push(&mut out, &line.message);
    for (name, value) in &line.fields {
        out.push(' ');
        push(&mut out, name);
        out.push('=');
        match value {
            // A text that is no single word stands in quotes, as in JSON.
            Value::String(text) if is_word(text) => push(&mut out, text),
            value => {
                let mut json = String::new();
                let _ = write!(json, "{value}");
                push(&mut out, &json);
            }
        }
    }
    out
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '"' || c == '=' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogLevel;

    #[test]
    fn a_value_passes_for_no_other_line_and_turns_no_text_around() {
        assert_eq!(one_line("a\nstatus  COMPLETED"), "a\\nstatus  COMPLETED");
        assert_eq!(one_line("\u{202e}DELIAF \u{1b}[2K \u{2028}x"), "\\u{202e}DELIAF \\u{1b}[2K \\u{2028}x");
        assert_eq!(plain_text("two\nlines\t\u{2066}"), "two\nlines\\t\\u{2066}");
        assert_eq!(one_line("Müller — 日本 שלום"), "Müller — 日本 שלום");
    }

    #[test]
    fn a_hostile_line_stays_one_line_of_its_own_level() {
        let line = LogLine {
            time: jiff::Timestamp::UNIX_EPOCH,
            level: LogLevel::Info,
            target: "a::b".to_owned(),
            step: Some("Im\u{1b}port".to_owned()),
            message: "x\n1970-01-01T00:00:00Z ERROR \u{202e}".to_owned(),
            fields: serde_json::json!({"a": "b c", "n": 7, "w": "word"}).as_object().unwrap().clone(),
        };
        let shown = shown_line(&line);
        assert_eq!(
            shown,
            "1970-01-01T00:00:00.000000Z INFO  Im\\u{1b}port: a::b: x\\n1970-01-01T00:00:00Z ERROR \\u{202e} a=\"b c\" n=7 w=word"
        );
    }
}
