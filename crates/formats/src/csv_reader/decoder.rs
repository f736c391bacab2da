//! `CsvDecoder`: the records of a delimited file as values of one type.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::columns::{Columns, field_error};
use super::error::CsvError;
use super::framer::CsvFramer;
use super::header::check_header;
use crate::file_reader::{not_text, record_error};
use crate::record_fields::{FieldTypes, Record};
use crate::{DecodeError, Framer, RecordDecoder, TextInput};
use oxbatch_core::item::ItemError;

/// Reads records of delimited text; made by [`CsvReader`](crate::CsvReader).
pub struct CsvDecoder<T> {
    pub(super) columns: Columns,
    pub(super) has_headers: bool,
    pub(super) empty_allowed: bool,
    /// The header names just the item's fields in their order: the fields of a record need not be found by name.
    by_position: bool,
    /// The knowledge of the fields that the type leaves open.
    types: FieldTypes,
    item: PhantomData<fn() -> T>,
}

impl<T> Default for CsvDecoder<T> {
    fn default() -> Self {
        Self {
            columns: Columns::new(),
            has_headers: true,
            empty_allowed: false,
            by_position: false,
            types: FieldTypes::default(),
            item: PhantomData,
        }
    }
}

impl<T: DeserializeOwned + Send> RecordDecoder for CsvDecoder<T> {
    type Item = T;
    type Framer = CsvFramer;

    #[inline]
    fn framer(&mut self) -> &mut CsvFramer {
        &mut self.columns.framer
    }

    fn begin(&mut self, input: &mut TextInput) -> Result<(), ItemError> {
        (self.columns.names, self.by_position) = (None, false);
        if !self.has_headers {
            return Ok(());
        }
        let Some(header) = self.columns.framer.next(input)? else {
            return match self.empty_allowed {
                true => Ok(()),
                false => Err(self.columns.header_error(CsvError::Empty, 1, input)),
            };
        };
        let Ok(text) = std::str::from_utf8(input.bytes(&header)) else {
            return Err(not_text(self, input, &header));
        };
        if let Err(error) = self.columns.take_header(text) {
            return Err(record_error(self, input, &header, error));
        }
        let names = self.columns.names.as_deref().unwrap_or_default();
        self.by_position = check_header::<T>(names)
            .map_err(|error| self.columns.header_error(error, input.line_of(&header), input))?;
        Ok(())
    }

    #[inline(always)]
    fn decode(&mut self, text: &str) -> Result<Option<T>, DecodeError> {
        if !self.columns.split(text)? {
            return Ok(None);
        }
        match self.columns.framer.width {
            0 => self.columns.framer.width = self.columns.framer.fields.len(),
            width => self.columns.fit(width)?,
        }
        let record = Record::new(text, &self.columns.framer.fields, &self.columns.nulls);
        if self.by_position
            && let Ok(item) = self.types.decode(record, None)
        {
            return Ok(Some(item));
        }
        // The header has the last word: of a type whose fields cannot be taken by position, and of every error.
        let names = self.columns.names.as_deref();
        match self.types.decode(record, names) {
            Ok(item) => {
                self.by_position = false;
                Ok(Some(item))
            }
            Err(error) => Err(field_error(error, record, names)),
        }
    }

    fn fork(&self) -> Option<Self> {
        let Self { columns, has_headers, empty_allowed, by_position, .. } = self;
        // Without a header, the first record says how many fields there are.
        (columns.framer.width > 0).then(|| Self {
            columns: columns.clone(),
            has_headers: *has_headers,
            empty_allowed: *empty_allowed,
            by_position: *by_position,
            types: FieldTypes::default(),
            item: PhantomData,
        })
    }

    fn part_at(&mut self, text: &str) -> String {
        self.columns.column_behind(text)
    }
}

impl<T> std::fmt::Debug for CsvDecoder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvDecoder").field("columns", &self.columns).finish_non_exhaustive()
    }
}
