//! The dialect of a delimited file: its special characters, and how strictly they are read.

use memchr::{memchr, memchr2};

/// The text between two fields: a character, or several.
///
/// ```
/// use oxbatch::item::CsvReader;
///
/// let tabs = CsvReader::<(String, u32)>::new("data/strikes.tsv").delimiter(b'\t');
/// let bars = CsvReader::<(String, u32)>::new("data/strikes.txt").delimiter("||");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiter(Vec<u8>);

impl From<u8> for Delimiter {
    fn from(character: u8) -> Self {
        Self(vec![character])
    }
}

impl From<char> for Delimiter {
    fn from(character: char) -> Self {
        Self(character.to_string().into_bytes())
    }
}

impl From<&str> for Delimiter {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Delimiter {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl Delimiter {
    /// Its first byte; that of a delimiter that has been checked.
    #[inline(always)]
    pub(super) fn first(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// `Some(true)` if a text begins with it; `None` when the text is too short to know.
    #[inline]
    pub(super) fn starts(&self, text: &[u8]) -> Option<bool> {
        match text.get(..self.0.len()) {
            Some(text) => Some(text == self.0),
            None if self.0.starts_with(text) => None,
            None => Some(false),
        }
    }

    /// The offset of the first delimiter of a text.
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        if self.0.len() == 1 {
            return memchr(self.first(), text);
        }
        memchr::memmem::find(text, &self.0)
    }
}

/// The special characters of a delimited file, and how they are read.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    pub(super) delimiter: Delimiter,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
    /// Blanks around fields, and around the quotes of those that have some, are no part of them.
    pub(super) trimmed: bool,
    /// Text behind a closing quote and quotes within fields are taken as they are.
    pub(super) lenient: bool,
}

/// The reason for which a dialect cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialectError {
    #[error("the {first} and the {second} of input are the same character, {character:?}")]
    SameCharacter { first: &'static str, second: &'static str, character: char },

    #[error("the delimiter of input is empty")]
    NoDelimiter,

    #[error("the {name} of input is the byte {byte:#04x}, which is no character of its own in UTF-8")]
    NotAscii { name: &'static str, byte: u8 },
}

impl Dialect {
    /// Checks that the characters can be distinguished.
    pub(super) fn check(&self) -> Result<(), DialectError> {
        if self.delimiter.0.is_empty() {
            return Err(DialectError::NoDelimiter);
        }
        // The bytes of a longer one are those of a text.
        if self.delimiter.len() == 1 && !self.delimiter.first().is_ascii() {
            return Err(DialectError::NotAscii { name: "delimiter", byte: self.delimiter.first() });
        }
        let others = [
            ("quote", self.quote),
            ("escape", self.escape),
            ("comment", self.comment),
            ("end of a line", Some(b'\n')),
            ("end of a line", Some(b'\r')),
        ];
        for (index, (second, byte)) in others.iter().enumerate() {
            let Some(byte) = *byte else { continue };
            if !byte.is_ascii() {
                return Err(DialectError::NotAscii { name: second, byte });
            }
            let earlier = others[..index].iter().find(|(_, other)| *other == Some(byte)).map(|(first, _)| *first);
            let first = if self.delimiter.0.contains(&byte) { Some("delimiter") } else { earlier };
            if let Some(first) = first {
                return Err(DialectError::SameCharacter { first, second, character: char::from(byte) });
            }
        }
        Ok(())
    }

    /// True if a byte is a blank that is no part of a field.
    #[inline]
    pub(super) fn is_trimmed(&self, byte: u8) -> bool {
        self.trimmed && matches!(byte, b' ' | b'\t') && byte != self.delimiter.first()
    }

    /// The range within a text without the blanks around it.
    #[inline]
    pub(super) fn trim(&self, text: &[u8], mut start: usize, mut end: usize) -> std::ops::Range<usize> {
        if self.trimmed {
            while start < end && self.is_trimmed(text[start]) {
                start += 1;
            }
            while start < end && self.is_trimmed(text[end - 1]) {
                end -= 1;
            }
        }
        start..end
    }

    /// The next quote or escape within quotes.
    #[inline]
    pub(super) fn find_within_quotes(&self, quote: u8, text: &[u8]) -> Option<usize> {
        match self.escape {
            Some(escape) => memchr2(quote, escape, text),
            None => memchr(quote, text),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::csv_reader) fn plain() -> Dialect {
        Dialect {
            delimiter: b','.into(),
            quote: Some(b'"'),
            escape: None,
            comment: None,
            trimmed: false,
            lenient: false,
        }
    }

    #[test]
    fn characters_that_cannot_be_distinguished_are_named() {
        let check = |dialect: Dialect| dialect.check().map_err(|error| error.to_string());
        let same = "the delimiter and the quote of input are the same character, ','".to_owned();
        assert_eq!(check(Dialect { quote: Some(b','), ..plain() }), Err(same));
        assert!(check(Dialect { comment: Some(b'\n'), ..plain() }).is_err());
        assert!(check(Dialect { delimiter: "|\r".into(), ..plain() }).is_err());
        assert!(check(Dialect { delimiter: "".into(), ..plain() }).is_err());
        assert!(check(Dialect { delimiter: 0xa7.into(), ..plain() }).unwrap_err().contains("the byte 0xa7"));
        assert!(check(Dialect { delimiter: "§".into(), ..plain() }).is_ok());
        assert!(check(plain()).is_ok());
    }
}
