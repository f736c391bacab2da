//! `MixedFixedWidthReader`: lines of fixed width that are of several types.

use std::cell::RefCell;
use std::path::PathBuf;

use csv::StringRecord;
use serde::de::DeserializeOwned;

use super::{FixedWidthLayout, FixedWidthReader, Open};
use crate::input_file::{InputError, RecordError, shown};
use crate::record_fields::{FieldError, FieldTypes};
use crate::record_types::RecordTypes;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader};

type Decode<T> = Box<dyn Fn(&StringRecord, &StringRecord) -> Result<T, FieldError> + Send>;

/// The columns of a record type, and what becomes of its records.
struct TypeOfLine<T> {
    layout: FixedWidthLayout,
    decode: Decode<T>,
}

/// Reads a file of fixed width whose lines are of several types, such as a header, details and a trailer, each told by its
/// first characters, as the variants of one enum.
///
/// ```
/// use oxbatch_core::ChunkStep;
/// use oxbatch_core::item::FunctionWriter;
/// use oxbatch_formats::{FixedWidthLayout, MixedFixedWidthReader};
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
/// // 002024-02-29
/// // 10DE02    00001250
/// // 99000001
/// let step = ChunkStep::builder("Import")
///     .reader(|_| {
///         let header = FixedWidthLayout::new().column("day", 2..12);
///         let payment = FixedWidthLayout::new().trimmed_column("account", 2..10).column("cents", 10..18);
///         let trailer = FixedWidthLayout::new().column("count", 2..8);
///         Ok(MixedFixedWidthReader::new("data/payments.txt")
///             .record_type("00", header, |(day,): (String,)| Record::Header(day))
///             .record_type("10", payment, Record::Payment)
///             .record_type("99", trailer, |(count,): (u64,)| Record::Trailer(count)))
///     })
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Record]| {
///         println!("{} records", chunk.len());
///         Ok(())
///     })));
/// # let job = oxbatch_core::Job::builder("Payments").step(step).build()?;
/// # Ok::<(), oxbatch_core::BuildError>(())
/// ```
///
/// Each record type has a layout of its own; a struct takes its fields by the names of the columns, a tuple by their
/// order. Everything else, restarts and errors too, is as for [`FixedWidthReader`]; a line of no declared type is an error
/// of kind [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse).
pub struct MixedFixedWidthReader<T> {
    path: PathBuf,
    max_line_bytes: u32,
    tag_at: usize,
    types: RecordTypes<TypeOfLine<T>>,
    open: Option<Open>,
}

impl<T> MixedFixedWidthReader<T> {
    /// Reads the file at `path`, which is not touched before the step runs.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_line_bytes: FixedWidthReader::<T>::DEFAULT_MAX_LINE_BYTES,
            tag_at: 0,
            types: RecordTypes::new(true),
            open: None,
        }
    }

    /// The character at which the type of a line stands, from 0; the first one when it is not set.
    #[must_use]
    pub fn type_at(mut self, character: usize) -> Self {
        self.tag_at = character;
        self
    }

    /// Declares a record type: the characters that tell it, the columns of its lines, and the item that becomes of one.
    #[must_use]
    pub fn record_type<R: DeserializeOwned + 'static>(
        mut self,
        tag: impl Into<String>,
        layout: FixedWidthLayout,
        item: impl Fn(R) -> T + Send + 'static,
    ) -> Self {
        let types = RefCell::new(FieldTypes::default());
        let decode: Decode<T> =
            Box::new(move |record, names| types.borrow_mut().decode(record, Some(names)).map(&item));
        self.types.add(tag.into(), TypeOfLine { layout, decode });
        self
    }

    /// Longest line, and the bound of the memory that one takes;
    /// [`DEFAULT_MAX_LINE_BYTES`](FixedWidthReader::DEFAULT_MAX_LINE_BYTES) when it is not set.
    #[must_use]
    pub fn max_line_bytes(mut self, bytes: u32) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    fn not_open(&self) -> ItemError {
        InputError::NotOpen { path: self.path.clone() }.into()
    }
}

impl<T: Send> ItemReader for MixedFixedWidthReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.types.check()?;
        for declared in self.types.iter_mut() {
            let checked = declared.decode.layout.check();
            let place = || format!("input file '{}', record type '{}'", self.path.display(), declared.tag);
            checked.map_err(|fault| ItemError::other(fault).at(place()))?;
        }
        self.open = None;
        self.open = Some(Open::at(&self.path, self.max_line_bytes, checkpoint)?);
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        let Some(open) = &mut self.open else { return Err(self.not_open()) };
        let Some(line) = open.next_line()? else { return Ok(None) };
        let Ok(text) = std::str::from_utf8(open.input.bytes(&line)) else {
            return Err(open.fault(&line, RecordError::NotUtf8));
        };
        let tag = match self.tag_at {
            0 => text,
            at => text.char_indices().nth(at).map(|(byte, _)| &text[byte..]).unwrap_or_default(),
        };
        let Some(found) = self.types.of(tag) else {
            let longest = self.types.iter().map(|known| known.tag.chars().count()).max().unwrap_or_default();
            let found = shown(&tag.chars().take(longest).collect::<String>());
            return Err(open.fault(&line, RecordError::Type { found, known: self.types.tags().join(", ") }));
        };
        match found.layout.cut(text, &mut open.record, &mut open.starts) {
            Ok(()) => {}
            Err(fault) => return Err(open.fault(&line, fault)),
        }
        let names = found.layout.names();
        (found.decode)(&open.record, names).map(Some).map_err(|fault| open.field_error(&line, names, fault))
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

impl<T> std::fmt::Debug for MixedFixedWidthReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MixedFixedWidthReader").field("path", &self.path).finish_non_exhaustive()
    }
}
