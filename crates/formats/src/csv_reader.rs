//! `CsvReader`: delimited text, typed by serde, resumed by byte offset.

mod dialect;
mod error;
mod fields;
mod mixed;
mod open;
mod source;

use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::input_error::InputError;
use dialect::Dialect;
use error::CsvError;
use fields::check_header;
pub use mixed::MixedCsvReader;
use open::Open;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader};
use source::{Bounded, Original};

/// Bytes that are read from the file at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// Reads the records of a delimited text file as values of `T`, by the names in its header.
///
/// ```
/// use oxbatch_core::ChunkStep;
/// use oxbatch_core::item::FunctionWriter;
/// use oxbatch_formats::CsvReader;
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
/// # let job = oxbatch_core::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch_core::BuildError>(())
/// ```
///
/// The text is read as RFC 4180 describes it, in UTF-8, with or without a byte order mark, with `\n`, `\r\n` or `\r` at
/// the ends of records. Fields are not trimmed; blank lines are passed over. All records must have as many fields as
/// the header, or as the first record where there is none. A file that ends within quotes is an error of its last record: it
/// was cut off. A struct takes its fields by the names of the header, and by their position
/// [without one](Self::without_headers); a tuple always takes them by position. Files whose records differ are read by
/// [`MixedCsvReader`](super::MixedCsvReader).
///
/// A field is text unless the type asks for something else: a map, a `serde_json::Value` and a flattened struct get
/// `00501` as it stands. A number that its type cannot hold, too large or too small, is an error.
///
/// # Header
/// It is checked when the file is opened, before the step replaces any output: a header that names none of the fields,
/// lacks one that must be there or names one twice fails the step, as does a file that is
/// [empty](Self::allow_empty).
///
/// # Compressed input
/// With the features `gzip` and `zstd`, a file that begins as such a one does is decompressed while it is read, all of
/// its members, whatever its name. A truncated or damaged one fails the step. Checkpoints are offsets in the decompressed
/// text; a restart decompresses up to its one, for there is no way to seek there. They cost a second decompression.
///
/// # Restart
/// The checkpoint is the offset of the next record: a restart seeks there and reads nothing twice. The file must be the
/// same: one that has grown, shrunk or changed since, as far as its size, its first bytes and the bytes before the
/// offset tell, fails the step with a sentence. Restore the file, or launch with force, which starts anew. A file whose
/// size changes while it is read fails the step, too.
///
/// # Errors
/// A record that cannot be read is an error of kind [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse) with its line, where
/// known its column, and its raw text; the next `read` goes on behind it. Errors of the system while reading are
/// [transient](oxbatch_core::item::ErrorKind::Transient): the position stays before the record.
pub struct CsvReader<T> {
    path: PathBuf,
    dialect: Dialect,
    has_headers: bool,
    max_record_bytes: u64,
    empty_allowed: bool,
    open: Option<Open>,
    /// What kept the next item from being at hand, to be reported by `read`.
    held: Option<ItemError>,
    item: PhantomData<fn() -> T>,
}

/// What is stored with each commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct CsvPosition {
    /// Where the next record begins.
    byte: u64,
    line: u64,
    /// Records before it.
    record: u64,
    /// Fields of a record; 0 as long as none was read of a file without a header.
    width: usize,
    /// Size of the whole file.
    size: u64,
    /// Fingerprint of its first bytes.
    head: u64,
    /// Fingerprint of the bytes before the next record.
    tail: u64,
}

impl<T> CsvReader<T> {
    /// What stands between two fields unless [`delimiter`](Self::delimiter) says otherwise.
    pub const DEFAULT_DELIMITER: u8 = b',';
    /// What stands around a field that needs it unless [`quote`](Self::quote) says otherwise.
    pub const DEFAULT_QUOTE: u8 = b'"';
    /// Longest record in bytes unless [`max_record_bytes`](Self::max_record_bytes) says otherwise: 1 MiB.
    pub const DEFAULT_MAX_RECORD_BYTES: u32 = 1024 * 1024;

    /// Reads the file at `path`, which is not touched before the step runs.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            dialect: Dialect {
                delimiter: Self::DEFAULT_DELIMITER,
                quote: Some(Self::DEFAULT_QUOTE),
                escape: None,
                comment: None,
            },
            has_headers: true,
            max_record_bytes: u64::from(Self::DEFAULT_MAX_RECORD_BYTES),
            empty_allowed: false,
            open: None,
            held: None,
            item: PhantomData,
        }
    }

    /// What stands between two fields; [`DEFAULT_DELIMITER`](Self::DEFAULT_DELIMITER) when it is not set.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.dialect.delimiter = delimiter;
        self
    }

    /// What stands around a field that holds delimiters or ends of lines; [`DEFAULT_QUOTE`](Self::DEFAULT_QUOTE) when it
    /// is not set. A quote within quotes is doubled.
    #[must_use]
    pub fn quote(mut self, quote: u8) -> Self {
        self.dialect.quote = Some(quote);
        self
    }

    /// Quotes are characters as any other: each line is a record.
    #[must_use]
    pub fn without_quotes(mut self) -> Self {
        self.dialect.quote = None;
        self
    }

    /// What stands before a quote within quotes, and before itself, as a backslash does in some files; none when it is
    /// not set. Doubled quotes are understood as well.
    #[must_use]
    pub fn escape(mut self, escape: u8) -> Self {
        self.dialect.escape = Some(escape);
        self
    }

    /// A line that begins with this character is passed over up to its `\n`; there are no comments when it is not set.
    #[must_use]
    pub fn comment(mut self, comment: u8) -> Self {
        self.dialect.comment = Some(comment);
        self
    }

    /// The first line is a record, too: fields are taken by their position.
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        self.has_headers = false;
        self
    }

    /// A file of no bytes has no records, although a header is expected; it is an error when this is not set.
    #[must_use]
    pub fn allow_empty(mut self) -> Self {
        self.empty_allowed = true;
        self
    }

    /// Longest record, comments before it included, and the bound of the memory that one takes: a quote that is never closed would make a record of
    /// the rest of the file. [`DEFAULT_MAX_RECORD_BYTES`](Self::DEFAULT_MAX_RECORD_BYTES) when it is not set.
    #[must_use]
    pub fn max_record_bytes(mut self, bytes: u32) -> Self {
        self.max_record_bytes = u64::from(bytes);
        self
    }

    fn open_file(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let place = checkpoint.map(Checkpoint::read::<CsvPosition>).transpose()?;
        (self.open, self.held) = (None, None);
        self.dialect.check()?;
        let original = Original::open(&self.path, self.dialect)?;
        let csv = self
            .dialect
            .parser()
            .has_headers(self.has_headers)
            // The width is checked here: without a header, the parser's own would begin anew with each attempt.
            .flexible(true)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Bounded::open(&self.path, self.max_record_bytes)?);
        let mut open = Open::new(csv, original, self.max_record_bytes);
        if self.has_headers {
            open.read_headers()?;
            // On a restart it is another file than it was, which is said below.
            if place.is_none() && open.width == 0 && !self.empty_allowed {
                return Err(open.header_error(CsvError::Empty));
            }
        }
        if let Some(place) = place {
            open.resume(&place)?;
        }
        self.open = Some(open);
        Ok(())
    }

    fn opened(&mut self) -> Result<&mut Open, ItemError> {
        match &mut self.open {
            Some(open) => Ok(open),
            None => Err(InputError::NotOpen { path: self.path.clone() }.into()),
        }
    }

    fn place(&mut self) -> Result<Checkpoint, ItemError> {
        Checkpoint::new(&self.opened()?.place()?)
    }

    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn share(&self) -> Option<f64> {
        let open = self.open.as_ref()?;
        let size = open.original.size();
        let read = open.csv.get_ref().read_of_file().unwrap_or(open.csv.position().byte());
        (size > 0).then(|| read as f64 / size as f64)
    }
}

impl<T: DeserializeOwned> CsvReader<T> {
    /// The next item.
    #[inline(always)]
    fn take(&mut self) -> Result<Option<T>, ItemError> {
        let open = self.opened()?;
        if open.advance()? { open.decode().map(Some) } else { Ok(None) }
    }
}

impl<T: DeserializeOwned + Send> ItemReader for CsvReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.open_file(checkpoint)?;
        let open = self.opened()?;
        let checked = open.headers.as_ref().filter(|headers| !headers.is_empty()).map(check_header::<T>);
        open.by_position = checked.transpose().map_err(|fault| open.header_error(fault))?.unwrap_or(false);
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        match self.held.take() {
            Some(fault) => Err(fault),
            None => self.take(),
        }
    }

    #[inline]
    fn read_now(&mut self) -> Option<T> {
        if self.held.is_some() {
            return None;
        }
        match self.take() {
            Ok(item) => item,
            Err(fault) => {
                self.held = Some(fault);
                None
            }
        }
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.place().map(Some)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn progress(&self) -> Option<f64> {
        self.share()
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.open = None;
        Ok(())
    }
}

impl<T> std::fmt::Debug for CsvReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvReader").field("path", &self.path).finish_non_exhaustive()
    }
}
