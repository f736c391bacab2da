//! The way to an array within a document, and past it to the end: all else on it is passed over unread.

use oxbatch_core::item::ItemError;
use serde::{Deserialize, Serialize};

use super::scan::Element;
use super::{Open, Part};
use crate::input_file::Skipped;

/// A JSON pointer (RFC 6901): the names on the way to a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Pointer {
    /// As the author wrote it.
    pub(super) text: String,
    names: Vec<String>,
}

impl Pointer {
    pub(super) fn parse(text: &str) -> Result<Self, ItemError> {
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
        Ok(Self { text: text.to_owned(), names })
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

impl Open {
    /// A step on the way: up to the next part of the array itself, or nearer to the end behind it.
    #[cold]
    pub(super) fn go_on(&mut self) -> Result<(), ItemError> {
        let Some(byte) = self.next_mark()? else {
            self.input.check_size()?;
            return Err(self.ends_early());
        };
        match self.part {
            Part::Start => self.enter(byte),
            Part::Member | Part::NextMember => self.member(byte),
            Part::Colon { wanted } if byte == b':' => {
                self.part = if wanted { Part::Start } else { Part::Passed };
                self.input.advance(1);
                Ok(())
            }
            Part::Colon { .. } => Err(self.broken("a ':' must stand behind a name")),
            Part::Passed => self.pass(byte),
            _ => self.behind(byte),
        }
    }

    /// Into the next value of the way.
    fn enter(&mut self, byte: u8) -> Result<(), ItemError> {
        let level = match byte {
            b'[' if self.within.len() == self.pointer.names.len() => {
                self.part = Part::First;
                self.input.advance(1);
                return Ok(());
            }
            _ if self.within.len() >= self.pointer.names.len() => {
                let problem = match self.pointer.names.len() {
                    0 => "an array must begin with '['".to_owned(),
                    _ => format!("'{}' is no array", self.pointer.text),
                };
                return Err(self.broken(problem));
            }
            b'{' => Level::Object,
            b'[' => Level::Array(0),
            _ => return Err(self.not_there()),
        };
        self.within.push(level);
        self.part = Part::Member;
        self.input.advance(1);
        Ok(())
    }

    /// A member of the object, or element of the array, in hand.
    fn member(&mut self, byte: u8) -> Result<(), ItemError> {
        let (depth, done) = (self.within.len(), self.done);
        let wanted = |open: &Self, name: &str| open.pointer.names.get(depth - 1).is_some_and(|wanted| wanted == name);
        match self.within.last_mut() {
            Some(Level::Object) if byte == b'"' => {
                let (name, length) = self.name()?;
                let wanted = wanted(self, &name);
                if wanted && done {
                    return Err(
                        self.broken(format!("the name '{name}' stands twice on the way to '{}'", self.pointer.text))
                    );
                }
                self.part = Part::Colon { wanted };
                self.input.advance(length);
                Ok(())
            }
            Some(Level::Array(index)) if byte != b']' => {
                let name = index.to_string();
                *index += 1;
                self.part = if wanted(self, &name) && !done { Part::Start } else { Part::Passed };
                Ok(())
            }
            Some(_) if self.part == Part::Member => self.behind(byte),
            _ => Err(self.broken("a member is missing")),
        }
    }

    /// The name of the member that comes next, and how long it is in the text.
    fn name(&mut self) -> Result<(String, usize), ItemError> {
        let mut element = Element::default();
        let mut seen = 0;
        loop {
            let (length, at_end) = element.scan(&self.input.unread()[seen..]);
            seen += length;
            if seen > self.input.max_record_bytes() {
                return Err(self.broken(format!("a name is longer than {} bytes", self.input.max_record_bytes())));
            }
            if at_end {
                break;
            }
            if !self.input.fill()? {
                self.input.check_size()?;
                return Err(self.broken("the file ends within a name"));
            }
        }
        let name = serde_json::from_slice(&self.input.unread()[..seen]);
        Ok((name.map_err(|error| self.broken(format!("a name is no text: {error}")))?, seen))
    }

    /// Past a value that is not on the way.
    fn pass(&mut self, byte: u8) -> Result<(), ItemError> {
        if matches!(byte, b',' | b':' | b']' | b'}') {
            return Err(self.broken("a value is missing"));
        }
        let mut element = Element::default();
        let whole = self.input.skip(|bytes| {
            let (length, at_end) = element.scan(bytes);
            Skipped { length, at_end }
        })?;
        if !whole {
            self.input.check_size()?;
            return Err(self.ends_early());
        }
        self.part = Part::Behind;
        Ok(())
    }

    /// To the next member, or out of the object or array in hand.
    fn behind(&mut self, byte: u8) -> Result<(), ItemError> {
        let end = match self.within.last() {
            Some(Level::Object) => b'}',
            _ => b']',
        };
        if byte == b',' && self.part == Part::Behind {
            self.part = Part::NextMember;
        } else if byte == end {
            if !self.done {
                return Err(self.not_there());
            }
            self.within.pop();
            self.part = if self.within.is_empty() { Part::End } else { Part::Behind };
        } else {
            return Err(self.broken(format!("a ',' or '{}' must stand behind a member", char::from(end))));
        }
        self.input.advance(1);
        Ok(())
    }

    #[cold]
    fn ends_early(&self) -> ItemError {
        self.broken(match self.pointer.names.is_empty() {
            true => "the file ends within the array",
            false => "the file ends within the document around the array",
        })
    }

    #[cold]
    fn not_there(&self) -> ItemError {
        self.broken(format!("there is no '{}' in the document", self.pointer.text))
    }
}
