//! How delimited text is written: its special characters, and by them the end of a record.

use std::io::{self, BufRead, BufReader, Read};

use super::BUFFER_BYTES;

/// The special characters of a delimited file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
}

/// The first record of a text, blank lines and comments before it included.
pub(super) struct RecordLength {
    pub(super) bytes: u64,
    /// Ends of lines.
    pub(super) lines: u64,
    pub(super) ends_within: Within,
}

/// Within what a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// No record has begun: there are blank lines and comments alone.
    Nothing,
    /// A record, with its end or without.
    Record,
    Quotes,
}

/// Two special characters are one.
#[derive(Debug, thiserror::Error)]
#[error("the {first} and the {second} of input are the same character, {character:?}")]
pub(super) struct SameCharacter {
    first: &'static str,
    second: &'static str,
    character: char,
}

impl Dialect {
    /// The characters must be distinguished.
    pub(super) fn check(self) -> Result<(), SameCharacter> {
        let characters = [
            ("delimiter", Some(self.delimiter)),
            ("quote", self.quote),
            ("escape", self.escape),
            ("comment", self.comment),
            ("end of a line", Some(b'\n')),
            ("end of a line", Some(b'\r')),
        ];
        for (index, (second, byte)) in characters.iter().enumerate() {
            let Some(byte) = byte else { continue };
            if let Some((first, _)) = characters[..index].iter().find(|(_, other)| *other == Some(*byte)) {
                return Err(SameCharacter { first, second, character: char::from(*byte) });
            }
        }
        Ok(())
    }

    /// A parser of it. A quote within quotes is doubled, or stands behind the escape where there is one.
    pub(super) fn parser(self) -> csv::ReaderBuilder {
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(self.delimiter).escape(self.escape).comment(self.comment);
        match self.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        builder
    }

    /// Bytes before the first record: blank lines and comments.
    pub(super) fn blank(self, text: &[u8]) -> usize {
        let mut at = 0;
        loop {
            match text.get(at) {
                Some(b'\n' | b'\r') => at += 1,
                Some(byte) if self.comment == Some(*byte) => {
                    at += text[at..].iter().position(|byte| *byte == b'\n').unwrap_or(text.len() - at);
                }
                _ => return at,
            }
        }
    }

    /// The first record of a text, found without keeping it.
    pub(super) fn length_of_record(self, text: impl Read) -> io::Result<RecordLength> {
        enum State {
            RecordStart,
            Comment,
            FieldStart,
            Field,
            Quoted,
            /// Behind an escape within quotes.
            Escaped,
            /// Behind a quote within quotes: the field's end or one half of a doubled quote.
            Quote,
        }
        let mut text = BufReader::with_capacity(BUFFER_BYTES, text);
        let (mut bytes, mut lines) = (0, 0);
        let mut state = State::RecordStart;
        loop {
            let buffer = text.fill_buf()?;
            if buffer.is_empty() {
                let ends_within = match state {
                    State::RecordStart | State::Comment => Within::Nothing,
                    State::Quoted | State::Escaped => Within::Quotes,
                    _ => Within::Record,
                };
                return Ok(RecordLength { bytes, lines, ends_within });
            }
            for byte in buffer {
                bytes += 1;
                lines += u64::from(*byte == b'\n');
                let is_end = matches!(byte, b'\n' | b'\r');
                let is_quote = self.quote == Some(*byte);
                state = match state {
                    State::RecordStart if is_end => State::RecordStart,
                    State::RecordStart if self.comment == Some(*byte) => State::Comment,
                    State::Comment if *byte == b'\n' => State::RecordStart,
                    State::Comment => State::Comment,
                    State::RecordStart | State::FieldStart if is_quote => State::Quoted,
                    State::Quoted if is_quote => State::Quote,
                    State::Quoted if self.escape == Some(*byte) => State::Escaped,
                    State::Quote if is_quote => State::Quoted,
                    State::Quoted | State::Escaped => State::Quoted,
                    _ if is_end => return Ok(RecordLength { bytes, lines, ends_within: Within::Record }),
                    _ if *byte == self.delimiter => State::FieldStart,
                    _ => State::Field,
                };
            }
            let used = buffer.len();
            text.consume(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Dialect = Dialect { delimiter: b',', quote: Some(b'"'), escape: None, comment: None };

    #[test]
    fn a_record_ends_where_its_quotes_allow_it() {
        for (text, length) in [
            ("a,b\nc", 4),
            ("\n\r\na,b\rc", 7),
            ("\"a\nb\",c\nd", 8),
            ("\"a\"\"\nb\",c\nd", 10),
            ("a\"b\nc", 4),
            ("\"a\"b\nc", 5),
            ("a,\"\n\nb", 6),
            ("", 0),
        ] {
            assert_eq!(PLAIN.length_of_record(text.as_bytes()).unwrap().bytes, length, "{text:?}");
        }
    }

    #[test]
    fn a_record_ends_as_the_parser_has_it_in_any_dialect() {
        let pieces = ["a", ",", "\n", "'", "\\", "#", "\r\n"];
        for quote in [None, Some(b'\'')] {
            for escape in [None, Some(b'\\')] {
                let dialect = Dialect { delimiter: b',', quote, escape, comment: Some(b'#') };
                // All texts of four pieces.
                for number in 0..pieces.len().pow(4) {
                    let text: String =
                        (0..4).map(|place| pieces[number / pieces.len().pow(place) % pieces.len()]).collect();
                    let text = text + "\nend";
                    let mut parser = dialect.parser();
                    let mut parser = parser.has_headers(false).flexible(true).from_reader(text.as_bytes());
                    parser.read_byte_record(&mut csv::ByteRecord::new()).unwrap();
                    let expected = parser.position().byte();
                    let found = dialect.length_of_record(text.as_bytes()).unwrap().bytes;
                    assert_eq!(found, expected, "{text:?} {dialect:?}");
                }
            }
        }
    }

    #[test]
    fn characters_that_cannot_be_told_apart_are_named() {
        let fault = Dialect { quote: Some(b','), ..PLAIN }.check().unwrap_err().to_string();
        assert_eq!(fault, "the delimiter and the quote of input are the same character, ','");
        assert!(Dialect { comment: Some(b'\n'), ..PLAIN }.check().is_err());
        assert!(PLAIN.check().is_ok());
    }
}
