//! The parts of a failure: what was being done, the record with its file, line and column, the rule, the raw text.
//!
//! A failure is stored as one message: `PREFIX: file 'PATH', line 17: CAUSE: CAUSE; raw text: "TEXT"`, as the display
//! of an [`ItemError`](oxbatch_core::ItemError) has it. What of it is not found there stays in the causes.

use oxbatch_core::item::RAW_TEXT;

use super::text::shorten;

/// Most characters of a cause.
const CAUSE_CHARS: usize = 4_000;
/// Most causes.
const CAUSES: usize = 30;
/// Most characters of the first cause where it stands as a headline.
const RULE_CHARS: usize = 600;

/// The parts of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Failure {
    pub(super) file: Option<String>,
    /// The place in the file, or in another source.
    pub(super) place: Option<String>,
    pub(super) line: Option<String>,
    pub(super) column: Option<String>,
    pub(super) raw: Option<String>,
    /// The causes from the outermost to the first.
    pub(super) causes: Vec<String>,
}

impl Failure {
    /// The parts of a message.
    pub(super) fn of(message: &str) -> Self {
        let (head, raw) = match message.find(RAW_TEXT) {
            Some(at) => (&message[..at], Some(unquoted(&message[at + RAW_TEXT.len()..]))),
            None => (message, None),
        };
        let mut failure = Self { raw, ..Self::default() };
        let rest = match head.find("file '") {
            Some(at) => failure.take_place(head, at),
            None => head.to_owned(),
        };
        failure.causes = causes(&rest).iter().map(|cause| shorten(cause, CAUSE_CHARS)).take(CAUSES).collect();
        failure.column = column(&failure.causes);
        failure
    }

    /// The first cause: the rule that was broken.
    pub(super) fn rule(&self) -> String {
        self.causes.last().map_or_else(String::new, |cause| shorten(cause, RULE_CHARS))
    }

    /// `true` if it is known of which record it is.
    pub(super) fn has_record(&self) -> bool {
        self.file.is_some() || self.raw.is_some()
    }

    /// Takes `file 'PATH', line 17` out of a message; what is left.
    fn take_place(&mut self, head: &str, at: usize) -> String {
        let behind = &head[at + "file '".len()..];
        let Some(end) = behind.find("': ").or_else(|| behind.find("', ")) else { return head.to_owned() };
        let comma = behind.find("', ").filter(|comma| *comma <= end).unwrap_or(end);
        self.file = Some(behind[..comma].to_owned());
        let after = behind[comma + 1..].trim_start_matches([',', ' ']);
        let (place, rest) = match behind[comma..].starts_with("', ") {
            true => after.split_once(": ").unwrap_or((after, "")),
            false => ("", after.trim_start_matches([':', ' '])),
        };
        self.place = Some(place.to_owned()).filter(|place| !place.is_empty());
        self.line = number_after(place, "line ");
        format!("{}{rest}", &head[..at])
    }
}

/// The digits behind a word.
fn number_after(text: &str, word: &str) -> Option<String> {
    let at = text.find(word)? + word.len();
    let digits: String = text[at..].chars().take_while(char::is_ascii_digit).collect();
    Some(digits).filter(|digits| !digits.is_empty())
}

fn column(causes: &[String]) -> Option<String> {
    let named = |cause: &String| {
        let at = cause.find("column '").or_else(|| cause.find("field '"))?;
        let text = &cause[at..];
        let text = &text[text.find('\'')? + 1..];
        Some(text[..text.find('\'')?].to_owned())
    };
    causes.iter().find_map(named)
}

/// The links of a chain, cut at ": " outside of quotation marks.
fn causes(text: &str) -> Vec<String> {
    let (mut links, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            // An apostrophe within a word is none.
            '\'' if is_quoted || !text[..at].ends_with(char::is_alphanumeric) => is_quoted = !is_quoted,
            ':' if !is_quoted && text[at..].starts_with(": ") => {
                links.push(text[start..at].to_owned());
                start = at + 2;
            }
            _ => {}
        }
    }
    links.push(text[start..].to_owned());
    links.retain(|link| !link.trim().is_empty());
    links
}

/// The text of a literal, without its marks.
fn unquoted(literal: &str) -> String {
    let text = literal.strip_prefix('"').unwrap_or(literal);
    let text = text.strip_suffix('"').unwrap_or(text);
    // What JSON reads, Rust's own escapes but for `\'` and `\u{…}` are.
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use oxbatch_core::ItemError;

    use super::*;

    #[test]
    fn the_record_of_an_item_error_is_found_in_its_message() {
        let error = ItemError::parse("column 'Cost Repair': invalid digit found in string")
            .in_file(Path::new("data/it's, here.csv"))
            .at("line 4211")
            .with_raw("a,\"b\",x: y\tz");
        let failure = Failure::of(&format!("step 'Import' failed: {error}"));
        assert_eq!(failure.file.as_deref(), Some("data/it's, here.csv"));
        assert_eq!((failure.place.as_deref(), failure.line.as_deref()), (Some("line 4211"), Some("4211")));
        assert_eq!(failure.raw.as_deref(), Some("a,\"b\",x: y\tz"));
        assert_eq!(failure.column.as_deref(), Some("Cost Repair"));
        assert_eq!(failure.causes, ["step 'Import' failed", "column 'Cost Repair'", "invalid digit found in string"]);
        assert_eq!(failure.rule(), "invalid digit found in string");
    }

    #[test]
    fn a_failure_of_no_record_is_its_causes() {
        let failure = Failure::of("step 'ErrorStep' failed: this step doesn't work: 'a: b' is no number");
        assert_eq!(failure.causes, ["step 'ErrorStep' failed", "this step doesn't work", "'a: b' is no number"]);
        assert!(!failure.has_record() && failure.column.is_none());
        let alone = Failure::of("file 'orders.csv': no such file");
        assert_eq!((alone.file.as_deref(), alone.rule()), (Some("orders.csv"), "no such file".to_owned()));
        assert_eq!(Failure::of("").rule(), "");
    }
}
