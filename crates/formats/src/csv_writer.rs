//! `CsvWriter`: delimited text, exactly once.

mod columns;
mod key;
mod record;
mod row;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::{FileWriter, RecordEncoder};
use oxbatch_core::item::ItemError;
use record::{Record, RecordError, Special, unequal_lengths};
use row::{NEEDS_HEADERS, Row};

/// Bytes that `csv` collects before it hands them on.
const RECORD_BUFFER_BYTES: usize = 16 * 1024;

/// Writes each output as one record of delimited text, quoted where it must be.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{CsvWriter, ListReader};
///
/// #[derive(Clone, serde::Serialize)]
/// struct Strike {
///     species: String,
///     speed: Option<u32>,
/// }
///
/// let step = ChunkStep::builder("Export")
///     .reader(|_| Ok(ListReader::new([Strike { species: "Canada goose".to_owned(), speed: Some(140) }])))
///     .writer(|context| Ok(CsvWriter::new(context, "output/strikes.csv").headers(["species", "speed"])));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// The header is made of the names of the record's fields when the first record is written; records without names
/// (tuples) have none. An empty input makes an empty file, or one with a header when [`headers`](FileWriter::headers)
/// gave it. The author's [`header`](FileWriter::header) stands above it. Where the output is
/// [appended](super::OnExisting::Append) to a file that is not empty, neither is written.
///
/// A field that serde leaves out of an item (`skip_serializing_if`) is an empty one: those behind it keep their
/// columns. Maps and structs with a flattened part need the names of all columns by [`headers`](CsvWriter::headers):
/// each value stands under its own, whatever their order, and one without a column is an error. An item that cannot be
/// written is an error of kind [`ErrorKind::Validation`](oxbatch_core::item::ErrorKind::Validation).
///
/// **Exactly once, by cutting back**: files, locks and errors are those of every [`FileWriter`].
pub type CsvWriter<T> = FileWriter<CsvEncoder, T>;

impl<T> CsvWriter<T> {
    /// The character between two fields unless [`delimiter`](Self::delimiter) is set.
    pub const DEFAULT_DELIMITER: u8 = b',';

    /// The character between two fields; [`DEFAULT_DELIMITER`](Self::DEFAULT_DELIMITER) when it is not set.
    #[must_use]
    pub fn delimiter(self, delimiter: u8) -> Self {
        self.encoder(|encoder| encoder.dialect.delimiter = delimiter)
    }

    /// The character that a reader of the file takes for the start of a comment: a field that holds it is quoted,
    /// so that no record is taken for one. There are no comments when it is not set; the author's own are written by
    /// [`header`](FileWriter::header) and [`footer`](FileWriter::footer).
    #[must_use]
    pub fn comment(self, comment: u8) -> Self {
        self.encoder(|encoder| encoder.dialect.comment = Some(comment))
    }

    /// The header, in place of the names of the fields; written even when the input is empty.
    #[must_use]
    pub fn headers<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.encoder(|encoder| encoder.header = Header::Given(names))
    }

    /// Writes no header.
    #[must_use]
    pub fn without_headers(self) -> Self {
        self.encoder(|encoder| encoder.header = Header::None)
    }
}

#[derive(Debug, Clone)]
enum Header {
    None,
    FieldNames,
    Given(Vec<String>),
}

impl Header {
    /// The columns of items that have keys of their own.
    #[inline]
    fn columns(&self) -> Option<&[String]> {
        if let Self::Given(names) = self { Some(names) } else { None }
    }
}

/// Writes delimited text; made by [`CsvWriter`].
pub struct CsvEncoder {
    /// Writes the header and the first record of a file.
    csv: Option<csv::Writer<Collected>>,
    collected: Collected,
    dialect: Dialect,
    /// The bytes that are special in the dialect, once a record was written in it.
    special: Option<Box<Special>>,
    header: Header,
    /// Fields of a record, once there was one.
    width: Option<usize>,
}

/// The special characters of the file.
#[derive(Debug, Clone, Copy)]
struct Dialect {
    delimiter: u8,
    comment: Option<u8>,
}

impl Default for CsvEncoder {
    fn default() -> Self {
        let dialect = Dialect { delimiter: CsvWriter::<()>::DEFAULT_DELIMITER, comment: None };
        let (collected, header) = (Collected::default(), Header::FieldNames);
        Self { csv: None, collected, dialect, special: None, header, width: None }
    }
}

impl CsvEncoder {
    fn forget(&mut self) {
        // Dropping it hands over what it had collected.
        self.csv = None;
        self.collected.lock().clear();
    }

    /// Writes the first record of a file, or of an attempt, and learns from it how many fields all of them have.
    fn encode_first<T: Serialize>(&mut self, item: &T, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        let Self { csv, collected, dialect, header, .. } = self;
        let columns = header.columns();
        let csv = csv.get_or_insert_with(|| collected.new_csv(*dialect, false));
        csv.serialize(Row { item, columns }).map_err(item_error)?;
        csv.flush()?;
        let width = {
            let written = collected.lock();
            let mut records = csv::ReaderBuilder::new();
            let mut records = records.delimiter(dialect.delimiter).has_headers(false).from_reader(&written[..]);
            records.byte_records().next().and_then(Result::ok).map_or(0, |record| record.len())
        };
        self.width = Some(width);
        self.hand_over(buffer)
    }

    /// Hands over what stands before the other records.
    #[cold]
    fn hand_over(&mut self, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        if let Some(mut csv) = self.csv.take() {
            csv.flush()?;
        }
        buffer.append(&mut self.collected.lock());
        Ok(())
    }
}

impl<T: Serialize> RecordEncoder<T> for CsvEncoder {
    fn check_append(&self) -> Result<(), ItemError> {
        Ok(())
    }

    fn reset(&mut self) {
        self.forget();
    }

    fn begin(&mut self, header: &str, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        buffer.extend_from_slice(header.as_bytes());
        self.forget();
        let mut csv = self.collected.new_csv(self.dialect, matches!(self.header, Header::FieldNames));
        self.width = None;
        if let Header::Given(names) = &self.header {
            csv.write_record(names).map_err(item_error)?;
            self.width = Some(names.len());
        }
        self.csv = Some(csv);
        Ok(())
    }

    #[inline]
    fn encode(&mut self, item: &T, _: u64, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        let Some(width) = self.width else { return self.encode_first(item, buffer) };
        if self.csv.is_some() {
            self.hand_over(buffer)?;
        }
        let Self { dialect, special, header, .. } = self;
        let special = special.get_or_insert_with(|| Box::new(Special::new(*dialect)));
        let mut record = Record::new(*dialect, special, buffer);
        let written = Row { item, columns: header.columns() }.serialize(&mut record);
        written.and_then(|()| record.end(width)).map_err(record_error)
    }

    fn fork(&self) -> Option<Self> {
        // All must agree on the number of fields.
        let (collected, header, special) = (Collected::default(), self.header.clone(), self.special.clone());
        self.width.map(|_| Self { csv: None, collected, header, special, ..*self })
    }

    fn drain(&mut self, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        if self.csv.is_some() { self.hand_over(buffer) } else { Ok(()) }
    }
}

impl std::fmt::Debug for CsvEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvEncoder").field("dialect", &self.dialect).field("header", &self.header).finish()
    }
}

/// The buffer of the writer of records; shared with `csv`, which does not give it back.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    /// A writer of records into it.
    fn new_csv(&self, dialect: Dialect, names_due: bool) -> csv::Writer<Self> {
        csv::WriterBuilder::new()
            .delimiter(dialect.delimiter)
            .comment(dialect.comment)
            .has_headers(names_due)
            .buffer_capacity(RECORD_BUFFER_BYTES)
            .from_writer(self.clone())
    }

    /// Never contended: one writer, one thread.
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The error of an item that is no record, for which the item can be skipped unless it is one of the settings.
#[cold]
fn item_error(error: csv::Error) -> ItemError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => ItemError::other(error),
        csv::ErrorKind::Serialize(problem) => record_error(RecordError(problem)),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let width = usize::try_from(expected_len).unwrap_or(usize::MAX);
            record_error(unequal_lengths(usize::try_from(len).unwrap_or(usize::MAX), width))
        }
        kind => ItemError::other(format!("record cannot be written: {kind:?}")),
    }
}

#[cold]
fn record_error(RecordError(problem): RecordError) -> ItemError {
    if problem == NEEDS_HEADERS { ItemError::other(problem) } else { ItemError::validation(problem) }
}
