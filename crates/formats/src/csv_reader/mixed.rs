//! `MixedCsvReader`: delimited text whose records are of several types.

use std::cell::RefCell;
use std::path::PathBuf;

use csv::StringRecord;
use serde::de::DeserializeOwned;

use super::CsvReader;
use super::error::{CsvError, shown};
use crate::record_fields::{FieldError, FieldTypes};
use crate::record_types::RecordTypes;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader};

type Decode<T> = Box<dyn Fn(&StringRecord, &StringRecord) -> Result<T, FieldError> + Send>;

/// The columns of a record type, and what becomes of its records.
struct Layout<T> {
    names: StringRecord,
    decode: Decode<T>,
}

/// Reads a delimited file whose records are of several types, such as a header, details and a trailer, each told by one
/// of its columns, as the variants of one enum.
///
/// ```
/// use oxbatch_core::ChunkStep;
/// use oxbatch_core::item::FunctionWriter;
/// use oxbatch_formats::MixedCsvReader;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Payment {
///     account: String,
///     cents: i64,
/// }
///
/// enum Record {
///     Header(String),
///     Payment(Payment),
///     Trailer(u64),
/// }
///
/// // H,2024-02-29
/// // P,DE02,1250
/// // T,1
/// let step = ChunkStep::builder("Import")
///     .reader(|_| {
///         Ok(MixedCsvReader::new("data/payments.csv")
///             .record_type("H", ["type", "day"], |(_, day): (String, String)| Record::Header(day))
///             .record_type("P", ["type", "account", "cents"], Record::Payment)
///             .record_type("T", ["type", "count"], |(_, count): (String, u64)| Record::Trailer(count)))
///     })
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Record]| {
///         println!("{} records", chunk.len());
///         Ok(())
///     })));
/// # let job = oxbatch_core::Job::builder("Payments").step(step).build()?;
/// # Ok::<(), oxbatch_core::BuildError>(())
/// ```
///
/// The file has no header of column names: each record type names its own columns, and a record of it must have as many
/// fields. A struct takes its fields by these names, a tuple by their position. Everything else, restarts and errors too,
/// is as for [`CsvReader`]; a record of no declared type is an error of kind [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse).
pub struct MixedCsvReader<T> {
    reader: CsvReader<T>,
    column: usize,
    types: RecordTypes<Layout<T>>,
}

impl<T> MixedCsvReader<T> {
    /// Reads the file at `path`, which is not touched before the step runs.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::over(CsvReader::new(path))
    }

    /// Reads a file whose delimiter, quotes and limits are those of `reader`.
    pub fn over(reader: CsvReader<T>) -> Self {
        Self { reader: reader.without_headers(), column: 0, types: RecordTypes::new(false) }
    }

    /// The column that tells the type, from 0; the first one when it is not set.
    #[must_use]
    pub fn type_column(mut self, column: usize) -> Self {
        self.column = column;
        self
    }

    /// The column that tells the type begins with its tag and may go on, as in `P0001`.
    #[must_use]
    pub fn type_by_prefix(mut self) -> Self {
        self.types.by_prefix();
        self
    }

    /// Declares a record type: what stands in its type column, the names of all its columns, and the item that becomes
    /// of a record.
    #[must_use]
    pub fn record_type<R: DeserializeOwned + 'static>(
        mut self,
        tag: impl Into<String>,
        columns: impl IntoIterator<Item = impl AsRef<str>>,
        item: impl Fn(R) -> T + Send + 'static,
    ) -> Self {
        let names = columns.into_iter().fold(StringRecord::new(), |mut names, name| {
            names.push_field(name.as_ref());
            names
        });
        let types = RefCell::new(FieldTypes::default());
        let decode: Decode<T> =
            Box::new(move |record, names| types.borrow_mut().decode(record, Some(names)).map(&item));
        self.types.add(tag.into(), Layout { names, decode });
        self
    }
}

impl<T: Send> ItemReader for MixedCsvReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.types.check()?;
        self.reader.open_file(checkpoint)
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        let Self { reader, column, types } = self;
        let open = reader.opened()?;
        // Records differ in their widths.
        open.width = 0;
        if !open.advance()? {
            return Ok(None);
        }
        let Some(tag) = open.record.get(*column) else {
            return Err(open.record_error(None, CsvError::NoType { column: *column + 1 }));
        };
        let Some(layout) = types.of(tag) else {
            let found = shown(tag);
            return Err(open.record_error(Some(*column), CsvError::Type { found, known: types.tags() }));
        };
        let (expected, found) = (layout.names.len(), open.record.len());
        if expected != found {
            return Err(open.record_error(None, CsvError::FieldCount { expected, found }));
        }
        (layout.decode)(&open.record, &layout.names)
            .map(Some)
            .map_err(|fault| open.field_error(fault, Some(&layout.names)))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.reader.place().map(Some)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.reader.path.clone()]
    }

    fn progress(&self) -> Option<f64> {
        self.reader.share()
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.reader.open = None;
        Ok(())
    }
}

impl<T> std::fmt::Debug for MixedCsvReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MixedCsvReader").field("reader", &self.reader).finish_non_exhaustive()
    }
}
