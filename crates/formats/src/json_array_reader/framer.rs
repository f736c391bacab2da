//! `ArrayFramer`: finds the elements of a JSON array.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::path::{Level, Pointer};
use super::scan::Element;
use crate::input_error::RecordError;
use crate::{FilePosition, Framer, TextInput};
use oxbatch_core::item::{ItemError, Position};

/// The position in the array, as it is stored with each commit.
#[derive(Debug, Serialize, Deserialize)]
pub struct ArrayPosition {
    file: FilePosition,
    part: Part,
    elements: u64,
    /// The pointer to the array.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    array: String,
    /// The objects and arrays around the position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    within: Vec<Level>,
    /// True if the array is behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    done: bool,
}

/// The part of the array that comes next, or of the document around it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// The array, or the next value on the path to it.
    #[default]
    Start,
    /// The first member, or the end of the object or array.
    Member,
    /// Another member: the comma was read.
    NextMember,
    /// The colon behind a name.
    Colon {
        /// True if the path goes on there.
        wanted: bool,
    },
    /// A value to be passed over.
    Passed,
    /// A comma, or the end of the object or array around.
    Behind,
    /// The first element, or the end.
    First,
    /// A comma and another element, or the end.
    More,
    /// An element: the comma was read.
    Element,
    /// Nothing but blanks.
    End,
}

/// Finds the elements of a JSON array.
#[derive(Debug, Clone, Default)]
pub struct ArrayFramer {
    pub(super) pointer: Pointer,
    pub(super) part: Part,
    /// Elements before the position.
    elements: u64,
    /// The objects and arrays around the position, the document first.
    pub(super) within: Vec<Level>,
    /// True if the array is behind it.
    pub(super) done: bool,
}

impl ArrayFramer {
    pub(super) fn set_pointer(&mut self, text: String) {
        self.pointer.text = text;
    }

    #[inline]
    fn element(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        let mut element = Element::default();
        let mut seen = 0;
        let length = loop {
            let (length, at_end) = element.scan(&input.unread()[seen..]);
            seen += length;
            if seen > input.max_record_bytes() {
                return Err(self.too_long(input));
            }
            if at_end {
                break seen;
            }
            if !input.fill()? {
                input.check_end()?;
                return Err(broken(input, "the file ends within an element"));
            }
        };
        self.part = Part::More;
        self.elements += 1;
        Ok(Some(input.advance(length)))
    }

    /// Passes over an element that is longer than allowed.
    #[cold]
    fn too_long(&mut self, input: &mut TextInput) -> ItemError {
        let error = input.too_long_error(Self::shown_position(input.line(), self.elements + 1));
        let mut element = Element::default();
        match input.skip(|bytes| element.scan(bytes)) {
            Ok(true) => {
                self.part = Part::More;
                self.elements += 1;
                error
            }
            Ok(false) => broken(input, "the file ends within an element"),
            Err(error) => error,
        }
    }
}

/// The next byte that is not blank.
#[inline]
pub(super) fn next_mark(input: &mut TextInput) -> Result<Option<u8>, ItemError> {
    loop {
        let unread = input.unread();
        let blank = unread.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        let found = unread.get(blank).copied();
        if blank > 0 {
            input.advance(blank);
        }
        if found.is_some() {
            return Ok(found);
        }
        if !input.fill()? {
            return Ok(None);
        }
    }
}

/// The array itself is not one: there is no next element.
#[cold]
pub(super) fn broken(input: &TextInput, problem: impl Into<String>) -> ItemError {
    input.broken(RecordError::Json { problem: problem.into() })
}

impl Framer for ArrayFramer {
    type Position = ArrayPosition;

    fn check(&mut self) -> Result<(), ItemError> {
        self.pointer.parse()?;
        (self.part, self.elements, self.done) = (Part::Start, 0, false);
        self.within.clear();
        Ok(())
    }

    #[inline]
    fn next(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        loop {
            while !matches!(self.part, Part::First | Part::More | Part::Element | Part::End) {
                self.go_on(input)?;
            }
            let Some(byte) = next_mark(input)? else {
                return match self.part {
                    Part::End => input.check_end().map(|()| None),
                    _ => input.check_end().and_then(|()| Err(broken(input, "the file ends within the array"))),
                };
            };
            self.part = match (self.part, byte) {
                (Part::First | Part::More, b']') => {
                    self.done = true;
                    if self.within.is_empty() { Part::End } else { Part::Behind }
                }
                (Part::More, b',') => Part::Element,
                (Part::First | Part::Element, byte) if !matches!(byte, b',' | b']' | b'}') => {
                    return self.element(input);
                }
                (Part::End, _) if self.pointer.text.is_empty() => {
                    return Err(broken(input, "there is text behind the end of the array"));
                }
                (Part::End, _) => return Err(broken(input, "there is text behind the end of the document")),
                (Part::More, _) => return Err(broken(input, "a ',' or ']' must stand behind an element")),
                _ => return Err(broken(input, "an element is missing")),
            };
            input.advance(1);
        }
    }

    fn position(&self, file: FilePosition) -> ArrayPosition {
        let Self { part, elements, done, .. } = *self;
        let (array, within) = (self.pointer.text.clone(), self.within.clone());
        ArrayPosition { file, part, elements, array, within, done }
    }

    fn resume(&mut self, position: ArrayPosition) -> Result<FilePosition, ItemError> {
        let ArrayPosition { file, part, elements, array, within, done } = position;
        if array != self.pointer.text {
            let problem = format!("checkpoint is of array '{array}', and '{}' is read", self.pointer.text);
            return Err(ItemError::other(problem + "; launch with force to start anew"));
        }
        (self.part, self.elements, self.within, self.done) = (part, elements, within, done);
        Ok(file)
    }

    fn records(&self) -> u64 {
        self.elements
    }

    fn shown_position(line: u64, number: u64) -> Position {
        Position::Element { line, number }
    }
}
