//! The ends of tags, comments and the like in XML, and of elements; all else is left to the parser.

use memchr::{memchr, memchr_iter, memchr3};

/// The kind of a piece of markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    /// An element in one tag.
    Empty,
    End,
    /// A comment or a processing instruction.
    Passive,
    /// A CDATA section.
    Data,
    /// A document type declaration, those within it included.
    DocumentType,
    /// None that can stand in a document.
    Unknown,
}

/// A piece of markup at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Markup {
    pub(super) kind: Kind,
    pub(super) length: usize,
}

impl Markup {
    /// The markup that a text begins with; `None` when its end is not in the text.
    pub(super) fn at_start(text: &[u8]) -> Option<Self> {
        let until = |kind, start: usize, end: &[u8]| {
            Some(Self { kind, length: start + find(text.get(start..)?, end)? + end.len() })
        };
        match text.get(1)? {
            b'/' => until(Kind::End, 2, b">"),
            b'?' => until(Kind::Passive, 2, b"?>"),
            b'!' => match text.get(2)? {
                b'-' if *text.get(3)? == b'-' => until(Kind::Passive, 4, b"-->"),
                b'[' => until(Kind::Data, 3, b"]]>"),
                _ => {
                    let kind = if text.starts_with(b"<!DOCTYPE") { Kind::DocumentType } else { Kind::Unknown };
                    Some(Self { kind, length: document_type_end(text)? })
                }
            },
            _ => {
                let length = unquoted_end(text)?;
                Some(Self { kind: if text[length - 2] == b'/' { Kind::Empty } else { Kind::Start }, length })
            }
        }
    }
}

fn find(text: &[u8], end: &[u8]) -> Option<usize> {
    memchr_iter(end[0], text).find(|at| text[*at..].starts_with(end))
}

/// The length up to the first `>` outside of quotes.
fn unquoted_end(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr3(b'>', b'"', b'\'', text.get(at..)?)? + 1;
        match text[at - 1] {
            b'>' => return Some(at),
            quote => at += memchr(quote, &text[at..])? + 1,
        }
    }
}

/// The length of a document type declaration. What is declared within its brackets is passed over piece by piece, since
/// quotes mean nothing in comments and instructions there, nor brackets in quotes.
fn document_type_end(text: &[u8]) -> Option<usize> {
    let (mut at, mut within) = (2, false);
    loop {
        let rest = text.get(at..)?;
        at += match (rest.first()?, within) {
            (b'>', false) => return Some(at + 1),
            (b'<', true) => match (rest.get(1)?, rest.get(2)?) {
                (b'!', b'-') if *rest.get(3)? == b'-' => 4 + find(rest.get(4..)?, b"-->")? + 3,
                (b'?', _) => 2 + find(&rest[2..], b"?>")? + 2,
                _ => unquoted_end(rest)?,
            },
            (quote @ (b'"' | b'\''), false) => 2 + memchr(*quote, &rest[1..])?,
            (bracket @ (b'[' | b']'), _) => {
                within = *bracket == b'[';
                1
            }
            _ => 1,
        };
    }
}

/// The name in a tag.
pub(super) fn name(tag: &[u8]) -> &[u8] {
    let start = if tag.get(1) == Some(&b'/') { 2 } else { 1 };
    let name = tag.get(start..).unwrap_or_default();
    let end = name.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'));
    &name[..end.unwrap_or(name.len())]
}

/// The encoding that an instruction names, where it is the declaration of a document.
pub(super) fn declared_encoding(instruction: &str) -> Option<&str> {
    let rest = instruction.strip_prefix("<?xml")?;
    let (_, rest) =
        rest.starts_with(|letter: char| letter.is_ascii_whitespace()).then(|| rest.split_once("encoding"))??;
    Some(rest.split(['"', '\'']).nth(1).unwrap_or_default())
}

/// An element whose end is being searched for, through as many pieces of text as it takes.
#[derive(Debug, Default)]
pub(super) struct Element {
    depth: usize,
}

impl Element {
    /// The number of the next bytes that are known to belong to the element, and `true` if it ends with them. Bytes of
    /// which that is not known yet must be given again, with more behind them.
    pub(super) fn scan(&mut self, text: &[u8]) -> (usize, bool) {
        let mut at = 0;
        loop {
            let Some(found) = memchr(b'<', &text[at..]) else { return (text.len(), false) };
            at += found;
            let Some(markup) = Markup::at_start(&text[at..]) else { return (at, false) };
            at += markup.length;
            match markup.kind {
                Kind::Start => self.depth += 1,
                Kind::End => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth == 0 {
                return (at, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_ends_where_its_quotes_allow_it() {
        for (text, kind, length) in [
            ("<a>b", Kind::Start, 3),
            ("<a b='>' c=\"'>\">d", Kind::Start, 16),
            ("<a/>b", Kind::Empty, 4),
            ("</a >b", Kind::End, 5),
            ("<!-- <a> -- > -->b", Kind::Passive, 17),
            ("<![CDATA[<a>]]]]>b", Kind::Data, 17),
            ("<?a > ?>b", Kind::Passive, 8),
            ("<!DOCTYPE a SYSTEM \"[>\">b", Kind::DocumentType, 24),
            ("<!DOCTYPE a [<!ENTITY b ']>'> <!-- '] --> <?c ]>\" ?>]>b", Kind::DocumentType, 54),
            ("<!ENTITY a 'b>'>c", Kind::Unknown, 16),
        ] {
            assert_eq!(Markup::at_start(text.as_bytes()), Some(Markup { kind, length }), "{text}");
            for cut in 1..length {
                assert_eq!(Markup::at_start(&text.as_bytes()[..cut]), None, "{text} cut at {cut}");
            }
        }
        assert_eq!(name(b"<a:b c='d'>"), b"a:b");
        assert_eq!(name(b"</a>"), b"a");
        assert_eq!(name(b"<a/>"), b"a");
    }

    #[test]
    fn an_element_ends_at_its_own_tag_however_the_text_is_cut() {
        let text = b"<a><a x='</a>'/><!--</a>--><a></a><![CDATA[</a>]]></a><b>";
        for cut in 0..text.len() - 3 {
            let mut element = Element::default();
            let (known, at_end) = element.scan(&text[..cut]);
            assert!(!at_end && known <= cut);
            assert_eq!(element.scan(&text[known..]), (text.len() - 3 - known, true), "cut at {cut}");
        }
    }
}
