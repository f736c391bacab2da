//! Where tags, comments and the like end in XML, and where an element ends; leaves all else to the parser.

use memchr::{memchr, memchr_iter};

/// What a piece of markup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    /// An element in one tag.
    Empty,
    End,
    /// A comment, a processing instruction or a CDATA section.
    Passive,
    /// A document type declaration without declarations of its own.
    DocumentType,
    /// A document type declaration with declarations of its own, such as entities.
    Declarations,
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
                b'[' => until(Kind::Passive, 3, b"]]>"),
                _ => {
                    let (length, bracket) = unquoted_end(text)?;
                    Some(Self { kind: if bracket { Kind::Declarations } else { Kind::DocumentType }, length })
                }
            },
            _ => {
                let (length, _) = unquoted_end(text)?;
                Some(Self { kind: if text[length - 2] == b'/' { Kind::Empty } else { Kind::Start }, length })
            }
        }
    }
}

fn find(text: &[u8], end: &[u8]) -> Option<usize> {
    memchr_iter(end[0], text).find(|at| text[*at..].starts_with(end))
}

/// The length up to the first `>` outside of quotes, or up to the first `[` in what is no tag.
fn unquoted_end(text: &[u8]) -> Option<(usize, bool)> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'>' => return Some((at + 1, false)),
            b'[' if text[1] == b'!' => return Some((at + 1, true)),
            quote @ (b'"' | b'\'') => at += 1 + memchr(*quote, &text[at + 1..])?,
            _ => {}
        }
        at += 1;
    }
}

/// The name in a tag.
pub(super) fn name(tag: &[u8]) -> &[u8] {
    let start = if tag.get(1) == Some(&b'/') { 2 } else { 1 };
    let name = tag.get(start..).unwrap_or_default();
    let end = name.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'));
    &name[..end.unwrap_or(name.len())]
}

/// An element whose end is being looked for, through as many pieces of text as it takes.
#[derive(Debug, Default)]
pub(super) struct Element {
    depth: usize,
}

impl Element {
    /// How many of the next bytes are known to belong to the element, and whether it ends with them. What is not known
    /// yet must be given again, with more behind it.
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
            ("<![CDATA[<a>]]]]>b", Kind::Passive, 17),
            ("<?a > ?>b", Kind::Passive, 8),
            ("<!DOCTYPE a SYSTEM \"[>\">b", Kind::DocumentType, 24),
            ("<!DOCTYPE a [<!ENTITY", Kind::Declarations, 13),
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
