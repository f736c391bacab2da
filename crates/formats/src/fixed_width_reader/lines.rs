//! Lines cut into the columns of a layout.

use super::FixedWidthLayout;
use crate::record_fields::{Fields, Nulls, Record};
use crate::{DecodeError, LineFramer};

/// The lines of a file, and the fields of the one in hand.
#[derive(Debug, Clone, Default)]
pub(super) struct FixedWidthLines {
    pub(super) framer: LineFramer,
    pub(super) nulls: Nulls,
    /// Used again for all lines.
    fields: Fields,
    /// The offsets of the characters of a line that is not ASCII.
    starts: Vec<usize>,
}

/// A decoder of lines of fixed width.
pub(super) trait FixedWidth {
    /// The settings of its lines.
    fn lines(&mut self) -> &mut FixedWidthLines;
}

impl FixedWidthLines {
    /// A line in its fields.
    #[inline]
    pub(super) fn cut<'r>(&'r mut self, line: &'r str, layout: &FixedWidthLayout) -> Result<Record<'r>, DecodeError> {
        layout.cut(line, &mut self.fields, &mut self.starts)?;
        Ok(Record::new(line, &self.fields, &self.nulls))
    }
}
