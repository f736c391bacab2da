//! `CsvReader`: delimited text, typed by serde, resumed by byte offset.

mod columns;
mod decoder;
mod dialect;
mod error;
mod framer;
mod header;
mod mixed;
mod quick;
mod scan;
mod split;

use super::FileReader;
use super::record_fields::EmptyFields;
pub use decoder::CsvDecoder;
pub use dialect::Delimiter;
pub use mixed::{MixedCsvDecoder, MixedCsvReader};

/// Reads the records of a delimited text file as values of `T`, by the names in its header.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{CsvReader, FunctionWriter};
///
/// #[derive(serde::Deserialize)]
/// struct Strike {
///     species: String,
///     speed: Option<u32>,
/// }
///
/// let step = ChunkStep::builder("Import")
///     .reader(|_| Ok(CsvReader::<Strike>::new("data/strikes.tsv").delimiter(b'\t')))
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Strike]| {
///         println!("{} strikes", chunk.len());
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// The text is read as RFC 4180 describes it, with `\n`, `\r\n` or `\r` at the ends of records. Fields are [not
/// trimmed](CsvReader::trim); blank lines are passed over. All records must have as many fields as the header, or as
/// the first record where there is none, unless [short](CsvReader::short_records) or [long](CsvReader::long_records)
/// ones are allowed. A struct takes its fields by the names of the header, and by their position [without
/// one](CsvReader::without_headers); a tuple always takes them by position. Files whose records differ are read by
/// [`MixedCsvReader`].
///
/// A field is text unless the type asks for something else: a map, a `serde_json::Value` and a flattened struct get
/// `00501` as it stands. A number that its type cannot hold, too large or too small, is an error. An empty field is
/// `None` for an `Option`; see [`null_as`](CsvReader::null_as),
/// [`quoted_empty_is_text`](CsvReader::quoted_empty_is_text) and [`empty_is_text`](CsvReader::empty_is_text) for other
/// ways.
///
/// # Quotes
/// A quote stands at the start of a field and at its end, or is doubled within. Any other is an error of its record,
/// and of no more than its line: what follows is read as records of its own.
/// [`lenient_quotes`](CsvReader::lenient_quotes) takes them as they are. A quote that is never closed takes the rest of
/// the file with it, which is an error of the last record: the file was cut off.
///
/// # Header
/// It is checked when the file is opened, before the step replaces any output: a header that names none of the fields,
/// lacks one that must be there or names one twice fails the step, as does a file that is
/// [empty](CsvReader::allow_empty).
///
/// Encodings, compressed input, restarts and errors are those of every [`FileReader`].
pub type CsvReader<T> = FileReader<CsvDecoder<T>>;

impl<T> CsvReader<T> {
    /// The text between two fields unless [`delimiter`](Self::delimiter) is set.
    pub const DEFAULT_DELIMITER: u8 = b',';
    /// The character around a field that needs it unless [`quote`](Self::quote) is set.
    pub const DEFAULT_QUOTE: u8 = b'"';

    /// The text between two fields: a character, or several as in `||`.
    /// [`DEFAULT_DELIMITER`](Self::DEFAULT_DELIMITER) when it is not set.
    #[must_use]
    pub fn delimiter(mut self, delimiter: impl Into<Delimiter>) -> Self {
        self.decoder.columns.framer.dialect.delimiter = delimiter.into();
        self
    }

    /// The character around a field that holds delimiters or ends of lines; [`DEFAULT_QUOTE`](Self::DEFAULT_QUOTE) when
    /// it is not set. A quote within quotes is doubled.
    #[must_use]
    pub fn quote(mut self, quote: u8) -> Self {
        self.decoder.columns.framer.dialect.quote = Some(quote);
        self
    }

    /// Quotes are characters as any other: each line is a record.
    #[must_use]
    pub fn without_quotes(mut self) -> Self {
        self.decoder.columns.framer.dialect.quote = None;
        self
    }

    /// Takes text behind a closing quote for a part of its field, and a quote within a field that has none around it
    /// for a character as any other. They are errors of their record when this is not set.
    #[must_use]
    pub fn lenient_quotes(mut self) -> Self {
        self.decoder.columns.framer.dialect.lenient = true;
        self
    }

    /// The character before a quote within quotes, and before itself, as a backslash in some files; none when it is not
    /// set. Doubled quotes are understood as well.
    #[must_use]
    pub fn escape(mut self, escape: u8) -> Self {
        self.decoder.columns.framer.dialect.escape = Some(escape);
        self
    }

    /// A line that begins with this character is passed over up to its `\n`; there are no comments when it is not set.
    #[must_use]
    pub fn comment(mut self, comment: u8) -> Self {
        self.decoder.columns.framer.dialect.comment = Some(comment);
        self
    }

    /// Takes fields, and the names of the header, without the spaces and tabs around them. Those within quotes stay,
    /// those around the quotes go.
    #[must_use]
    pub fn trim(mut self) -> Self {
        self.decoder.columns.framer.dialect.trimmed = true;
        self
    }

    /// A field of this text, such as `\N` or `NULL`, is `None` for an `Option`, as an empty one is; for any other type
    /// it is an error. One in quotes is a text. Can be set several times.
    #[must_use]
    pub fn null_as(mut self, mark: impl Into<String>) -> Self {
        self.decoder.columns.nulls.marks.push(mark.into());
        self
    }

    /// An empty field in quotes is a text without characters, and one without quotes is `None` for an `Option`: as in
    /// `a,"",b` and `a,,b`. Both are `None` when this is not set.
    #[must_use]
    pub fn quoted_empty_is_text(mut self) -> Self {
        self.decoder.columns.nulls.empty = EmptyFields::NullUnlessQuoted;
        self
    }

    /// An empty field is a text without characters, for an `Option` too: only a [mark](Self::null_as) is `None`.
    #[must_use]
    pub fn empty_is_text(mut self) -> Self {
        self.decoder.columns.nulls.empty = EmptyFields::Text;
        self
    }

    /// Takes records that have fewer fields than the others: the missing ones are empty, and `None` for an `Option`.
    #[must_use]
    pub fn short_records(mut self) -> Self {
        self.decoder.columns.short_allowed = true;
        self
    }

    /// Takes records that have more fields than the others: those beyond are dropped.
    #[must_use]
    pub fn long_records(mut self) -> Self {
        self.decoder.columns.long_allowed = true;
        self
    }

    /// The first line is a record, too: fields are taken by their position.
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        self.decoder.has_headers = false;
        self
    }

    /// A file without text has no records, although a header is expected; it is an error when this is not set.
    #[must_use]
    pub fn allow_empty(mut self) -> Self {
        self.decoder.empty_allowed = true;
        self
    }
}
