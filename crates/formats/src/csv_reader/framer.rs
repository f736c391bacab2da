//! `CsvFramer`: finds the records of delimited text, whose quotes may hold the ends of lines.

use std::ops::Range;

use memchr::{memchr2, memchr3};
use serde::{Deserialize, Serialize};

use super::dialect::Dialect;
use super::error::CsvError;
use super::scan::{End, Scan};
use crate::record_fields::Fields;
use crate::{FilePosition, Framer, TextInput};
use oxbatch_core::item::ItemError;

/// The hint in the error of a record that is too long.
const HINT: &str = "; is a quote never closed?";

/// Finds the records of delimited text.
#[derive(Debug, Clone)]
pub struct CsvFramer {
    pub(super) dialect: Dialect,
    /// Fields of a record; 0 as long as none was read of a file without a header.
    pub(super) width: usize,
    /// Records before the position.
    records: u64,
    /// The fields of the record in hand, as far as they are known.
    pub(super) fields: Fields,
    /// The fields were found with the record.
    pub(super) has_fields: bool,
    /// Records can be read the quick way.
    is_quick: bool,
}

/// The position in a delimited file, as it is stored with each commit.
#[derive(Debug, Serialize, Deserialize)]
pub struct CsvPosition {
    #[serde(flatten)]
    file: FilePosition,
    record: u64,
    width: usize,
}

impl CsvFramer {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, width: 0, records: 0, fields: Fields::default(), has_fields: false, is_quick: false }
    }

    /// Passes over blank lines and comments; `false` at the end of the text.
    #[inline(always)]
    fn go_to_record(&self, input: &mut TextInput) -> Result<bool, ItemError> {
        loop {
            match input.unread().first() {
                None => {
                    if !input.fill()? {
                        return Ok(false);
                    }
                }
                Some(b'\n' | b'\r') => {
                    input.advance_line(0, 1);
                }
                Some(byte) if self.dialect.comment == Some(*byte) => {
                    input.skip_line()?;
                }
                Some(_) => return Ok(true),
            }
        }
    }

    /// The next record, when it is a line without quotes.
    #[inline(always)]
    fn take_line(&mut self, input: &mut TextInput) -> Option<Range<usize>> {
        let unread = input.unread();
        let found = match self.dialect.quote {
            Some(quote) => memchr3(b'\n', b'\r', quote, unread),
            None => memchr2(b'\n', b'\r', unread),
        };
        let end = found.filter(|end| self.dialect.quote != Some(unread[*end]) && *end < input.max_record_bytes())?;
        let length = end + if unread[end..].starts_with(b"\r\n") { 2 } else { 1 };
        self.records += 1;
        Some(input.advance_line(end, length))
    }

    /// The next record, which holds quotes, ends behind the window or at the end of the text, or is too long.
    #[inline(never)]
    fn scan(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        let limit = input.max_record_bytes();
        let mut scan = Scan::new(&self.dialect);
        let (mut seen, mut at_end) = (0, false);
        let (text, length) = loop {
            let unread = input.unread();
            let (length, end) = scan.scan(&unread[seen..], at_end);
            seen += length;
            if end.is_some() && seen > limit {
                return self.skip_long(input);
            }
            match end {
                Some(End::Record) => break (seen - 1, seen),
                // What follows may be records of their own: the error is of the first line alone.
                Some(End::Broken) => match memchr2(b'\n', b'\r', &unread[..seen]) {
                    Some(line) => break (line, line + 1),
                    None => scan.end_with_line(),
                },
                None if seen > limit => return self.skip_long(input),
                None if at_end => {
                    if scan.is_within_quotes() {
                        return Err(self.cut(input));
                    }
                    break (unread.len(), unread.len());
                }
                None => at_end = !input.fill()?,
            }
        };
        self.records += 1;
        let record = input.advance(length);
        Ok(Some(record.start..record.start + text))
    }

    /// The error of the last record, which the file ends within.
    #[cold]
    fn cut(&mut self, input: &mut TextInput) -> ItemError {
        self.records += 1;
        let record = input.advance(input.unread().len());
        input.record_error(
            &record,
            &Self::shown_position(input.line_of(&record), self.records).to_string(),
            CsvError::Cut,
        )
    }

    /// Skips a record that is longer than allowed, keeping no more of it than its beginning.
    #[cold]
    fn skip_long(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        let error = input.too_long_error_with(&Self::shown_position(input.line(), self.records), HINT);
        let mut scan = Scan::new(&self.dialect);
        let whole = input.skip(|bytes| {
            let mut length = 0;
            loop {
                let (more, end) = scan.scan(&bytes[length..], false);
                length += more;
                match end {
                    Some(End::Broken) => scan.end_with_line(),
                    end => return (length, end.is_some()),
                }
            }
        })?;
        if !whole {
            input.advance(input.unread().len());
        }
        self.records += 1;
        Err(error)
    }
}

impl Framer for CsvFramer {
    type Position = CsvPosition;

    fn check(&mut self) -> Result<(), ItemError> {
        (self.width, self.records, self.is_quick) = (0, 0, self.dialect.is_quick());
        Ok(self.dialect.check()?)
    }

    #[inline(always)]
    fn next(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        if !self.go_to_record(input)? {
            input.check_end()?;
            return Ok(None);
        }
        let unread = input.unread();
        // Most records are lines whose quotes, if any, stand around whole fields.
        if self.is_quick
            && let Some(end) = self.dialect.take_record(unread, &mut self.fields)
            && end < input.max_record_bytes()
        {
            let length = end + if unread[end..].starts_with(b"\r\n") { 2 } else { 1 };
            self.records += 1;
            self.has_fields = true;
            if !self.fields.has_quotes() {
                return Ok(Some(input.advance_line(end, length)));
            }
            let record = input.advance(length);
            return Ok(Some(record.start..record.start + end));
        }
        self.has_fields = false;
        match self.take_line(input) {
            Some(record) => Ok(Some(record)),
            None => self.scan(input),
        }
    }

    fn pass(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        if !self.go_to_record(input)? {
            input.check_end()?;
            return Ok(None);
        }
        self.has_fields = false;
        if let Some(record) = self.take_line(input) {
            return Ok(Some(record));
        }
        self.next(input)
    }

    fn position(&self, file: FilePosition) -> CsvPosition {
        CsvPosition { file, record: self.records, width: self.width }
    }

    fn resume(&mut self, position: CsvPosition) -> Result<FilePosition, ItemError> {
        (self.records, self.width) = (position.record, position.width);
        Ok(position.file)
    }

    fn records(&self) -> u64 {
        // Each field takes a byte, too: a checkpoint must not claim more of them than there can be.
        self.records.max(self.width as u64)
    }
}
