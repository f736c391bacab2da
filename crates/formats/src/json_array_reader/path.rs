//! The path to an array within a document, and from it to the end: all else is passed over unread.

use oxbatch_core::item::ItemError;
use serde::{Deserialize, Serialize};

use super::framer::{ArrayFramer, Part, broken, next_mark};
use super::scan::Element;
use crate::TextInput;

/// A JSON pointer (RFC 6901): the names on the path to a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Pointer {
    /// As the author wrote it.
    pub(super) text: String,
    names: Vec<String>,
}

impl Pointer {
    /// Finds its names.
    pub(super) fn parse(&mut self) -> Result<(), ItemError> {
        let text = &self.text;
        let mut names = Vec::new();
        let mut parts = text.split('/');
        let bad = |why| Err(ItemError::other(format!("'{text}' is no JSON pointer: {why}")));
        if parts.next().is_some_and(|before| !before.is_empty()) {
            return bad("it must begin with '/'");
        }
        for name in parts {
            if name.replace("~0", "").replace("~1", "").contains('~') {
                return bad("'~' is written '~0' in it");
            }
            names.push(name.replace("~1", "/").replace("~0", "~"));
        }
        self.names = names;
        Ok(())
    }
}

/// An object or array around the one that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    Object,
    /// With the number of the element that comes next.
    Array(u64),
}

impl ArrayFramer {
    /// A step on the path: up to the next part of the array itself, or nearer to the end behind it.
    #[cold]
    pub(super) fn go_on(&mut self, input: &mut TextInput) -> Result<(), ItemError> {
        let Some(byte) = next_mark(input)? else {
            input.check_end()?;
            return Err(self.ends_early(input));
        };
        match self.part {
            Part::Start => self.enter(input, byte),
            Part::Member | Part::NextMember => self.member(input, byte),
            Part::Colon { wanted } if byte == b':' => {
                self.part = if wanted { Part::Start } else { Part::Passed };
                input.advance(1);
                Ok(())
            }
            Part::Colon { .. } => Err(broken(input, "a ':' must stand behind a name")),
            Part::Passed => self.pass(input, byte),
            _ => self.behind(input, byte),
        }
    }

    /// Enters the next value of the path.
    fn enter(&mut self, input: &mut TextInput, byte: u8) -> Result<(), ItemError> {
        let level = match byte {
            b'[' if self.within.len() == self.pointer.names.len() => {
                self.part = Part::First;
                input.advance(1);
                return Ok(());
            }
            _ if self.within.len() >= self.pointer.names.len() => {
                let problem = match self.pointer.names.len() {
                    0 => "an array must begin with '['".to_owned(),
                    _ => format!("'{}' is no array", self.pointer.text),
                };
                return Err(broken(input, problem));
            }
            b'{' => Level::Object,
            b'[' => Level::Array(0),
            _ => return Err(self.not_there(input)),
        };
        self.within.push(level);
        self.part = Part::Member;
        input.advance(1);
        Ok(())
    }

    /// Reads a member of the object, or an element of the array, around the position.
    fn member(&mut self, input: &mut TextInput, byte: u8) -> Result<(), ItemError> {
        let (depth, done) = (self.within.len(), self.done);
        let wanted =
            |framer: &Self, name: &str| framer.pointer.names.get(depth - 1).is_some_and(|wanted| wanted == name);
        match self.within.last_mut() {
            Some(Level::Object) if byte == b'"' => {
                let (name, length) = Self::member_name(input)?;
                let wanted = wanted(self, &name);
                if wanted && done {
                    return Err(broken(
                        input,
                        format!("the name '{name}' stands twice on the path to '{}'", self.pointer.text),
                    ));
                }
                self.part = Part::Colon { wanted };
                input.advance(length);
                Ok(())
            }
            Some(Level::Array(index)) if byte != b']' => {
                let name = index.to_string();
                *index += 1;
                self.part = if wanted(self, &name) && !done { Part::Start } else { Part::Passed };
                Ok(())
            }
            Some(_) if self.part == Part::Member => self.behind(input, byte),
            _ => Err(broken(input, "a member is missing")),
        }
    }

    /// The name of the member that comes next, and how long it is in the text.
    fn member_name(input: &mut TextInput) -> Result<(String, usize), ItemError> {
        let mut element = Element::default();
        let mut seen = 0;
        loop {
            let (length, at_end) = element.scan(&input.unread()[seen..]);
            seen += length;
            if seen > input.max_record_bytes() {
                return Err(broken(input, format!("a name is longer than {} bytes", input.max_record_bytes())));
            }
            if at_end {
                break;
            }
            if !input.fill()? {
                input.check_end()?;
                return Err(broken(input, "the file ends within a name"));
            }
        }
        let name = serde_json::from_slice(&input.unread()[..seen]);
        Ok((name.map_err(|error| broken(input, format!("a name is no text: {error}")))?, seen))
    }

    /// Passes over a value that is not on the path.
    fn pass(&mut self, input: &mut TextInput, byte: u8) -> Result<(), ItemError> {
        if matches!(byte, b',' | b':' | b']' | b'}') {
            return Err(broken(input, "a value is missing"));
        }
        let mut element = Element::default();
        if !input.skip(|bytes| element.scan(bytes))? {
            input.check_end()?;
            return Err(self.ends_early(input));
        }
        self.part = Part::Behind;
        Ok(())
    }

    /// Goes to the next member, or out of the object or array around the position.
    fn behind(&mut self, input: &mut TextInput, byte: u8) -> Result<(), ItemError> {
        let end = match self.within.last() {
            Some(Level::Object) => b'}',
            _ => b']',
        };
        if byte == b',' && self.part == Part::Behind {
            self.part = Part::NextMember;
        } else if byte == end {
            if !self.done {
                return Err(self.not_there(input));
            }
            self.within.pop();
            self.part = if self.within.is_empty() { Part::End } else { Part::Behind };
        } else {
            return Err(broken(input, format!("a ',' or '{}' must stand behind a member", char::from(end))));
        }
        input.advance(1);
        Ok(())
    }

    #[cold]
    fn ends_early(&self, input: &TextInput) -> ItemError {
        broken(
            input,
            match self.pointer.names.is_empty() {
                true => "the file ends within the array",
                false => "the file ends within the document around the array",
            },
        )
    }

    #[cold]
    fn not_there(&self, input: &TextInput) -> ItemError {
        broken(input, format!("there is no '{}' in the document", self.pointer.text))
    }
}
