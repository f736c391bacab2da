//! `FixedWidthWriter`: lines of columns of fixed width, exactly once.

mod record;

use serde::Serialize;

use super::{FileWriter, RecordEncoder};
use oxbatch_core::item::ItemError;
use record::{Cell, CellError, RecordSerializer};

/// The side of a column on which a value stands that is shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At its start, padded behind.
    Left,
    /// At its end, padded before.
    Right,
}

/// Writes each output as one line of columns of fixed width.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{Align, FixedWidthWriter, ListReader};
///
/// #[derive(Clone, serde::Serialize)]
/// struct Strike {
///     species: String,
///     speed: Option<u32>,
/// }
///
/// // Canada goose        140
/// let step = ChunkStep::builder("Export")
///     .reader(|_| Ok(ListReader::new([Strike { species: "Canada goose".to_owned(), speed: Some(140) }])))
///     .writer(|context| Ok(FixedWidthWriter::new(context, "output/strikes.txt")
///         .column("species", 20, Align::Left)
///         .column("speed", 3, Align::Right)));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// Columns stand in the order in which they are named here, whatever the order of the fields; each field has its column
/// and each column its field, or the item is an error. Widths are counted in characters. A value that is too long or
/// holds the end of a line is an error that names column and item: it is never cut. Such an error is of kind
/// [`ErrorKind::Validation`](oxbatch_core::item::ErrorKind::Validation). `None` is an empty column. The pad is a blank
/// unless [`padded_column`](Self::padded_column) says otherwise; zeros stand behind the sign of a number.
///
/// An empty input makes an empty file.
///
/// **Exactly once, by cutting back**: files, locks and errors are those of every [`FileWriter`].
pub type FixedWidthWriter<T> = FileWriter<FixedWidthEncoder, T>;

impl<T> FixedWidthWriter<T> {
    /// The character that fills up a column unless [`padded_column`](Self::padded_column) names another.
    pub const DEFAULT_PAD: char = ' ';

    /// The next column: the field of this name, filled up by blanks.
    #[must_use]
    pub fn column(self, name: impl Into<String>, width: usize, align: Align) -> Self {
        self.padded_column(name, width, align, Self::DEFAULT_PAD)
    }

    /// The next column: the field of this name, filled up by a character of the author's.
    #[must_use]
    pub fn padded_column(self, name: impl Into<String>, width: usize, align: Align, pad: char) -> Self {
        self.encoder(|encoder| {
            encoder.columns.push(Column { name: name.into(), width, align, pad });
            encoder.cells.push(Cell::default());
        })
    }

    /// The text that a reader of the file takes for the start of a comment: an item whose line would begin with it is
    /// an error. There are no comments when it is not set; the author's own are written by
    /// [`header`](FileWriter::header) and [`footer`](FileWriter::footer).
    #[must_use]
    pub fn comment(self, mark: impl Into<String>) -> Self {
        self.encoder(|encoder| encoder.comment = Some(mark.into()))
    }
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    width: usize,
    align: Align,
    pad: char,
}

/// Writes lines of fixed width; made by [`FixedWidthWriter`].
#[derive(Debug, Clone, Default)]
pub struct FixedWidthEncoder {
    columns: Vec<Column>,
    /// The mark of comments.
    comment: Option<String>,
    /// Used again for all items, one for each column.
    cells: Vec<Cell>,
}

impl<T: Serialize> RecordEncoder<T> for FixedWidthEncoder {
    fn check_append(&self) -> Result<(), ItemError> {
        Ok(())
    }

    fn check(&self) -> Result<(), ItemError> {
        if self.columns.is_empty() {
            return Err(ItemError::other("fixed-width output has no columns"));
        }
        for (index, column) in self.columns.iter().enumerate() {
            let name = &column.name;
            if column.width == 0 {
                return Err(ItemError::other(format!("column '{name}' has a width of 0")));
            }
            if matches!(column.pad, '\n' | '\r') {
                return Err(ItemError::other(format!("column '{name}' is padded by the end of a line")));
            }
            if self.columns[..index].iter().any(|other| other.name == *name) {
                return Err(ItemError::other(format!("column '{name}' is named twice")));
            }
        }
        Ok(())
    }

    fn encode(&mut self, item: &T, _: u64, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        self.cells.iter_mut().for_each(Cell::clear);
        item.serialize(RecordSerializer::new(&self.columns, &mut self.cells)).map_err(CellError::into_item_error)?;
        let start = buffer.len();
        for (column, cell) in self.columns.iter().zip(&self.cells) {
            column.put(cell, buffer).map_err(ItemError::validation)?;
        }
        if let Some(comment) = &self.comment
            && buffer[start..].starts_with(comment.as_bytes())
        {
            return Err(ItemError::validation(format!("line begins with '{comment}', as comments do")));
        }
        buffer.push(b'\n');
        Ok(())
    }

    fn fork(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Column {
    fn put(&self, cell: &Cell, buffer: &mut Vec<u8>) -> Result<(), String> {
        let Self { name, width, align, pad } = self;
        if !cell.is_set {
            return Err(format!("column '{name}' has no field in this item"));
        }
        let text = cell.text.as_str();
        if text.contains(['\n', '\r']) {
            return Err(format!("column '{name}': value {text:?} holds the end of a line"));
        }
        let length = text.chars().count();
        let Some(missing) = width.checked_sub(length) else {
            return Err(format!("column '{name}': value {text:?} has {length} characters, but the column has {width}"));
        };
        let (before, after) = match align {
            // Zeros before a sign would be no number.
            Align::Right if cell.is_number && *pad == '0' && text.starts_with('-') => text.split_at(1),
            Align::Right => ("", text),
            Align::Left => (text, ""),
        };
        buffer.extend_from_slice(before.as_bytes());
        let mut bytes = [0; 4];
        let pad = pad.encode_utf8(&mut bytes).as_bytes();
        (0..missing).for_each(|_| buffer.extend_from_slice(pad));
        buffer.extend_from_slice(after.as_bytes());
        Ok(())
    }
}
