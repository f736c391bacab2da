//! `JsonLinesReader`: one JSON value per line, typed by serde, resumed by byte offset.

use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::input_file::{InputError, InputFile, InputPosition, Line};
use super::json_error::json_error;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader, read_json};

/// Reads the lines of a file, each a JSON value, as values of `T`.
///
/// ```
/// use oxbatch_core::ChunkStep;
/// use oxbatch_core::item::FunctionWriter;
/// use oxbatch_formats::JsonLinesReader;
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
/// # let job = oxbatch_core::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch_core::BuildError>(())
/// ```
///
/// The text is UTF-8, with or without a byte order mark, with `\n` or `\r\n` at the ends of lines; the last line may go
/// without. Blank lines are passed over. A value may be nested 127 levels deep. A number that the type would cut, as
/// [`read_json`] says, is an error of its line.
///
/// # Compressed input
/// With the features `gzip` and `zstd`, a file that begins as such a one does is decompressed while it is read, all of
/// its members, whatever its name. A truncated or damaged one fails the step. The checkpoint is an offset in the
/// decompressed text; a restart decompresses up to it, for there is no way to seek there.
///
/// # Restart
/// The checkpoint is the offset of the next line: a restart seeks there and reads nothing twice. The file must be the
/// same: one that has grown, shrunk or changed since, as far as its size, its first bytes and the bytes before the
/// offset tell, fails the step with a sentence. Restore the file, or launch with force, which starts anew. A file whose
/// size changes while it is read fails the step, too.
///
/// # Errors
/// A line that cannot be read is an error of kind [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse) with its number, its
/// column, the path within the value and its raw text; the next `read` goes on behind it. Errors of the system while
/// reading are [transient](oxbatch_core::item::ErrorKind::Transient): the position stays before the line.
pub struct JsonLinesReader<T> {
    path: PathBuf,
    max_line_bytes: u32,
    input: Option<InputFile>,
    item: PhantomData<fn() -> T>,
}

impl<T> JsonLinesReader<T> {
    /// Longest line in bytes unless [`max_line_bytes`](Self::max_line_bytes) says otherwise: 1 MiB.
    pub const DEFAULT_MAX_LINE_BYTES: u32 = 1024 * 1024;

    /// Reads the file at `path`, which is not touched before the step runs.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_line_bytes: Self::DEFAULT_MAX_LINE_BYTES, input: None, item: PhantomData }
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

impl<T: DeserializeOwned + Send> ItemReader for JsonLinesReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let place = checkpoint.map(Checkpoint::read::<InputPosition>).transpose()?;
        self.input = None;
        self.input = Some(InputFile::open(&self.path, self.max_line_bytes, place.as_ref())?);
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        match &mut self.input {
            Some(input) => next(input),
            None => Err(self.not_open()),
        }
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        match &self.input {
            Some(input) => input.checkpoint().map(Some),
            None => Err(self.not_open()),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn progress(&self) -> Option<f64> {
        self.input.as_ref()?.progress()
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.input = None;
        Ok(())
    }
}

#[inline]
fn next<T: DeserializeOwned>(input: &mut InputFile) -> Result<Option<T>, ItemError> {
    loop {
        let line = match input.next_line()? {
            Line::Text(line) => line,
            Line::TooLong(fault) => return Err(fault),
            Line::End => return Ok(None),
        };
        // Checked as a whole: the parser does not look into strings that nobody wants.
        let Ok(text) = std::str::from_utf8(input.bytes(&line)) else {
            return Err(input.not_utf8(&line, &format!("line {}", input.line_of(&line))));
        };
        if text.trim_ascii_start().is_empty() {
            continue;
        }
        match read_json(text) {
            Ok(item) => return Ok(Some(item)),
            Err(error) => return Err(json_error(input, &line, &format!("line {}", input.line_of(&line)), &error)),
        }
    }
}

impl<T> std::fmt::Debug for JsonLinesReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonLinesReader").field("path", &self.path).finish_non_exhaustive()
    }
}
