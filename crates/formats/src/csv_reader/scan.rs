//! The end of a record, found by its quotes, through as many pieces of text as it takes.

use memchr::{memchr2, memchr3};

use super::dialect::Dialect;

/// A record whose end is being searched for.
pub(super) struct Scan<'a> {
    dialect: &'a Dialect,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    /// Within a field without quotes.
    Field,
    Quoted,
    /// Behind an escape within quotes.
    Escaped,
    /// Behind a quote within quotes: the end of the field or one half of a doubled quote.
    Quote,
    /// Behind the blanks behind a closing quote.
    Behind,
    /// Within the line of a record that is broken, whose quotes mean nothing.
    Broken,
}

/// The result of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The record ends with the last byte, which is an end of a line.
    Record,
    /// Text stands behind a closing quote, which is not allowed.
    Broken,
}

impl<'a> Scan<'a> {
    /// The scan of a record that begins with the next byte.
    pub(super) fn new(dialect: &'a Dialect) -> Self {
        Self { dialect, state: State::FieldStart }
    }

    pub(super) fn is_within_quotes(&self) -> bool {
        matches!(self.state, State::Quoted | State::Escaped)
    }

    /// Takes the next end of a line for that of the record.
    pub(super) fn end_with_line(&mut self) {
        self.state = State::Broken;
    }

    /// The number of the next bytes that belong to the record, and what stands there. Bytes that may be the beginning
    /// of a delimiter must be given again, with more behind them, unless the text ends with them.
    pub(super) fn scan(&mut self, text: &[u8], at_end: bool) -> (usize, Option<End>) {
        let delimiter = &self.dialect.delimiter;
        let mut at = 0;
        while at < text.len() {
            // To the next byte that matters.
            let found = match (self.state, self.dialect.quote) {
                (State::Quoted, Some(quote)) => self.dialect.find_within_quotes(quote, &text[at..]),
                (State::Field, _) => memchr3(delimiter.first(), b'\n', b'\r', &text[at..]),
                (State::Broken, _) => memchr2(b'\n', b'\r', &text[at..]),
                _ => Some(0),
            };
            let Some(found) = found else { return (text.len(), None) };
            at += found;
            let byte = text[at];
            let length = match self.state {
                State::Quoted => {
                    self.state = if self.dialect.quote == Some(byte) { State::Quote } else { State::Escaped };
                    1
                }
                State::Escaped => {
                    self.state = State::Quoted;
                    1
                }
                _ if matches!(byte, b'\n' | b'\r') => return (at + 1, Some(End::Record)),
                _ => match delimiter.starts(&text[at..]) {
                    Some(true) => {
                        self.state = State::FieldStart;
                        delimiter.len()
                    }
                    None if !at_end => return (at, None),
                    _ => match self.behind(byte) {
                        Some(state) => {
                            self.state = state;
                            1
                        }
                        None => return (at, Some(End::Broken)),
                    },
                },
            };
            at += length;
        }
        (at, None)
    }

    /// The state behind a byte that is no special one of its own; none when it must not stand there.
    fn behind(&self, byte: u8) -> Option<State> {
        let is_quote = self.dialect.quote == Some(byte);
        match self.state {
            State::FieldStart | State::Quote if is_quote => Some(State::Quoted),
            State::FieldStart if self.dialect.is_trimmed(byte) => Some(State::FieldStart),
            State::Quote | State::Behind if self.dialect.is_trimmed(byte) => Some(State::Behind),
            State::Quote | State::Behind if !self.dialect.lenient => None,
            _ => Some(State::Field),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::dialect::tests::plain;
    use super::*;

    /// Scans a text in two pieces.
    fn scan(dialect: &Dialect, text: &str, cut: usize) -> (usize, Option<End>) {
        let (text, mut scan) = (text.as_bytes(), Scan::new(dialect));
        let (known, end) = scan.scan(&text[..cut], false);
        if end.is_some() {
            return (known, end);
        }
        let (more, end) = scan.scan(&text[known..], true);
        (known + more, end)
    }

    /// True if a text ends within quotes.
    pub(in crate::csv_reader) fn ends_within_quotes(dialect: &Dialect, text: &str) -> bool {
        let mut scan = Scan::new(dialect);
        scan.scan(text.as_bytes(), true);
        scan.is_within_quotes()
    }

    #[test]
    fn a_record_ends_where_its_quotes_allow_it_however_the_text_is_cut() {
        let lenient = Dialect { lenient: true, ..plain() };
        let trimmed = Dialect { trimmed: true, delimiter: "||".into(), ..plain() };
        for (dialect, text, length, end) in [
            (plain(), "a,b\nc", 4, Some(End::Record)),
            (plain(), "\"a\nb\",c\nd", 8, Some(End::Record)),
            (plain(), "\"a\"\"\nb\",c\nd", 10, Some(End::Record)),
            (plain(), "a\"b\nc", 4, Some(End::Record)),
            (plain(), "\"a\"b\nc", 3, Some(End::Broken)),
            (plain(), "\"a\nb\" ,c\n", 5, Some(End::Broken)),
            (lenient.clone(), "\"a\"b\nc", 5, Some(End::Record)),
            (lenient, "\"a\"b\"\n\"c\n", 6, Some(End::Record)),
            (plain(), "a,\"\n\nb", 6, None),
            (trimmed.clone(), " \"a\nb\" || \"c\n\" \nd", 16, Some(End::Record)),
            (trimmed, "a|||b\n", 6, Some(End::Record)),
        ] {
            for cut in 0..text.len() {
                assert_eq!(scan(&dialect, text, cut), (length, end), "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_lenient_record_ends_as_the_crate_csv_has_it() {
        let pieces = ["a", ",", "\n", "'", "\\", "\r\n"];
        for (quote, escape) in [(None, None), (Some(b'\''), None), (Some(b'\''), Some(b'\\'))] {
            let dialect = Dialect { quote, escape, lenient: true, ..plain() };
            // All texts of five pieces behind a letter.
            for number in 0..pieces.len().pow(5) {
                let text: String = (0..5).map(|at| pieces[number / pieces.len().pow(at) % pieces.len()]).collect();
                let text = format!("b{text}\nend");
                let mut parser = csv::ReaderBuilder::new();
                parser.quote(quote.unwrap_or(b'"')).quoting(quote.is_some()).escape(escape);
                let mut parser = parser.has_headers(false).flexible(true).from_reader(text.as_bytes());
                parser.read_byte_record(&mut csv::ByteRecord::new()).unwrap();
                let expected = usize::try_from(parser.position().byte()).unwrap();
                assert_eq!(scan(&dialect, &text, 0).0, expected, "{text:?} {dialect:?}");
            }
        }
    }
}
