//! `MixedFixedWidthReader`: lines of fixed width that are of several types.

use serde::de::DeserializeOwned;

use super::lines::FixedWidth;
use super::{FixedWidthLayout, FixedWidthLines};
use crate::input_error::{RecordError, shown};
use crate::record_fields::{FieldError, FieldTypes, Record};
use crate::record_types::RecordTypes;
use crate::{DecodeError, FileReader, LineFramer, RecordDecoder};
use oxbatch_core::item::ItemError;

type Decode<T> = Box<dyn FnMut(Record<'_>, &[String]) -> Result<T, FieldError> + Send>;

/// The columns of a record type, and the item that becomes of its lines.
struct TypeOfLine<T> {
    layout: FixedWidthLayout,
    decode: Decode<T>,
}

/// Reads a file of fixed width whose lines are of several types, such as a header, details and a trailer, each known by
/// its first characters, as the variants of one enum.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FixedWidthLayout, FunctionWriter, MixedFixedWidthReader};
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
/// # let job = oxbatch::Job::builder("Payments").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// Each record type has a layout of its own; a struct takes its fields by the names of the columns, a tuple by their
/// order. Everything else, restarts and errors too, is as for [`FixedWidthReader`](crate::FixedWidthReader); a line of
/// no declared type is an error of kind [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse).
pub type MixedFixedWidthReader<T> = FileReader<MixedFixedWidthDecoder<T>>;

/// Reads lines of several types; made by [`MixedFixedWidthReader`].
pub struct MixedFixedWidthDecoder<T> {
    lines: FixedWidthLines,
    tag_at: usize,
    types: RecordTypes<TypeOfLine<T>>,
}

impl<T> Default for MixedFixedWidthDecoder<T> {
    fn default() -> Self {
        Self { lines: FixedWidthLines::default(), tag_at: 0, types: RecordTypes::new(true) }
    }
}

impl<T> MixedFixedWidthReader<T> {
    /// The character at which the type of a line stands, from 0; the first one when it is not set.
    #[must_use]
    pub fn type_at(mut self, character: usize) -> Self {
        self.decoder.tag_at = character;
        self
    }

    /// Declares a record type: its first characters, the columns of its lines, and the item that becomes of one.
    #[must_use]
    pub fn record_type<R: DeserializeOwned + 'static>(
        mut self,
        tag: impl Into<String>,
        layout: FixedWidthLayout,
        item: impl Fn(R) -> T + Send + 'static,
    ) -> Self {
        let mut types = FieldTypes::default();
        let decode: Decode<T> = Box::new(move |record, names| types.decode(record, Some(names)).map(&item));
        self.decoder.types.add(tag.into(), TypeOfLine { layout, decode });
        self
    }
}

impl<T> FixedWidth for MixedFixedWidthDecoder<T> {
    fn lines(&mut self) -> &mut FixedWidthLines {
        &mut self.lines
    }
}

impl<T: Send> RecordDecoder for MixedFixedWidthDecoder<T> {
    type Item = T;
    type Framer = LineFramer;

    #[inline]
    fn framer(&mut self) -> &mut LineFramer {
        &mut self.lines.framer
    }

    fn check(&mut self) -> Result<(), ItemError> {
        self.types.check()?;
        for declared in self.types.iter_mut() {
            let checked = declared.decode.layout.check();
            checked.map_err(|error| ItemError::other(error).at(format!("record type '{}'", declared.tag)))?;
        }
        Ok(())
    }

    #[inline]
    fn decode(&mut self, line: &str) -> Result<Option<T>, DecodeError> {
        let tag = match self.tag_at {
            0 => line,
            at => line.char_indices().nth(at).map(|(byte, _)| &line[byte..]).unwrap_or_default(),
        };
        let Some(TypeOfLine { layout, decode }) = self.types.of(tag) else {
            let longest = self.types.iter().map(|known| known.tag.chars().count()).max().unwrap_or_default();
            let found = shown(&tag.chars().take(longest).collect::<String>());
            return Err(DecodeError::new(RecordError::Type { found, known: self.types.tags().join(", ") }));
        };
        let record = self.lines.cut(line, layout)?;
        let names = layout.names();
        decode(record, names).map(Some).map_err(|error| error.into_decode_error(record, Some(names)))
    }
}

impl<T> std::fmt::Debug for MixedFixedWidthDecoder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MixedFixedWidthDecoder").field("tag_at", &self.tag_at).finish_non_exhaustive()
    }
}
