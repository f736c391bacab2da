//! `FileReader`: what all readers of text files do alike; a format is a [`RecordDecoder`].

mod blocks;
mod record_decoder;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::input_error::InputError;
use super::text_input::{FilePosition, InputSettings, TextInput};
use oxbatch_core::item::{BlockReader, Checkpoint, ItemError, ItemReader, Origin, Position};
pub use record_decoder::{DecodeError, Framer, RecordDecoder};
use serde::Deserialize;

/// Reads the records of a text file as items, in the format of a decoder.
///
/// The formats are [aliases](crate#items) with a decoder of their own. A format of the author's is a [`RecordDecoder`]:
///
/// ```
/// use oxbatch::item::{DecodeError, FileReader, LineFramer, RecordDecoder};
///
/// /// Lines of `key = value`.
/// #[derive(Default)]
/// struct KeyValue {
///     lines: LineFramer,
/// }
///
/// impl RecordDecoder for KeyValue {
///     type Item = (String, u64);
///     type Framer = LineFramer;
///
///     fn framer(&mut self) -> &mut LineFramer {
///         &mut self.lines
///     }
///
///     fn decode(&mut self, line: &str) -> Result<Option<(String, u64)>, DecodeError> {
///         let (key, value) = line.split_once('=').ok_or_else(|| DecodeError::new("there is no '='"))?;
///         Ok(Some((key.trim().to_owned(), value.trim().parse()?)))
///     }
/// }
///
/// let reader = FileReader::<KeyValue>::new("data/counts.txt");
/// ```
///
/// All of them have this in common:
///
/// - **Text.** UTF-8, with or without a byte order mark, unless [`encoding`](Self::encoding) names another encoding.
/// - **Compressed input.** With the features `gzip` and `zstd`, a file that begins as such a file does is decompressed
///   while it is read, all of its members, whatever its name. A truncated or damaged one fails the step.
/// - **Restart.** The checkpoint is the offset of the next record in the text: a restart seeks there and reads nothing
///   twice. In a compressed file, or one of another encoding, it reads up to there. The file must be the same: one that
///   has grown, shrunk or changed since, as far as its size, its first bytes and the text before the offset show, fails
///   the step with a sentence. Restore the file, or launch with force, which starts anew. A file whose size changes
///   while it is read fails the step, too.
/// - **Errors.** A record that cannot be read is an error of kind
///   [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse) with its file, its line, where known its column, and
///   its raw text; the next `read` goes on behind it. Errors of the system while reading are
///   [transient](oxbatch_core::item::ErrorKind::Transient): the position stays before the record.
/// - **Memory.** One record at most, whose length is [bounded](Self::max_record_bytes).
pub struct FileReader<D> {
    path: PathBuf,
    settings: InputSettings,
    missing_allowed: bool,
    pub(super) decoder: D,
    input: Input,
    /// The record of the last item: its range in the window of the input, and its number.
    last: Option<(Range<usize>, u64)>,
    /// The path, shared by the origins of all items.
    shared_path: Arc<Path>,
    /// The error that kept the next item from being returned by `read_now`, to be returned by `read`.
    held: Option<ItemError>,
}

/// The type of what is stored with each commit.
type PositionOf<D> = <<D as RecordDecoder>::Framer as Framer>::Position;

enum Input {
    Closed,
    /// There is no file, which is allowed.
    Missing,
    Open(TextInput),
}

impl<D: Default> FileReader<D> {
    /// Reads the file at `path`, which is not touched before the step runs.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_decoder(path, D::default())
    }
}

impl<D> FileReader<D> {
    /// Longest record in bytes unless [`max_record_bytes`](Self::max_record_bytes) is set: 1 MiB.
    pub const DEFAULT_MAX_RECORD_BYTES: u32 = 1024 * 1024;

    /// Reads the file at `path` by a decoder that has settings of its own.
    pub fn with_decoder(path: impl Into<PathBuf>, decoder: D) -> Self {
        let settings =
            InputSettings { max_record_bytes: Self::DEFAULT_MAX_RECORD_BYTES, skip_lines: 0, encoding: None };
        Self::with_settings(path.into(), settings, decoder)
    }

    fn with_settings(path: PathBuf, settings: InputSettings, decoder: D) -> Self {
        let shared_path = Arc::from(path.as_path());
        Self {
            path,
            settings,
            missing_allowed: false,
            decoder,
            input: Input::Closed,
            last: None,
            shared_path,
            held: None,
        }
    }

    /// Longest record in bytes, and the bound of the memory that one takes: a quote or a bracket that is never closed
    /// would make a record of the rest of the file. [`DEFAULT_MAX_RECORD_BYTES`](Self::DEFAULT_MAX_RECORD_BYTES) when
    /// it is not set.
    #[must_use]
    pub fn max_record_bytes(mut self, bytes: u32) -> Self {
        self.settings.max_record_bytes = bytes;
        self
    }

    /// Passes over so many lines at the start of the file, whatever is in them and whatever their length: a title, a
    /// date, a note of the sender. A header comes behind them. A file that ends within them fails the step, unless it
    /// has no text at all.
    #[must_use]
    pub fn skip_lines(mut self, lines: u64) -> Self {
        self.settings.skip_lines = lines;
        self
    }

    /// The encoding of the file, by a label of the [Encoding
    /// Standard](https://encoding.spec.whatwg.org/#names-and-labels): `windows-1252`, `iso-8859-2`, `shift_jis`,
    /// `utf-16le`. UTF-8 when it is not set.
    ///
    /// A byte order mark at the start of the file has the last word: `utf-16` with a mark is of its byte order, without
    /// one it is little-endian. As the standard has it, `iso-8859-1` and `ascii` are labels of `windows-1252`. Bytes
    /// that stand for nothing in the encoding are an error of their record.
    #[cfg(feature = "encoding")]
    #[must_use]
    pub fn encoding(mut self, label: impl Into<String>) -> Self {
        self.settings.encoding = Some(label.into());
        self
    }

    /// A file that is not there has no records; it is an error when this is not set. A file that was there when an
    /// earlier attempt began must still be there.
    #[must_use]
    pub fn allow_missing(mut self) -> Self {
        self.missing_allowed = true;
        self
    }

    /// Changes the decoder: for the settings of a format.
    #[must_use]
    pub fn decoder(mut self, change: impl FnOnce(&mut D)) -> Self {
        change(&mut self.decoder);
        self
    }

    /// The same file, read by another decoder.
    #[cfg(feature = "csv")]
    pub(super) fn map_decoder<E>(self, decoder: impl FnOnce(D) -> E) -> FileReader<E> {
        let Self { path, settings, missing_allowed, decoder: old, .. } = self;
        FileReader { missing_allowed, ..FileReader::with_settings(path, settings, decoder(old)) }
    }

    fn not_open(&self) -> ItemError {
        InputError::NotOpen { path: self.path.clone() }.into()
    }
}

impl<D: RecordDecoder> FileReader<D> {
    fn open_file(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        (self.input, self.last, self.held) = (Input::Closed, None, None);
        let stored: Option<PositionOf<D>> = checkpoint.map(Checkpoint::read).transpose()?;
        self.decoder.check().map_err(|error| error.in_file(&self.path))?;
        self.decoder.framer().check().map_err(|error| error.in_file(&self.path))?;
        // Twice: the position is checked before the header is read, and the framer goes to it behind the header.
        let position = match stored {
            Some(stored) => {
                let position = self.decoder.framer().resume(stored).map_err(|error| error.in_file(&self.path))?;
                position
                    .check_counts(&self.path, self.decoder.framer().records())
                    .map_err(InputError::into_item_error)?;
                Some(position)
            }
            None => None,
        };
        if self.is_missing(position.as_ref())? {
            self.input = Input::Missing;
            return Ok(());
        }
        let mut input = TextInput::open(&self.path, &self.settings, position.as_ref())?;
        self.decoder.begin(&mut input)?;
        if let (Some(position), Some(checkpoint)) = (&position, checkpoint) {
            self.decoder.framer().resume(checkpoint.read()?)?;
            input.resume(position).map_err(InputError::into_item_error)?;
        }
        self.input = Input::Open(input);
        Ok(())
    }

    /// True if there is no file, which is allowed: a file that was there or comes later is another input.
    fn is_missing(&self, position: Option<&FilePosition>) -> Result<bool, ItemError> {
        let was_missing = position.map(FilePosition::is_of_missing_file);
        if !self.missing_allowed && was_missing != Some(true) {
            return Ok(false);
        }
        let is_missing = matches!(std::fs::metadata(&self.path), Err(error) if error.kind() == io::ErrorKind::NotFound);
        match was_missing {
            Some(true) if !is_missing => {
                let difference = "it was not there and is now".to_owned();
                Err(InputError::Changed { path: self.path.clone(), difference }.into_item_error())
            }
            Some(false) => Ok(false),
            _ => Ok(is_missing && self.missing_allowed),
        }
    }

    /// The next item.
    // Always: measured with `CsvReader`, whose items are small.
    #[inline(always)]
    fn take(&mut self) -> Result<Option<D::Item>, ItemError> {
        let Input::Open(input) = &mut self.input else { return self.without_input() };
        self.last = None;
        input.recover()?;
        loop {
            let Some(record) = self.decoder.framer().next(input)? else { return Ok(None) };
            let Ok(text) = std::str::from_utf8(input.bytes(&record)) else {
                return Err(not_text(&mut self.decoder, input, &record));
            };
            match self.decoder.decode(text) {
                Ok(Some(item)) => {
                    self.last = Some((record, self.decoder.framer().records()));
                    return Ok(Some(item));
                }
                Ok(None) => {}
                Err(error) => return Err(record_error(&mut self.decoder, input, &record, error)),
            }
        }
    }

    #[cold]
    fn without_input(&self) -> Result<Option<D::Item>, ItemError> {
        if matches!(self.input, Input::Missing) { Ok(None) } else { Err(self.not_open()) }
    }
}

/// The error of a record, with its file, its position and its text.
#[cold]
pub(super) fn record_error<D: RecordDecoder>(
    decoder: &mut D,
    input: &TextInput,
    record: &Range<usize>,
    error: DecodeError,
) -> ItemError {
    let number = decoder.framer().records();
    let mut position = D::Framer::shown_position(input.line_of(record), number).to_string();
    if let Some(part) = error.part {
        position = format!("{position}, {part}");
    }
    input.record_error(record, &position, error.cause)
}

/// The error of a record that is no text.
#[cold]
pub(super) fn not_text<D: RecordDecoder>(decoder: &mut D, input: &TextInput, record: &Range<usize>) -> ItemError {
    let valid = input.bytes(record).utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let part = decoder.part_at(valid);
    record_error(decoder, input, record, DecodeError::new(input.not_text()).at(part))
}

impl<D: RecordDecoder> ItemReader for FileReader<D> {
    type Item = D::Item;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.open_file(checkpoint)
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<D::Item>, ItemError> {
        match self.held.take() {
            Some(error) => Err(error),
            None => self.take(),
        }
    }

    #[inline]
    fn read_now(&mut self) -> Option<D::Item> {
        if self.held.is_some() {
            return None;
        }
        match self.take() {
            Ok(item) => item,
            Err(error) => {
                self.held = Some(error);
                None
            }
        }
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        /// A position that keeps that of the file apart.
        #[derive(Deserialize)]
        struct Apart {
            file: FilePosition,
        }
        let flat = checkpoint.read::<FilePosition>();
        let position = flat.or_else(|_| checkpoint.read::<Apart>().map(|apart| apart.file)).ok()?;
        Some(Origin::at(Position::Line(position.line())))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let position = match &self.input {
            Input::Closed => return Err(self.not_open()),
            Input::Missing => FilePosition::of_missing_file(),
            Input::Open(input) => input.position(),
        };
        Checkpoint::new(&self.decoder.framer().position(position)).map(Some)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn progress(&self) -> Option<f64> {
        if let Input::Open(input) = &self.input { input.progress() } else { None }
    }

    fn origin(&self) -> Option<Origin> {
        let (Input::Open(input), Some((record, number))) = (&self.input, &self.last) else { return None };
        let position = D::Framer::shown_position(input.line_of(record), *number);
        Some(Origin::in_file(&self.shared_path, position))
    }

    fn split(&mut self, readers: usize) -> Vec<Box<dyn BlockReader<D::Item>>>
    where
        Self: 'static,
    {
        let Self { decoder, input: Input::Open(input), shared_path, held: None, .. } = self else { return Vec::new() };
        let blocks = blocks::split(decoder, input, shared_path, readers).unwrap_or_default();
        blocks.into_iter().map(|reader| Box::new(reader) as Box<dyn BlockReader<D::Item>>).collect()
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.input = Input::Closed;
        Ok(())
    }
}

impl<D> std::fmt::Debug for FileReader<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileReader").field("path", &self.path).field("settings", &self.settings).finish_non_exhaustive()
    }
}
