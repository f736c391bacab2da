//! The fields of one record, and which of them are NULL.

use std::ops::Range;

/// A field: a part of the record's text, or of the buffer of fields that do not stand there as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// As it stands in the text.
    Plain,
    /// In quotes, as it stands in the text.
    #[cfg(feature = "csv")]
    Quoted,
    /// In quotes, in the buffer.
    Unescaped,
    /// The record ends before it.
    Missing,
}

/// The fields of a record, used again for all records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    fields: Vec<Field>,
    unescaped: String,
    /// One of them stands in quotes.
    has_quotes: bool,
}

impl Fields {
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.fields.clear();
        self.unescaped.clear();
        self.has_quotes = false;
    }

    /// True if a field stands in quotes, within which lines may end.
    #[cfg(feature = "csv")]
    #[inline]
    pub(crate) fn has_quotes(&self) -> bool {
        self.has_quotes
    }

    #[cfg(feature = "csv")]
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Adds a field that is a part of the text.
    #[inline]
    pub(crate) fn push(&mut self, Range { start, end }: Range<usize>) {
        self.fields.push(Field { start, end, kind: Kind::Plain });
    }

    /// Adds a field in quotes that is a part of the text.
    #[cfg(feature = "csv")]
    pub(crate) fn push_quoted(&mut self, Range { start, end }: Range<usize>) {
        self.has_quotes = true;
        self.fields.push(Field { start, end, kind: Kind::Quoted });
    }

    /// The buffer for the text of a field in quotes that is none of the record's; its length now is the start of the
    /// field.
    #[cfg(feature = "csv")]
    pub(crate) fn unescaped(&mut self) -> &mut String {
        &mut self.unescaped
    }

    /// Adds a field in quotes that has been put at the end of the buffer.
    #[cfg(feature = "csv")]
    pub(crate) fn push_unescaped(&mut self, start: usize) {
        self.fields.push(Field { start, end: self.unescaped.len(), kind: Kind::Unescaped });
    }

    /// Adds fields that the record does not have, or drops those that it has beyond so many.
    #[cfg(feature = "csv")]
    pub(crate) fn resize(&mut self, length: usize) {
        self.fields.resize(length, Field { start: 0, end: 0, kind: Kind::Missing });
    }
}

/// The treatment of empty fields where an `Option` is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum EmptyFields {
    /// They are `None`.
    #[default]
    Null,
    /// They are `None`, but for those in quotes.
    #[cfg(feature = "csv")]
    NullUnlessQuoted,
    /// They are a text without characters.
    Text,
}

/// The fields that are NULL: `None` for an `Option`, and in the case of a mark an error for anything else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nulls {
    pub(crate) empty: EmptyFields,
    pub(crate) marks: Vec<String>,
}

/// A record in its fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'r> {
    text: &'r str,
    fields: &'r Fields,
    nulls: &'r Nulls,
}

impl<'r> Record<'r> {
    #[inline]
    pub(crate) fn new(text: &'r str, fields: &'r Fields, nulls: &'r Nulls) -> Self {
        Self { text, fields, nulls }
    }

    #[inline]
    pub(super) fn fields(&self) -> &'r [Field] {
        &self.fields.fields
    }

    /// The text of a field by its number.
    pub(crate) fn get(&self, index: usize) -> Option<&'r str> {
        self.fields.fields.get(index).map(|field| self.text_of(field))
    }

    #[inline(always)]
    pub(super) fn text_of(&self, field: &Field) -> &'r str {
        let text = if field.kind == Kind::Unescaped { &self.fields.unescaped } else { self.text };
        &text[field.start..field.end]
    }

    /// True if a field is `None` for an `Option`.
    #[inline]
    pub(super) fn is_null(&self, field: &Field) -> bool {
        if field.start == field.end {
            return match self.nulls.empty {
                EmptyFields::Null => true,
                #[cfg(feature = "csv")]
                EmptyFields::NullUnlessQuoted => matches!(field.kind, Kind::Plain | Kind::Missing),
                EmptyFields::Text => field.kind == Kind::Missing || self.is_mark(field),
            };
        }
        self.is_mark(field)
    }

    /// True if a field is a mark of NULL, which one in quotes never is.
    #[inline]
    pub(super) fn is_mark(&self, field: &Field) -> bool {
        !self.nulls.marks.is_empty() && field.kind == Kind::Plain && {
            let text = self.text_of(field);
            self.nulls.marks.iter().any(|mark| mark == text)
        }
    }
}
