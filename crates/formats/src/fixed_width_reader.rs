//! `FixedWidthReader`: lines whose columns stand at fixed places, typed by serde, resumed by byte offset.

mod layout;
mod mixed;

use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use serde::de::DeserializeOwned;

use super::input_file::{InputError, InputFile, InputPosition, Line, RecordError, shown};
use super::record_fields::{FieldError, FieldTypes};
pub use layout::FixedWidthLayout;
pub use mixed::MixedFixedWidthReader;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader};

/// Reads the lines of a file, cut into columns by their characters, as values of `T`.
///
/// ```
/// use oxbatch_core::ChunkStep;
/// use oxbatch_core::item::FunctionWriter;
/// use oxbatch_formats::FixedWidthReader;
///
/// #[derive(serde::Deserialize)]
/// struct Strike {
///     species: String,
///     speed: Option<u32>,
/// }
///
/// // Canada goose        140
/// let step = ChunkStep::builder("Import")
///     .reader(|_| Ok(FixedWidthReader::<Strike>::new("data/strikes.txt")
///         .trimmed_column("species", 0..20)
///         .trimmed_column("speed", 20..23)))
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Strike]| {
///         println!("{} strikes", chunk.len());
///         Ok(())
///     })));
/// # let job = oxbatch_core::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch_core::BuildError>(())
/// ```
///
/// Columns are counted in characters, from 0, the end not included. Their text is not changed unless the column is
/// trimmed, so a number that is padded by blanks needs a trimmed column; an empty text is `None` for an `Option`. Every
/// line must be as long as its last column's end, see [`line_width`](Self::line_width) and
/// [`short_lines`](Self::short_lines). Columns may be in any order, leave gaps and overlap. Files whose lines are of
/// several types are read by [`MixedFixedWidthReader`](super::MixedFixedWidthReader).
///
/// The text is UTF-8, with or without a byte order mark, with `\n` or `\r\n` at the ends of lines; the last line may go
/// without. Empty lines are passed over. A file that is compressed with gzip or zstd is known by its content and needs
/// the feature of that name; its restart decompresses up to the checkpoint.
///
/// # Restart
/// The checkpoint is the offset of the next line: a restart seeks there and reads nothing twice. The file must be the
/// same: one that has grown, shrunk or changed since, as far as its size, its first bytes and the bytes before the
/// offset tell, fails the step with a sentence. A file whose size changes while it is read fails the step, too.
///
/// # Errors
/// A line that cannot be read is an error of kind [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse) with its number, where
/// known its column, and its raw text; the next `read` goes on behind it. Errors of the system while reading are
/// [transient](oxbatch_core::item::ErrorKind::Transient): the position stays before the line.
pub struct FixedWidthReader<T> {
    path: PathBuf,
    layout: FixedWidthLayout,
    max_line_bytes: u32,
    open: Option<Open>,
    item: PhantomData<fn() -> T>,
}

struct Open {
    input: InputFile,
    /// Used again for all lines.
    record: StringRecord,
    /// Where the characters of a line begin, for one that is not ASCII.
    starts: Vec<usize>,
    /// What is known of the fields that a type leaves open.
    types: FieldTypes,
}

impl<T> FixedWidthReader<T> {
    /// Longest line in bytes unless [`max_line_bytes`](Self::max_line_bytes) says otherwise: 1 MiB.
    pub const DEFAULT_MAX_LINE_BYTES: u32 = 1024 * 1024;

    /// Reads the file at `path`, which is not touched before the step runs.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            layout: FixedWidthLayout::new(),
            max_line_bytes: Self::DEFAULT_MAX_LINE_BYTES,
            open: None,
            item: PhantomData,
        }
    }

    /// Adds a column whose text is taken as it stands.
    #[must_use]
    pub fn column(mut self, name: &str, characters: Range<usize>) -> Self {
        self.layout = self.layout.column(name, characters);
        self
    }

    /// Adds a column whose text is taken without the blanks around it.
    #[must_use]
    pub fn trimmed_column(mut self, name: &str, characters: Range<usize>) -> Self {
        self.layout = self.layout.trimmed_column(name, characters);
        self
    }

    /// Characters of a line without its end; the end of the last column when it is not set.
    #[must_use]
    pub fn line_width(mut self, characters: usize) -> Self {
        self.layout = self.layout.line_width(characters);
        self
    }

    /// Takes lines that are shorter than they should be, as where an editor has cut the blanks at their ends: what is
    /// missing is empty.
    #[must_use]
    pub fn short_lines(mut self) -> Self {
        self.layout = self.layout.short_lines();
        self
    }

    /// Longest line, and the bound of the memory that one takes;
    /// [`DEFAULT_MAX_LINE_BYTES`](Self::DEFAULT_MAX_LINE_BYTES) when it is not set.
    #[must_use]
    pub fn max_line_bytes(mut self, bytes: u32) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    fn not_open(&self) -> ItemError {
        InputError::NotOpen { path: self.path.clone() }.into()
    }
}

impl<T: DeserializeOwned + Send> ItemReader for FixedWidthReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let place = || format!("input file '{}'", self.path.display());
        self.layout.check().map_err(|fault| ItemError::other(fault).at(place()))?;
        self.open = None;
        self.open = Some(Open::at(&self.path, self.max_line_bytes, checkpoint)?);
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        match &mut self.open {
            Some(open) => open.next(&self.layout),
            None => Err(self.not_open()),
        }
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        match &self.open {
            Some(open) => open.input.checkpoint().map(Some),
            None => Err(self.not_open()),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn progress(&self) -> Option<f64> {
        self.open.as_ref()?.input.progress()
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.open = None;
        Ok(())
    }
}

impl Open {
    fn at(path: &Path, max_line_bytes: u32, checkpoint: Option<&Checkpoint>) -> Result<Self, ItemError> {
        let place = checkpoint.map(Checkpoint::read::<InputPosition>).transpose()?;
        let input = InputFile::open(path, max_line_bytes, place.as_ref())?;
        Ok(Self { input, record: StringRecord::new(), starts: Vec::new(), types: FieldTypes::default() })
    }

    /// The next line that is not empty.
    #[inline]
    fn next_line(&mut self) -> Result<Option<Range<usize>>, ItemError> {
        loop {
            match self.input.next_line()? {
                Line::Text(line) if line.is_empty() => {}
                Line::Text(line) => return Ok(Some(line)),
                Line::TooLong(fault) => return Err(fault),
                Line::End => return Ok(None),
            }
        }
    }

    #[inline]
    fn next<T: DeserializeOwned>(&mut self, layout: &FixedWidthLayout) -> Result<Option<T>, ItemError> {
        let Some(line) = self.next_line()? else { return Ok(None) };
        let Ok(text) = std::str::from_utf8(self.input.bytes(&line)) else {
            return Err(self.input.not_utf8(&line, &format!("line {}", self.input.line_of(&line))));
        };
        match layout.cut(text, &mut self.record, &mut self.starts) {
            Ok(()) => {}
            Err(fault) => return Err(self.fault(&line, fault)),
        }
        match self.types.decode(&self.record, Some(layout.names())) {
            Ok(item) => Ok(Some(item)),
            Err(fault) => Err(self.field_error(&line, layout.names(), fault)),
        }
    }

    #[cold]
    fn fault(&self, line: &Range<usize>, fault: RecordError) -> ItemError {
        self.input.record_error(line, &format!("line {}", self.input.line_of(line)), fault)
    }

    #[cold]
    fn field_error(&self, line: &Range<usize>, names: &StringRecord, fault: FieldError) -> ItemError {
        let FieldError { field, problem } = fault;
        let value = field.and_then(|field| self.record.get(field)).map(shown);
        let fault = RecordError::Field { value, problem };
        let number = self.input.line_of(line);
        match field.and_then(|field| names.get(field)) {
            Some(name) => self.input.record_error(line, &format!("line {number}, column '{name}'"), fault),
            None => self.fault(line, fault),
        }
    }
}

impl<T> std::fmt::Debug for FixedWidthReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FixedWidthReader").field("path", &self.path).finish_non_exhaustive()
    }
}
