//! The fields of a record: its text, cut at the delimiters, without the quotes.

use memchr::memchr;

use super::dialect::Dialect;
use super::error::CsvError;
use crate::record_fields::Fields;

impl Dialect {
    /// Cuts a record into its fields. After an error, the fields before the one that is in error are there.
    #[inline]
    pub(super) fn split(&self, text: &str, fields: &mut Fields) -> Result<(), CsvError> {
        fields.clear();
        let bytes = text.as_bytes();
        match self.quote {
            Some(quote) if memchr(quote, bytes).is_some() => self.split_quoted(quote, text, fields),
            _ => {
                self.split_plain(bytes, fields);
                Ok(())
            }
        }
    }

    #[inline]
    fn split_plain(&self, bytes: &[u8], fields: &mut Fields) {
        let mut start = 0;
        if self.delimiter.len() == 1 {
            for end in memchr::memchr_iter(self.delimiter.first(), bytes) {
                fields.push(self.trim(bytes, start, end));
                start = end + 1;
            }
        } else {
            while let Some(found) = self.delimiter.find(&bytes[start..]) {
                fields.push(self.trim(bytes, start, start + found));
                start += found + self.delimiter.len();
            }
        }
        fields.push(self.trim(bytes, start, bytes.len()));
    }

    fn split_quoted(&self, quote: u8, text: &str, fields: &mut Fields) -> Result<(), CsvError> {
        let bytes = text.as_bytes();
        let mut at = 0;
        loop {
            let first = at + bytes[at..].iter().take_while(|byte| self.is_trimmed(**byte)).count();
            let end = if bytes.get(first) == Some(&quote) {
                self.quoted_field(quote, text, first + 1, fields)?
            } else {
                let end = self.field_end(bytes, at);
                if !self.lenient && memchr(quote, &bytes[at..end]).is_some() {
                    return Err(CsvError::QuoteWithin);
                }
                fields.push(self.trim(bytes, at, end));
                end
            };
            if end == bytes.len() {
                return Ok(());
            }
            at = end + self.delimiter.len();
        }
    }

    /// The offset of the next delimiter, or of the end of the record.
    fn field_end(&self, bytes: &[u8], at: usize) -> usize {
        self.delimiter.find(&bytes[at..]).map_or(bytes.len(), |found| at + found)
    }

    /// Takes a field in quotes, whose text begins at `start`. Returns where it ends, at a delimiter or the end of the
    /// record.
    fn quoted_field(&self, quote: u8, text: &str, start: usize, fields: &mut Fields) -> Result<usize, CsvError> {
        let bytes = text.as_bytes();
        // The text up to `kept` is in the buffer of the fields, where some of it must be left out.
        let (buffer_start, mut kept, mut at) = (fields.unescaped().len(), start, start);
        loop {
            // Such a record is the first line of one that is broken behind it.
            let found = self.find_within_quotes(quote, &bytes[at..]).ok_or(CsvError::TextBehindQuote)?;
            at += found;
            if bytes[at] != quote {
                // An escape goes, what it escapes stays.
                fields.unescaped().push_str(&text[kept..at]);
                kept = at + 1;
                at = kept + text[kept..].chars().next().map_or(0, char::len_utf8);
            } else if bytes.get(at + 1) == Some(&quote) {
                fields.unescaped().push_str(&text[kept..=at]);
                at += 2;
                kept = at;
            } else {
                break;
            }
        }
        let (close, end) = (at, at + 1 + bytes[at + 1..].iter().take_while(|byte| self.is_trimmed(**byte)).count());
        if end == bytes.len() || self.delimiter.starts(&bytes[end..]) == Some(true) {
            if kept == start {
                fields.push_quoted(start..close);
            } else {
                fields.unescaped().push_str(&text[kept..close]);
                fields.push_unescaped(buffer_start);
            }
            return Ok(end);
        }
        if !self.lenient {
            return Err(CsvError::TextBehindQuote);
        }
        let end = self.field_end(bytes, close + 1);
        let behind = self.trim(bytes, close + 1, end);
        fields.unescaped().push_str(&text[kept..close]);
        // Only blanks at the end are no part of it.
        fields.unescaped().push_str(&text[close + 1..behind.end.max(close + 1)]);
        fields.push_unescaped(buffer_start);
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::tests::plain;
    use super::*;
    use crate::record_fields::{Nulls, Record};

    fn split(dialect: &Dialect, text: &str) -> Result<Vec<String>, String> {
        let (mut fields, nulls) = (Fields::default(), Nulls::default());
        dialect.split(text, &mut fields).map_err(|error| error.to_string())?;
        let record = Record::new(text, &fields, &nulls);
        Ok((0..fields.len()).map(|index| record.get(index).unwrap().to_owned()).collect())
    }

    #[test]
    fn fields_are_cut_at_delimiters_of_any_length_and_trimmed_where_that_is_asked_for() {
        let bars = Dialect { delimiter: "||".into(), ..plain() };
        let trimmed = Dialect { trimmed: true, ..plain() };
        let tabs = Dialect { trimmed: true, delimiter: b'\t'.into(), ..plain() };
        for (dialect, text, fields) in [
            (&plain(), "a,, b ,", vec!["a", "", " b ", ""]),
            (&plain(), "\"a,\",\"\"\"\",\"\",\"b\"\"c\"", vec!["a,", "\"", "", "b\"c"]),
            (&bars, "a|b||||\"c||\"\"\"||d|", vec!["a|b", "", "c||\"", "d|"]),
            (&bars, "a|||b", vec!["a", "|b"]),
            (&trimmed, " a ,\t\" b \" , c d", vec!["a", " b ", "c d"]),
            (&tabs, "a \t\t \" b\"", vec!["a", "", " b"]),
        ] {
            assert_eq!(split(dialect, text).unwrap(), fields, "{text}");
        }
    }

    #[test]
    fn stray_quotes_are_refused_unless_they_are_taken_as_they_are() {
        let lenient = Dialect { lenient: true, ..plain() };
        for (text, problem, fields) in [
            ("\"a\"b,c", "text stands behind the closing quote", ["ab", "c"]),
            ("\"a\" ,c", "text stands behind the closing quote", ["a ", "c"]),
            ("a\"b,\"c\"", "a quote stands within a field", ["a\"b", "c"]),
            ("\"a\"\"\"b\",c", "text stands behind the closing quote", ["a\"b\"", "c"]),
            (" \"a\",c", "a quote stands within a field", [" \"a\"", "c"]),
        ] {
            assert!(split(&plain(), text).unwrap_err().starts_with(problem), "{text}");
            assert_eq!(split(&lenient, text).unwrap(), fields, "{text}");
        }
        assert!(split(&plain(), "\"a,b").is_err());
    }

    #[test]
    fn a_lenient_record_has_the_fields_that_the_crate_csv_finds() {
        let pieces = ["a", ",", "é", "'", "\\", "\n"];
        for escape in [None, Some(b'\\')] {
            let dialect = Dialect { quote: Some(b'\''), escape, lenient: true, ..plain() };
            for number in 0..pieces.len().pow(5) {
                let text: String = (0..5).map(|at| pieces[number / pieces.len().pow(at) % pieces.len()]).collect();
                let text = format!("'{text}',b");
                let mut parser = csv::ReaderBuilder::new();
                let mut parser =
                    parser.quote(b'\'').escape(escape).has_headers(false).flexible(true).from_reader(text.as_bytes());
                let mut expected = csv::StringRecord::new();
                parser.read_record(&mut expected).unwrap();
                // What is one record, and whole.
                let is_whole = usize::try_from(parser.position().byte()).unwrap() == text.len();
                let quotes = super::super::scan::tests::ends_within_quotes(&dialect, &text);
                if is_whole && !quotes {
                    assert_eq!(split(&dialect, &text).unwrap(), expected.iter().collect::<Vec<_>>(), "{text:?}");
                }
            }
        }
    }
}
