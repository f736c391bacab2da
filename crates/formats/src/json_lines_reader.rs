//! `JsonLinesReader`: one JSON value per line, typed by serde, resumed by byte offset.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::json_error::json_error;
use super::{DecodeError, FileReader, LineFramer, RecordDecoder};
use oxbatch_core::item::read_json;

/// Reads the lines of a file, each a JSON value, as values of `T`.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, JsonLinesReader};
///
/// #[derive(serde::Deserialize)]
/// struct Strike {
///     species: String,
///     speed: Option<u32>,
/// }
///
/// let step = ChunkStep::builder("Import")
///     .reader(|_| Ok(JsonLinesReader::<Strike>::new("data/strikes.jsonl")))
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Strike]| {
///         println!("{} strikes", chunk.len());
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// Lines end with `\n` or `\r\n`; the last line may go without. Blank lines are passed over. A value may be nested 127
/// levels deep. A number that the type would cut, as [`read_json`] says, is an error of its line.
///
/// Encodings, compressed input, restarts and errors are those of every [`FileReader`]; an error names the path within
/// the value.
pub type JsonLinesReader<T> = FileReader<JsonLinesDecoder<T>>;

impl<T> JsonLinesReader<T> {
    /// Longest line in bytes unless [`max_line_bytes`](Self::max_line_bytes) is set: 1 MiB.
    pub const DEFAULT_MAX_LINE_BYTES: u32 = Self::DEFAULT_MAX_RECORD_BYTES;

    /// Longest line, and the bound of the memory that one takes;
    /// [`DEFAULT_MAX_LINE_BYTES`](Self::DEFAULT_MAX_LINE_BYTES) when it is not set.
    #[must_use]
    pub fn max_line_bytes(self, bytes: u32) -> Self {
        self.max_record_bytes(bytes)
    }

    /// Passes over lines that begin with this text, such as `#` or `//`; there are no comments when it is not set.
    #[must_use]
    pub fn comment(mut self, mark: impl Into<String>) -> Self {
        self.decoder.lines.set_comment(mark);
        self
    }
}

/// Reads lines of JSON; made by [`JsonLinesReader`].
#[derive(Debug)]
pub struct JsonLinesDecoder<T> {
    lines: LineFramer,
    item: PhantomData<fn() -> T>,
}

impl<T> Default for JsonLinesDecoder<T> {
    fn default() -> Self {
        Self { lines: LineFramer::new(), item: PhantomData }
    }
}

impl<T: DeserializeOwned + Send> RecordDecoder for JsonLinesDecoder<T> {
    type Item = T;
    type Framer = LineFramer;

    #[inline]
    fn framer(&mut self) -> &mut LineFramer {
        &mut self.lines
    }

    #[inline]
    fn decode(&mut self, line: &str) -> Result<Option<T>, DecodeError> {
        if line.trim_ascii_start().is_empty() {
            return Ok(None);
        }
        read_json(line).map(Some).map_err(|error| json_error(&error))
    }

    fn fork(&self) -> Option<Self> {
        Some(Self { lines: self.lines.clone(), item: PhantomData })
    }
}
