//! `XmlFramer`: finds the elements of some names in a document.

use std::ops::Range;

use memchr::memchr;
use serde::{Deserialize, Serialize};

use super::nil::NilPrefixes;
use super::scan::{Element, Kind, Markup, declared_encoding, name};
use crate::input_error::RecordError;
use crate::{FilePosition, Framer, TextInput};
use oxbatch_core::item::{ItemError, Position};

/// Elements that may stand around a record; as many levels as the parser goes down into one.
const MAX_DEPTH: usize = 128;

/// The surroundings of a position in a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Around {
    /// Names of the elements around it, the root first.
    within: Vec<String>,
    /// True if the root element has begun.
    rooted: bool,
    /// True if the document type was declared.
    #[serde(skip)]
    typed: bool,
    #[serde(default, skip_serializing_if = "NilPrefixes::is_empty")]
    nil: NilPrefixes,
    /// Elements of the names before it.
    elements: u64,
}

/// The position in the file, as it is stored with each commit.
#[derive(Debug, Serialize, Deserialize)]
pub struct XmlPosition {
    file: FilePosition,
    position: Around,
}

/// Finds the elements of some names in a document.
#[derive(Debug, Clone)]
pub struct XmlFramer {
    pub(super) elements: Vec<String>,
    position: Around,
}

impl XmlFramer {
    pub(super) fn new(element: String) -> Self {
        Self { elements: vec![element], position: Around::default() }
    }

    /// The prefixes that the elements around the record in hand declare.
    pub(super) fn nil(&self) -> &NilPrefixes {
        &self.position.nil
    }

    /// A document type is declared once, before the root element.
    #[cold]
    fn check_type(&mut self, input: &TextInput) -> Result<(), ItemError> {
        if self.position.rooted {
            return Err(broken(input, "a document type declaration stands behind the start of the root element"));
        }
        if std::mem::replace(&mut self.position.typed, true) {
            return Err(broken(input, "a second document type declaration"));
        }
        Ok(())
    }

    /// Passes over text up to the next markup, which is in the window as a whole.
    fn next_markup(&self, input: &mut TextInput) -> Result<Option<Markup>, ItemError> {
        loop {
            let unread = input.unread();
            let text = memchr(b'<', unread).unwrap_or(unread.len());
            if self.position.within.is_empty() {
                // To the first letter: its line is reported, however much of the text is in the window.
                let blank = text - unread[..text].trim_ascii_start().len();
                if blank < text {
                    input.advance(blank);
                    return Err(broken(input, "text stands outside of the root element"));
                }
            }
            if text > 0 {
                input.advance(text);
            }
            let (unread, limit) = (input.unread(), input.max_record_bytes());
            let markup = Markup::at_start(unread);
            // Whether the window happens to hold all of it must not matter.
            if markup.as_ref().map_or(unread.len(), |markup| markup.length) > limit {
                return Err(broken(input, format!("a tag or comment is longer than {limit} bytes")));
            }
            if markup.is_some() {
                return Ok(markup);
            }
            if !input.fill()? {
                if input.unread().is_empty() {
                    return Ok(None);
                }
                input.check_end()?;
                return Err(broken(input, "the file ends within a tag or comment"));
            }
        }
    }

    /// Records the start of an element around the records.
    #[cold]
    fn enter(&mut self, input: &TextInput, length: usize) -> Result<(), ItemError> {
        if self.position.within.len() >= MAX_DEPTH {
            return Err(broken(input, format!("elements are nested deeper than {MAX_DEPTH} levels")));
        }
        let Ok(tag) = std::str::from_utf8(&input.unread()[..length]) else {
            return Err(broken(input, RecordError::NotUtf8));
        };
        if tag.contains("xmlns") {
            self.position.nil.enter(tag, self.position.within.len());
        }
        self.position.within.push(String::from_utf8_lossy(name(tag.as_bytes())).into_owned());
        Ok(())
    }

    /// Records the end of an element around the records.
    fn leave(&mut self, input: &TextInput, length: usize) -> Result<(), ItemError> {
        let found = name(&input.unread()[..length]);
        let problem = match self.position.within.last() {
            Some(open) if open.as_bytes() == found => {
                self.position.within.pop();
                self.position.nil.leave(self.position.within.len());
                return Ok(());
            }
            Some(open) => format!("element '{open}' is closed by '</{}>'", String::from_utf8_lossy(found)),
            None => format!("'</{}>' closes no element", String::from_utf8_lossy(found)),
        };
        Err(broken(input, problem))
    }

    fn element(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        let mut element = Element::default();
        let mut seen = 0;
        let length = loop {
            let (known, at_end) = element.scan(&input.unread()[seen..]);
            seen += known;
            if at_end && seen <= input.max_record_bytes() {
                break seen;
            }
            if at_end || input.unread().len() > input.max_record_bytes() {
                return Err(self.too_long(input));
            }
            if !input.fill()? {
                input.check_end()?;
                return Err(self.ends_within_element(input));
            }
        };
        self.position.rooted = true;
        self.position.elements += 1;
        Ok(Some(input.advance(length)))
    }

    /// Passes over an element that is longer than allowed.
    #[cold]
    fn too_long(&mut self, input: &mut TextInput) -> ItemError {
        let position = Self::shown_position(input.line(), self.position.elements + 1);
        let error = input.too_long_error(position);
        let limit = input.max_record_bytes();
        let mut element = Element::default();
        let mut lost = false;
        let skipped = input.skip(|bytes| {
            let (length, at_end) = element.scan(bytes);
            // Markup that does not end must not be collected without bound.
            lost = !at_end && bytes.len() - length > limit;
            (length, at_end || lost)
        });
        match skipped {
            Ok(true) if lost => broken(input, format!("a tag or comment is longer than {limit} bytes")),
            Ok(true) => {
                self.position.rooted = true;
                self.position.elements += 1;
                error
            }
            Ok(false) => self.ends_within_element(input),
            Err(error) => error,
        }
    }

    #[cold]
    fn ends_within_element(&self, input: &TextInput) -> ItemError {
        broken(input, format!("the file ends within element {}", self.position.elements + 1))
    }
}

/// Checks that the text is what it is taken for.
#[cold]
fn check_encoding(input: &TextInput, length: usize) -> Result<(), ItemError> {
    let declaration = String::from_utf8_lossy(&input.unread()[..length]);
    match declared_encoding(&declaration) {
        Some(other)
            if !input.is_decoded()
                && !["utf-8", "utf8", "us-ascii"].iter().any(|known| known.eq_ignore_ascii_case(other)) =>
        {
            let problem = format!(
                "encoding '{other}' is not read; convert the file to UTF-8, or read it with `.encoding(\"{other}\")`"
            );
            Err(broken(input, problem))
        }
        _ => Ok(()),
    }
}

/// The document is not one: there is no next element.
#[cold]
fn broken(input: &TextInput, problem: impl ToString) -> ItemError {
    input.broken(RecordError::Xml { problem: problem.to_string() })
}

impl Framer for XmlFramer {
    type Position = XmlPosition;

    fn check(&mut self) -> Result<(), ItemError> {
        self.position = Around::default();
        Ok(())
    }

    fn next(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        loop {
            let Some(markup) = self.next_markup(input)? else {
                input.check_end()?;
                return match self.position.within.last() {
                    Some(name) => Err(broken(input, format!("the file ends within element '{name}'"))),
                    None if self.position.rooted => Ok(None),
                    None => Err(broken(input, "the file has no element")),
                };
            };
            let tag = &input.unread()[..markup.length];
            match markup.kind {
                Kind::Start | Kind::Empty => {
                    if self.position.rooted && self.position.within.is_empty() {
                        return Err(broken(input, "a second element stands behind the root"));
                    }
                    if self.elements.iter().any(|element| name(tag) == element.as_bytes()) {
                        return self.element(input);
                    }
                    if markup.kind == Kind::Start {
                        self.enter(input, markup.length)?;
                    }
                    self.position.rooted = true;
                }
                Kind::End => self.leave(input, markup.length)?,
                Kind::Passive => check_encoding(input, markup.length)?,
                Kind::Data if self.position.within.is_empty() => {
                    return Err(broken(input, "text stands outside of the root element"));
                }
                Kind::Data => {}
                Kind::DocumentType => self.check_type(input)?,
                Kind::Unknown => {
                    return Err(broken(input, "a declaration stands outside of a document type declaration"));
                }
            }
            input.advance(markup.length);
        }
    }

    fn position(&self, file: FilePosition) -> XmlPosition {
        XmlPosition { file, position: self.position.clone() }
    }

    fn resume(&mut self, position: XmlPosition) -> Result<FilePosition, ItemError> {
        self.position = position.position;
        Ok(position.file)
    }

    fn records(&self) -> u64 {
        self.position.elements
    }

    fn shown_position(line: u64, number: u64) -> Position {
        Position::Element { line, number }
    }
}
