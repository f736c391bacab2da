//! `FixedWidthLayout`: the places of the columns in a line.

use std::ops::Range;

use crate::input_error::RecordError;
use crate::record_fields::Fields;

/// The columns of a line of fixed width, in characters.
#[derive(Debug, Clone, Default)]
pub struct FixedWidthLayout {
    columns: Vec<Column>,
    names: Vec<String>,
    line_width: Option<usize>,
    short_lines: bool,
    long_lines: bool,
    /// Characters of a line, once it is checked.
    width: usize,
}

#[derive(Debug, Clone)]
struct Column {
    characters: Range<usize>,
    trimmed: bool,
}

/// The reason for which columns are none of a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum ColumnError {
    #[error("no column is declared")]
    NoColumn,

    #[error("column '{name}' has no width")]
    NoWidth { name: String },

    #[error("column '{name}' is declared twice")]
    Twice { name: String },

    #[error("column '{name}' ends at character {end}, behind the line width of {width}")]
    BehindLine { name: String, end: usize, width: usize },
}

impl FixedWidthLayout {
    /// A layout without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column whose text is taken as it stands.
    #[must_use]
    pub fn column(self, name: &str, characters: Range<usize>) -> Self {
        self.add(name, characters, false)
    }

    /// Adds a column whose text is taken without the blanks around it.
    #[must_use]
    pub fn trimmed_column(self, name: &str, characters: Range<usize>) -> Self {
        self.add(name, characters, true)
    }

    fn add(mut self, name: &str, characters: Range<usize>, trimmed: bool) -> Self {
        self.names.push(name.to_owned());
        self.columns.push(Column { characters, trimmed });
        self
    }

    /// Characters of a line without its end; the end of the last column when it is not set.
    #[must_use]
    pub fn line_width(mut self, characters: usize) -> Self {
        self.line_width = Some(characters);
        self
    }

    /// Takes lines that are shorter than they should be, as where an editor has cut the blanks at their ends: what is
    /// missing is empty.
    #[must_use]
    pub fn short_lines(mut self) -> Self {
        self.short_lines = true;
        self
    }

    /// Takes lines that are longer than they should be: what stands behind their width is dropped.
    #[must_use]
    pub fn long_lines(mut self) -> Self {
        self.long_lines = true;
        self
    }

    /// The names of the columns in their order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Checks the columns and finds the width of a line. Called before the first line is cut.
    pub(super) fn check(&mut self) -> Result<(), ColumnError> {
        let Some(last) = self.columns.iter().map(|column| column.characters.end).max() else {
            return Err(ColumnError::NoColumn);
        };
        let width = self.line_width.unwrap_or(last);
        for (index, (name, column)) in self.names.iter().zip(&self.columns).enumerate() {
            let (name, end) = (name.clone(), column.characters.end);
            if column.characters.is_empty() {
                return Err(ColumnError::NoWidth { name });
            }
            if end > width {
                return Err(ColumnError::BehindLine { name, end, width });
            }
            if self.names[..index].contains(&name) {
                return Err(ColumnError::Twice { name });
            }
        }
        self.width = width;
        Ok(())
    }

    /// Cuts a line into its columns. `starts` is a buffer for the offsets of its characters.
    #[inline]
    pub(super) fn cut(&self, text: &str, fields: &mut Fields, starts: &mut Vec<usize>) -> Result<(), RecordError> {
        starts.clear();
        let length = if text.is_ascii() {
            text.len()
        } else {
            starts.extend(text.char_indices().map(|(start, _)| start));
            starts.len()
        };
        if (length > self.width && !self.long_lines) || (length < self.width && !self.short_lines) {
            return Err(RecordError::LineWidth { expected: self.width, found: length });
        }
        fields.clear();
        for column in &self.columns {
            let byte = |character: usize| {
                if starts.is_empty() {
                    character.min(text.len())
                } else {
                    starts.get(character).copied().unwrap_or(text.len())
                }
            };
            let (start, end) = (byte(column.characters.start), byte(column.characters.end));
            fields.push(if column.trimmed { without_blanks(text.as_bytes(), start, end) } else { start..end });
        }
        Ok(())
    }
}

/// A part of a text without the blanks around it.
#[inline]
fn without_blanks(text: &[u8], mut start: usize, mut end: usize) -> Range<usize> {
    while start < end && text[start] == b' ' {
        start += 1;
    }
    while start < end && text[end - 1] == b' ' {
        end -= 1;
    }
    start..end
}
