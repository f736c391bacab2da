//! The open file of a `CsvReader`: its records one by one, and what is said of one that cannot be read.

use std::io::{self, SeekFrom};

use csv::StringRecord;
use serde::de::DeserializeOwned;

use super::CsvPosition;
use super::dialect::Within;
use super::error::{CsvError, shown};
use super::source::{Bounded, Original, TooLong};
use crate::input_error::InputError;
use crate::record_fields::{FieldError, FieldTypes};
use oxbatch_core::item::ItemError;

/// An open file.
pub(super) struct Open {
    pub(super) csv: csv::Reader<Bounded>,
    pub(super) headers: Option<StringRecord>,
    /// The header names just the item's fields in their order: what is reported by position need not be found by name.
    pub(super) by_position: bool,
    pub(super) width: usize,
    /// What is known of the fields that a type leaves open.
    types: FieldTypes,
    /// Used again for all records.
    pub(super) record: StringRecord,
    max_record_bytes: u64,
    /// The same file by a handle of its own, for what is not in the buffer any more.
    pub(super) original: Original,
    /// The offset to which it went back by one byte, and the line of where it was to go, see `seek`.
    stepped_back: Option<(u64, u64)>,
    at_end: bool,
    /// Where to go on, when it could not be gone to after an error: the parser would take that for the end.
    lost: Option<csv::Position>,
}

impl Open {
    pub(super) fn new(csv: csv::Reader<Bounded>, original: Original, max_record_bytes: u64) -> Self {
        Self {
            csv,
            headers: None,
            by_position: false,
            width: 0,
            types: FieldTypes::default(),
            record: StringRecord::new(),
            max_record_bytes,
            original,
            stepped_back: None,
            at_end: false,
            lost: None,
        }
    }

    pub(super) fn read_headers(&mut self) -> Result<(), ItemError> {
        match self.csv.headers() {
            Ok(headers) => {
                self.width = headers.len();
                self.headers = Some(headers.clone());
            }
            Err(error) => return Err(self.fault(error)),
        }
        let end = self.csv.position().byte();
        if end > self.max_record_bytes {
            return Err(self.too_long(csv::Position::new()));
        }
        if self.csv.get_ref().at_end && self.original.ends_within(0, end)? == Within::Quotes {
            return Err(self.record_error(None, CsvError::Cut));
        }
        Ok(())
    }

    /// Takes the next record; `false` at the end of the file.
    // Always: measured 2 % faster than when the compiler is left to decide.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> Result<bool, ItemError> {
        let start = self.csv.position().byte();
        // One more for the byte by which it may have gone back: the exact check comes after.
        self.csv.get_mut().limit = start + self.max_record_bytes + 1;
        match self.csv.read_record(&mut self.record) {
            Ok(true) if self.csv.position().byte() - start > self.max_record_bytes && self.is_too_long(start) => {
                let start = self.record.position().cloned().unwrap_or_else(csv::Position::new);
                Err(self.too_long(start))
            }
            Ok(true) if self.csv.get_ref().at_end => self.last(),
            Ok(true) => self.fits(),
            Ok(false) => self.end().map(|()| false),
            Err(error) => Err(self.fault(error)),
        }
    }

    /// A record that has no end of its own: the parser takes the end of the file for one, within quotes and comments too.
    #[cold]
    fn last(&mut self) -> Result<bool, ItemError> {
        let start = self.record.position().cloned().unwrap_or_else(csv::Position::new);
        match self.original.ends_within(start.byte(), self.csv.position().byte()) {
            Ok(Within::Quotes) => Err(self.record_error(None, CsvError::Cut)),
            Ok(Within::Record) => self.fits(),
            Ok(Within::Nothing) => self.end().map(|()| false),
            Err(fault) => Err(self.hold(start, fault)),
        }
    }

    /// Whether the record is as wide as the others.
    #[inline]
    fn fits(&mut self) -> Result<bool, ItemError> {
        if self.record.len() != self.width && self.width != 0 {
            let (expected, found) = (self.width, self.record.len());
            return Err(self.record_error(None, CsvError::FieldCount { expected, found }));
        }
        self.width = self.record.len();
        Ok(true)
    }

    /// The record as an item.
    #[inline(always)]
    pub(super) fn decode<T: DeserializeOwned>(&mut self) -> Result<T, ItemError> {
        if self.by_position
            && let Ok(item) = self.types.decode(&self.record, None)
        {
            return Ok(item);
        }
        self.decode_by_name()
    }

    /// As the header says. It has the last word: of a type that cannot be reported by position, and of every error.
    #[inline]
    fn decode_by_name<T: DeserializeOwned>(&mut self) -> Result<T, ItemError> {
        match self.types.decode(&self.record, self.headers.as_ref()) {
            Ok(item) => {
                self.by_position = false;
                Ok(item)
            }
            Err(error) => {
                let headers = self.headers.take();
                let fault = self.field_error(error, headers.as_ref());
                self.headers = headers;
                Err(fault)
            }
        }
    }

    /// The byte by which it went back does not count.
    #[cold]
    fn is_too_long(&self, start: u64) -> bool {
        let stepped_back = u64::from(self.stepped_back.is_some_and(|(byte, _)| byte == start));
        self.csv.position().byte() - start - stepped_back > self.max_record_bytes
    }

    /// The end must be where it was when the file was opened: what was cut off or is still being written is no input.
    #[cold]
    fn end(&mut self) -> Result<(), ItemError> {
        if let Some(position) = self.lost.clone() {
            self.seek(position)?;
            self.lost = None;
            return Err(ItemError::transient("reading was interrupted and can go on"));
        }
        if !self.at_end {
            self.original.check_size().map_err(InputError::into_item_error)?;
            self.at_end = true;
        }
        Ok(())
    }

    pub(super) fn place(&mut self) -> Result<CsvPosition, ItemError> {
        let (position, width) = (self.csv.position(), self.width);
        let record = position.record();
        let (byte, line) = match self.stepped_back {
            Some((byte, line)) if byte == position.byte() => (byte + 1, line),
            _ => (position.byte(), position.line()),
        };
        let original = &mut self.original;
        Ok(CsvPosition {
            byte,
            line,
            record,
            width,
            size: original.size(),
            head: original.head()?,
            tail: original.tail(byte)?,
        })
    }

    pub(super) fn resume(&mut self, place: &CsvPosition) -> Result<(), ItemError> {
        self.original.check(place)?;
        if self.headers.is_none() {
            self.width = place.width;
            // Else the parser would read the first record before it goes elsewhere.
            self.csv.set_byte_headers(csv::ByteRecord::new());
        }
        let mut position = csv::Position::new();
        position.set_byte(place.byte).set_line(place.line).set_record(place.record);
        Ok(self.seek(position)?)
    }

    /// Goes to the beginning of a record.
    fn seek(&mut self, mut position: csv::Position) -> Result<(), InputError> {
        // The parser takes a mark in the first field after a seek for the file's byte order mark. Seeing the end of the
        // record before, it does not.
        self.stepped_back = None;
        if let Some(end) = self.original.line_end_before_a_mark(position.byte())? {
            let (byte, line) = (position.byte() - 1, position.line());
            position.set_byte(byte).set_line(line - u64::from(end == b'\n'));
            self.stepped_back = Some((byte, line));
        }
        let start = SeekFrom::Start(position.byte());
        self.csv.get_mut().limit = self.max_record_bytes;
        self.csv.seek_raw(start, position).map_err(|error| self.original.unreadable(io::Error::from(error)))
    }

    #[cold]
    fn fault(&mut self, error: csv::Error) -> ItemError {
        let start = error.position().or(self.record.position()).cloned().unwrap_or_else(csv::Position::new);
        match error.into_kind() {
            csv::ErrorKind::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => {
                let start = self.record.position().cloned().unwrap_or_else(csv::Position::new);
                self.too_long(start)
            }
            csv::ErrorKind::Io(error) => {
                let fault = self.original.unreadable(error);
                self.hold(start, fault)
            }
            // Whether the end of the buffer told its length or its end did must not matter.
            csv::ErrorKind::Utf8 { .. } if self.is_too_long(start.byte()) => self.too_long(start),
            csv::ErrorKind::Utf8 { err, .. } => {
                let headers = self.headers.take();
                let fault = self.parse_error(&start, Some(err.field()), headers.as_ref(), CsvError::NotUtf8);
                self.headers = headers;
                fault
            }
            kind => self.parse_error(&start, None, None, CsvError::Other { problem: format!("{kind:?}") }),
        }
    }

    /// The error of a record that is not what its type says.
    #[cold]
    pub(super) fn field_error(&mut self, fault: FieldError, names: Option<&StringRecord>) -> ItemError {
        let FieldError { field, problem } = fault;
        let start = self.record.position().cloned().unwrap_or_else(csv::Position::new);
        let value = field.and_then(|field| self.record.get(field)).map(shown);
        let fault = match names.filter(|_| problem.starts_with("missing field")) {
            Some(names) => {
                let names: Vec<&str> = names.iter().collect();
                CsvError::Header { problem, header: shown(&names.join(",")) }
            }
            None => CsvError::Field { value, problem },
        };
        self.parse_error(&start, field, names, fault)
    }

    /// The error of the header, which no record can be read by.
    #[cold]
    pub(super) fn header_error(&self, fault: CsvError) -> ItemError {
        let header = self.headers.as_ref().filter(|header| !header.is_empty());
        let line = header.and_then(StringRecord::position).map_or(1, csv::Position::line);
        ItemError::other(fault).in_file(self.original.path()).at(format!("line {line}"))
    }

    /// Goes back to the record that an error of the system kept from being read: the parser would take the error for the
    /// end of the file.
    #[cold]
    fn hold(&mut self, start: csv::Position, fault: InputError) -> ItemError {
        match self.seek(start.clone()) {
            Ok(()) => fault.into_item_error(),
            Err(fault) => {
                self.lost = Some(start);
                fault.into_item_error()
            }
        }
    }

    /// A record that is longer than allowed: the position is set behind it without keeping it in memory.
    #[cold]
    fn too_long(&mut self, start: csv::Position) -> ItemError {
        let fault = CsvError::TooLong { limit: self.max_record_bytes };
        let behind = self.original.record_end(&start);
        match behind.and_then(|behind| self.seek(behind)) {
            Ok(()) => self.parse_error(&start, None, None, fault),
            Err(fault) => {
                self.lost = Some(start);
                fault.into_item_error()
            }
        }
    }

    #[cold]
    pub(super) fn record_error(&mut self, field: Option<usize>, fault: CsvError) -> ItemError {
        let start = self.record.position().cloned().unwrap_or_else(csv::Position::new);
        self.parse_error(&start, field, None, fault)
    }

    fn parse_error(
        &mut self,
        start: &csv::Position,
        field: Option<usize>,
        names: Option<&StringRecord>,
        fault: CsvError,
    ) -> ItemError {
        let (line, raw) = self.original.raw(start.byte(), self.csv.position().byte());
        let line = start.line() + line;
        let name = field.and_then(|field| names?.get(field));
        let position = match (field, name) {
            (_, Some(name)) => format!("line {line}, column '{name}'"),
            (Some(field), None) => format!("line {line}, column {}", field + 1),
            (None, None) => format!("line {line}"),
        };
        ItemError::parse(fault).in_file(self.original.path()).at(position).with_raw(raw)
    }
}
