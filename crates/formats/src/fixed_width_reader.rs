//! `FixedWidthReader`: lines whose columns stand at fixed places, typed by serde, resumed by byte offset.

mod layout;
mod lines;
mod mixed;

use std::marker::PhantomData;
use std::ops::Range;

use serde::de::DeserializeOwned;

use super::record_fields::{EmptyFields, FieldTypes};
use super::{DecodeError, FileReader, LineFramer, RecordDecoder};
pub use layout::FixedWidthLayout;
use lines::{FixedWidth, FixedWidthLines};
pub use mixed::{MixedFixedWidthDecoder, MixedFixedWidthReader};
use oxbatch_core::item::ItemError;

/// Reads the lines of a file, cut into columns by their characters, as values of `T`.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FixedWidthReader, FunctionWriter};
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
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// Columns are counted in characters, from 0, the end not included. Their text is not changed unless the column is
/// trimmed, so a number that is padded by blanks needs a trimmed column; an empty text is `None` for an `Option`. Every
/// line must be as long as its last column's end, see [`line_width`](FixedWidthReader::line_width),
/// [`short_lines`](FixedWidthReader::short_lines) and [`long_lines`](FixedWidthReader::long_lines). Columns may be in
/// any order, leave gaps and overlap. Files whose lines are of several types are read by [`MixedFixedWidthReader`].
///
/// Lines end with `\n` or `\r\n`; the last line may go without. Empty lines are passed over.
///
/// Encodings, compressed input, restarts and errors are those of every [`FileReader`].
pub type FixedWidthReader<T> = FileReader<FixedWidthDecoder<T>>;

impl<T> FixedWidthReader<T> {
    fn layout(mut self, change: impl FnOnce(FixedWidthLayout) -> FixedWidthLayout) -> Self {
        self.decoder.layout = change(self.decoder.layout);
        self
    }

    /// Adds a column whose text is taken as it stands.
    #[must_use]
    pub fn column(self, name: &str, characters: Range<usize>) -> Self {
        self.layout(|layout| layout.column(name, characters))
    }

    /// Adds a column whose text is taken without the blanks around it.
    #[must_use]
    pub fn trimmed_column(self, name: &str, characters: Range<usize>) -> Self {
        self.layout(|layout| layout.trimmed_column(name, characters))
    }

    /// Characters of a line without its end; the end of the last column when it is not set.
    #[must_use]
    pub fn line_width(self, characters: usize) -> Self {
        self.layout(|layout| layout.line_width(characters))
    }

    /// Takes lines that are shorter than they should be, as where an editor has cut the blanks at their ends: what is
    /// missing is empty.
    #[must_use]
    pub fn short_lines(self) -> Self {
        self.layout(FixedWidthLayout::short_lines)
    }

    /// Takes lines that are longer than they should be: what stands behind their width is dropped.
    #[must_use]
    pub fn long_lines(self) -> Self {
        self.layout(FixedWidthLayout::long_lines)
    }
}

/// The settings of all readers of fixed width.
#[expect(private_bounds, reason = "the decoders of fixed width are all here")]
impl<D: FixedWidth> FileReader<D> {
    /// Longest line in bytes unless [`max_line_bytes`](Self::max_line_bytes) is set: 1 MiB.
    pub const DEFAULT_MAX_LINE_BYTES: u32 = Self::DEFAULT_MAX_RECORD_BYTES;

    /// A field of this text, such as `NULL` or `9999-12-31`, is `None` for an `Option`, as an empty one is; for any
    /// other type it is an error. Can be set several times.
    #[must_use]
    pub fn null_as(mut self, mark: impl Into<String>) -> Self {
        self.decoder.lines().nulls.marks.push(mark.into());
        self
    }

    /// An empty field is a text without characters, for an `Option` too: only a [mark](Self::null_as) is `None`.
    #[must_use]
    pub fn empty_is_text(mut self) -> Self {
        self.decoder.lines().nulls.empty = EmptyFields::Text;
        self
    }

    /// Passes over lines that begin with this text; there are no comments when it is not set.
    #[must_use]
    pub fn comment(mut self, mark: impl Into<String>) -> Self {
        self.decoder.lines().framer.set_comment(mark);
        self
    }

    /// Longest line, and the bound of the memory that one takes;
    /// [`DEFAULT_MAX_LINE_BYTES`](Self::DEFAULT_MAX_LINE_BYTES) when it is not set.
    #[must_use]
    pub fn max_line_bytes(self, bytes: u32) -> Self {
        self.max_record_bytes(bytes)
    }
}

impl<T> FixedWidth for FixedWidthDecoder<T> {
    fn lines(&mut self) -> &mut FixedWidthLines {
        &mut self.lines
    }
}

/// Reads lines of fixed width; made by [`FixedWidthReader`].
pub struct FixedWidthDecoder<T> {
    lines: FixedWidthLines,
    layout: FixedWidthLayout,
    /// The knowledge of the fields that the type leaves open.
    types: FieldTypes,
    item: PhantomData<fn() -> T>,
}

impl<T> Default for FixedWidthDecoder<T> {
    fn default() -> Self {
        Self {
            lines: FixedWidthLines::default(),
            layout: FixedWidthLayout::new(),
            types: FieldTypes::default(),
            item: PhantomData,
        }
    }
}

impl<T: DeserializeOwned + Send> RecordDecoder for FixedWidthDecoder<T> {
    type Item = T;
    type Framer = LineFramer;

    #[inline]
    fn framer(&mut self) -> &mut LineFramer {
        &mut self.lines.framer
    }

    fn check(&mut self) -> Result<(), ItemError> {
        Ok(self.layout.check()?)
    }

    #[inline]
    fn decode(&mut self, line: &str) -> Result<Option<T>, DecodeError> {
        let record = self.lines.cut(line, &self.layout)?;
        let names = Some(self.layout.names());
        self.types.decode(record, names).map(Some).map_err(|error| error.into_decode_error(record, names))
    }

    fn fork(&self) -> Option<Self> {
        let (lines, layout) = (self.lines.clone(), self.layout.clone());
        Some(Self { lines, layout, types: FieldTypes::default(), item: PhantomData })
    }
}

impl<T> std::fmt::Debug for FixedWidthDecoder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FixedWidthDecoder").field("layout", &self.layout).finish_non_exhaustive()
    }
}
