//! `JsonArrayReader`: the elements of a JSON array, streamed, typed by serde, resumed by byte offset.

mod framer;
mod path;
mod scan;

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::json_error::json_error;
use super::{DecodeError, FileReader, RecordDecoder};
use framer::ArrayFramer;
use oxbatch_core::item::read_json;

/// Reads the elements of a file that holds one JSON array, one at a time, as values of `T`.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, JsonArrayReader};
///
/// #[derive(serde::Deserialize)]
/// struct Strike {
///     species: String,
///     speed: Option<u32>,
/// }
///
/// let step = ChunkStep::builder("Import")
///     .reader(|_| Ok(JsonArrayReader::<Strike>::new("data/strikes.json")))
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Strike]| {
///         println!("{} strikes", chunk.len());
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// An array within the document is named by a JSON pointer:
/// [`JsonArrayReader::new("data/strikes.json").at("/data/items")`](JsonArrayReader::at).
///
/// No more than one element is held in memory. An element may be nested 127 levels deep. A number that the type would
/// cut, as [`read_json`] says, is an error of its element. An empty file, an array that is never closed and text behind
/// its end fail the step: such a file is not whole. Where the array itself is broken there is no next element, so that
/// error is of kind [`ErrorKind::Other`](oxbatch_core::item::ErrorKind::Other) and stays.
///
/// Encodings, compressed input, restarts and errors are those of every [`FileReader`]; an error names the number of the
/// element and the path within it.
pub type JsonArrayReader<T> = FileReader<JsonArrayDecoder<T>>;

impl<T> JsonArrayReader<T> {
    /// Longest element in bytes unless [`max_element_bytes`](Self::max_element_bytes) is set: 1 MiB.
    pub const DEFAULT_MAX_ELEMENT_BYTES: u32 = Self::DEFAULT_MAX_RECORD_BYTES;

    /// The array within the document, by a JSON pointer (RFC 6901): `/data/items`, `/0/rows`. Without one the document
    /// is the array.
    ///
    /// The rest of the document is passed over, whatever its size, and is not looked into; the document must be whole
    /// all the same. A name on the path that stands twice fails the step, and so does an array that is not there.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.decoder.framer.set_pointer(pointer.into());
        self
    }

    /// Longest element, and the bound of the memory that one takes: a string that is never closed would make an element
    /// of the rest of the file. [`DEFAULT_MAX_ELEMENT_BYTES`](Self::DEFAULT_MAX_ELEMENT_BYTES) when it is not set.
    #[must_use]
    pub fn max_element_bytes(self, bytes: u32) -> Self {
        self.max_record_bytes(bytes)
    }
}

/// Reads the elements of JSON arrays; made by [`JsonArrayReader`].
#[derive(Debug)]
pub struct JsonArrayDecoder<T> {
    framer: ArrayFramer,
    item: PhantomData<fn() -> T>,
}

impl<T> Default for JsonArrayDecoder<T> {
    fn default() -> Self {
        Self { framer: ArrayFramer::default(), item: PhantomData }
    }
}

impl<T: DeserializeOwned + Send> RecordDecoder for JsonArrayDecoder<T> {
    type Item = T;
    type Framer = ArrayFramer;

    #[inline]
    fn framer(&mut self) -> &mut ArrayFramer {
        &mut self.framer
    }

    #[inline]
    fn decode(&mut self, element: &str) -> Result<Option<T>, DecodeError> {
        read_json(element).map(Some).map_err(|error| json_error(&error))
    }

    fn fork(&self) -> Option<Self> {
        Some(Self { framer: self.framer.clone(), item: PhantomData })
    }
}
