//! `MixedCsvReader`: delimited text whose records are of several types.

use serde::de::DeserializeOwned;

use super::columns::{Columns, field_error};
use super::error::CsvError;
use super::framer::CsvFramer;
use super::{CsvDecoder, CsvReader};
use crate::input_error::{RecordError, shown};
use crate::record_fields::{FieldError, FieldTypes, Record, column};
use crate::record_types::RecordTypes;
use crate::{DecodeError, FileReader, RecordDecoder};
use oxbatch_core::item::ItemError;

type Decode<T> = Box<dyn FnMut(Record<'_>, &[String]) -> Result<T, FieldError> + Send>;

/// The columns of a record type, and the item that becomes of its records.
struct Layout<T> {
    names: Vec<String>,
    decode: Decode<T>,
}

/// Reads a delimited file whose records are of several types, such as a header, details and a trailer, each known by
/// one of its columns, as the variants of one enum.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, MixedCsvReader};
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
/// # let job = oxbatch::Job::builder("Payments").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// The file has no header of column names: each record type names its own columns, and a record of it must have as many
/// fields. A struct takes its fields by these names, a tuple by their position. Everything else, restarts and errors
/// too, is as for [`CsvReader`]; a record of no declared type is an error of kind
/// [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse).
pub type MixedCsvReader<T> = FileReader<MixedCsvDecoder<T>>;

/// Reads records of several types; made by [`MixedCsvReader`].
pub struct MixedCsvDecoder<T> {
    columns: Columns,
    type_column: usize,
    types: RecordTypes<Layout<T>>,
}

impl<T> Default for MixedCsvDecoder<T> {
    fn default() -> Self {
        Self { columns: Columns::new(), type_column: 0, types: RecordTypes::new(false) }
    }
}

impl<T> MixedCsvReader<T> {
    /// Reads a file whose settings, such as delimiter, quotes and limits, are those of `reader`.
    pub fn over(reader: CsvReader<T>) -> Self {
        reader.map_decoder(|CsvDecoder { columns, .. }| MixedCsvDecoder { columns, ..MixedCsvDecoder::default() })
    }

    /// The column that holds the type of a record, from 0; the first one when it is not set.
    #[must_use]
    pub fn type_column(mut self, column: usize) -> Self {
        self.decoder.type_column = column;
        self
    }

    /// The column that holds the type begins with its tag and may go on, as in `P0001`.
    #[must_use]
    pub fn type_by_prefix(mut self) -> Self {
        self.decoder.types.by_prefix();
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
        let names = columns.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let mut types = FieldTypes::default();
        let decode: Decode<T> = Box::new(move |record, names| types.decode(record, Some(names)).map(&item));
        self.decoder.types.add(tag.into(), Layout { names, decode });
        self
    }
}

impl<T: Send> RecordDecoder for MixedCsvDecoder<T> {
    type Item = T;
    type Framer = CsvFramer;

    #[inline]
    fn framer(&mut self) -> &mut CsvFramer {
        &mut self.columns.framer
    }

    fn check(&mut self) -> Result<(), ItemError> {
        self.types.check()
    }

    #[inline]
    fn decode(&mut self, text: &str) -> Result<Option<T>, DecodeError> {
        let Self { columns, type_column, types } = self;
        if !columns.split(text)? {
            return Ok(None);
        }
        let Some(tag) = Record::new(text, &columns.framer.fields, &columns.nulls).get(*type_column) else {
            return Err(DecodeError::new(CsvError::NoType { column: *type_column + 1 }));
        };
        let Some(Layout { names, decode }) = types.of(tag) else {
            let (found, known) = (shown(tag), types.tags().join(", "));
            return Err(DecodeError::new(RecordError::Type { found, known }).at(column(*type_column, None)));
        };
        columns.fit(names.len())?;
        let record = Record::new(text, &columns.framer.fields, &columns.nulls);
        decode(record, names).map(Some).map_err(|error| field_error(error, record, Some(names)))
    }

    fn part_at(&mut self, text: &str) -> String {
        self.columns.column_behind(text)
    }
}

impl<T> std::fmt::Debug for MixedCsvDecoder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MixedCsvDecoder").field("columns", &self.columns).finish_non_exhaustive()
    }
}
