//! The escape of every value in a page: for HTML, and for what would change how the text around it is shown.

use std::fmt::{self, Write};

use askama::filters::Escaper;
use oxbatch_core::log::changes_display;

/// The escaper of all templates: `askama.toml` names it. Line breaks stay; what else controls the display, or turns the
/// direction of text, is shown by its number, as on a terminal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shown;

impl Escaper for Shown {
    fn write_escaped_str<W: Write>(&self, mut out: W, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_escaped(*c)) {
            out.write_str(&rest[..at])?;
            match c {
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '&' => out.write_str("&amp;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                other => write!(out, "{}", other.escape_default())?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_str(rest)
    }
}

fn is_escaped(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '"' | '\'') || (c != '\n' && changes_display(c))
}

/// A text as it may stand in a page.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // A text can always be written to.
    let _ = Shown.write_escaped_str(&mut out, text);
    out
}

/// The first characters of a text.
pub(super) fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parts_that_escape_their_texts_are_marked_safe() {
        let known = [
            "status",
            "created",
            "started",
            "ended",
            "began",
            "heartbeat",
            "since",
            "moment",
            "at",
            "here",
            "next",
            "flow",
            "trend",
        ];
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/templates")).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices("|safe") {
                let name = text[..at].rsplit(['.', ' ', '{']).next().unwrap();
                assert!(known.contains(&name), "{}: {name}|safe", path.display());
            }
        }
    }

    #[test]
    fn nothing_breaks_out_of_a_page_or_turns_it_around() {
        assert_eq!(shown("<b a=\"x\" b='y'>&"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
        assert_eq!(shown("\u{202e}DELIAF\u{1b}[2K"), "\\u{202e}DELIAF\\u{1b}[2K");
        assert_eq!(shown("two\nlines Müller 日本"), "two\nlines Müller 日本");
        assert_eq!(shorten("äöü", 2), "äö…");
    }
}
