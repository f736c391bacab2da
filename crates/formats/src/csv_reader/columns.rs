//! The columns of a delimited file: the header, and the records in their fields.

use super::dialect::Dialect;
use super::error::CsvError;
use super::framer::CsvFramer;
use crate::input_error::shown;
use crate::record_fields::{FieldError, Nulls, Record, column};
use crate::{DecodeError, Framer, TextInput};
use oxbatch_core::item::ItemError;

/// The columns, with the settings that they are read by.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) framer: CsvFramer,
    pub(super) nulls: Nulls,
    /// Fields that a record lacks are empty.
    pub(super) short_allowed: bool,
    /// Fields that a record has beyond the others are dropped.
    pub(super) long_allowed: bool,
    /// The names of the header, once it has been read.
    pub(super) names: Option<Vec<String>>,
}

impl Columns {
    pub(super) fn new() -> Self {
        let dialect = Dialect {
            delimiter: super::CsvReader::<()>::DEFAULT_DELIMITER.into(),
            quote: Some(super::CsvReader::<()>::DEFAULT_QUOTE),
            escape: None,
            comment: None,
            trimmed: false,
            lenient: false,
        };
        Self {
            framer: CsvFramer::new(dialect),
            nulls: Nulls::default(),
            short_allowed: false,
            long_allowed: false,
            names: None,
        }
    }

    /// Takes a record for the header.
    pub(super) fn take_header(&mut self, text: &str) -> Result<(), DecodeError> {
        self.split(text)?;
        let record = Record::new(text, &self.framer.fields, &self.nulls);
        self.names =
            Some((0..self.framer.fields.len()).map(|index| record.get(index).unwrap_or_default().to_owned()).collect());
        self.framer.width = self.framer.fields.len();
        Ok(())
    }

    /// Cuts a record into its fields; `false` when it is blank.
    #[inline]
    pub(super) fn split(&mut self, text: &str) -> Result<bool, DecodeError> {
        if self.framer.has_fields {
            return Ok(true);
        }
        let dialect = &self.framer.dialect;
        if dialect.trimmed && text.bytes().all(|byte| dialect.is_trimmed(byte)) {
            return Ok(false);
        }
        match dialect.split(text, &mut self.framer.fields) {
            Ok(()) => Ok(true),
            Err(error) => Err(DecodeError::new(error).at(column(self.framer.fields.len(), self.names.as_deref()))),
        }
    }

    /// Checks that the record has as many fields as the others, and makes it so where that is allowed.
    #[inline]
    pub(super) fn fit(&mut self, expected: usize) -> Result<(), DecodeError> {
        if self.framer.fields.len() != expected { self.resize(expected) } else { Ok(()) }
    }

    #[cold]
    fn resize(&mut self, expected: usize) -> Result<(), DecodeError> {
        let found = self.framer.fields.len();
        if if found < expected { self.short_allowed } else { self.long_allowed } {
            self.framer.fields.resize(expected);
            return Ok(());
        }
        Err(DecodeError::new(CsvError::FieldCount { expected, found }))
    }

    /// The error of the header, by which no record can be read.
    #[cold]
    pub(super) fn header_error(&self, error: CsvError, line: u64, input: &TextInput) -> ItemError {
        ItemError::other(error).in_file(input.path()).at(CsvFramer::shown_position(line, 0).to_string())
    }

    /// The name of the column in which a text ends.
    #[cold]
    pub(super) fn column_behind(&mut self, text: &str) -> String {
        let field = match self.framer.dialect.split(text, &mut self.framer.fields) {
            Ok(()) => self.framer.fields.len().saturating_sub(1),
            // Within quotes, or behind what is wrong.
            Err(_) => self.framer.fields.len(),
        };
        column(field, self.names.as_deref())
    }
}

/// The error of a record that is not of its type.
#[cold]
pub(super) fn field_error(error: FieldError, record: Record<'_>, names: Option<&[String]>) -> DecodeError {
    match names {
        Some(names) if error.problem.starts_with("missing field") => {
            DecodeError::new(CsvError::Header { problem: error.problem, header: shown(&names.join(",")) })
        }
        names => error.into_decode_error(record, names),
    }
}
