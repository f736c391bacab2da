//! `JsonArrayReader`: the elements of a JSON array, the whole file or within it, streamed, typed by serde, resumed by byte offset.

mod scan;
mod way;

use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::input_file::{InputError, InputFile, InputPosition, RecordError, Skipped};
use super::json_error::json_error;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader, read_json};
use scan::Element;
use way::{Level, Pointer};

/// Reads the elements of a file that holds one JSON array, one at a time, as values of `T`.
///
/// ```
/// use oxbatch_core::ChunkStep;
/// use oxbatch_core::item::FunctionWriter;
/// use oxbatch_formats::JsonArrayReader;
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
/// # let job = oxbatch_core::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch_core::BuildError>(())
/// ```
///
/// An array within the document is named by a JSON pointer:
/// [`JsonArrayReader::new("data/strikes.json").at("/data/items")`](Self::at).
///
/// No more than one element is held in memory. The text is UTF-8, with or without a byte order mark; an element may be
/// nested 127 levels deep. A number that the type would cut, as [`read_json`] says, is an error of its element. An empty file, an array that is never closed and text behind its end fail the step: such a
/// file is not whole. Compressed files, restarts and changed files are as for the other readers of text, see
/// [`JsonLinesReader`](super::JsonLinesReader); the checkpoint is the offset behind the last element.
///
/// # Errors
/// An element that is not a `T` is an error of kind [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse) with its line and
/// number, the path within it and its raw text; the next `read` goes on behind it. Where the array itself is broken
/// there is no way on: that error is of kind [`ErrorKind::Other`](oxbatch_core::item::ErrorKind::Other) and stays. Errors of the system
/// while reading are [transient](oxbatch_core::item::ErrorKind::Transient): the position stays before the element.
pub struct JsonArrayReader<T> {
    path: PathBuf,
    pointer: String,
    max_element_bytes: u32,
    open: Option<Open>,
    item: PhantomData<fn() -> T>,
}

/// What is stored with each commit.
#[derive(Debug, Serialize, Deserialize)]
struct ArrayPosition {
    file: InputPosition,
    part: Part,
    elements: u64,
    /// The pointer to the array.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    array: String,
    /// What stands around the position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    within: Vec<Level>,
    /// Whether the array is behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    done: bool,
}

/// Which part of the array comes next, or of the document around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Part {
    /// The array, or the next value on the way to it.
    Start,
    /// The first member on the way, or the end of the object or array.
    Member,
    /// Another member: the comma was read.
    NextMember,
    /// The colon behind a name.
    Colon {
        /// Whether the way goes on there.
        wanted: bool,
    },
    /// A value to be passed over.
    Passed,
    /// A comma, or the end of the object or array around.
    Behind,
    /// The first element, or the end.
    First,
    /// A comma and another element, or the end.
    More,
    /// An element: the comma was read.
    Element,
    /// Nothing but blanks.
    End,
}

struct Open {
    input: InputFile,
    part: Part,
    /// Elements before the position.
    elements: u64,
    pointer: Pointer,
    /// What stands around the position, the document first.
    within: Vec<Level>,
    /// Whether the array is behind it.
    done: bool,
}

impl<T> JsonArrayReader<T> {
    /// Longest element in bytes unless [`max_element_bytes`](Self::max_element_bytes) says otherwise: 1 MiB.
    pub const DEFAULT_MAX_ELEMENT_BYTES: u32 = 1024 * 1024;

    /// Reads the file at `path`, which is not touched before the step runs.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            pointer: String::new(),
            max_element_bytes: Self::DEFAULT_MAX_ELEMENT_BYTES,
            open: None,
            item: PhantomData,
        }
    }

    /// The array within the document, by a JSON pointer (RFC 6901): `/data/items`, `/0/rows`. Without one the document is
    /// the array.
    ///
    /// What stands around the array is passed over, whatever its size, and is not looked into; the document must be whole all
    /// the same. A name on the way that stands twice fails the step, and so does an array that is not there.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = pointer.into();
        self
    }

    /// Longest element, and the bound of the memory that one takes: a string that is never closed would make an element
    /// of the rest of the file. [`DEFAULT_MAX_ELEMENT_BYTES`](Self::DEFAULT_MAX_ELEMENT_BYTES) when it is not set.
    #[must_use]
    pub fn max_element_bytes(mut self, bytes: u32) -> Self {
        self.max_element_bytes = bytes;
        self
    }

    fn not_open(&self) -> ItemError {
        InputError::NotOpen { path: self.path.clone() }.into()
    }
}

impl<T: DeserializeOwned + Send> ItemReader for JsonArrayReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let place = checkpoint.map(Checkpoint::read::<ArrayPosition>).transpose()?;
        self.open = None;
        let pointer = Pointer::parse(&self.pointer)?;
        let input = InputFile::open(&self.path, self.max_element_bytes, place.as_ref().map(|place| &place.file))?;
        if let Some(place) = &place {
            input.check_counts(&place.file, place.elements)?;
            if place.array != self.pointer {
                let problem = format!("checkpoint is of array '{}', and '{}' is read", place.array, self.pointer);
                return Err(ItemError::other(problem + "; launch with force to start anew").in_file(&self.path));
            }
        }
        self.open = Some(match place {
            None => Open { input, part: Part::Start, elements: 0, pointer, within: Vec::new(), done: false },
            Some(ArrayPosition { part, elements, within, done, .. }) => {
                Open { input, part, elements, pointer, within, done }
            }
        });
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        match &mut self.open {
            Some(open) => open.next(),
            None => Err(self.not_open()),
        }
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        match &self.open {
            Some(open) => {
                let Open { part, elements, done, .. } = *open;
                let (array, within) = (open.pointer.text.clone(), open.within.clone());
                Checkpoint::new(&ArrayPosition { file: open.input.place(), part, elements, array, within, done })
                    .map(Some)
            }
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
    #[inline]
    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ItemError> {
        self.input.recover()?;
        loop {
            while !matches!(self.part, Part::First | Part::More | Part::Element | Part::End) {
                self.go_on()?;
            }
            let Some(byte) = self.next_mark()? else {
                return match self.part {
                    Part::End => self.input.check_size().map(|()| None),
                    _ => self.input.check_size().and_then(|()| Err(self.broken("the file ends within the array"))),
                };
            };
            self.part = match (self.part, byte) {
                (Part::First | Part::More, b']') => {
                    self.done = true;
                    if self.within.is_empty() { Part::End } else { Part::Behind }
                }
                (Part::More, b',') => Part::Element,
                (Part::First | Part::Element, byte) if !matches!(byte, b',' | b']' | b'}') => return self.element(),
                (Part::End, _) if self.pointer.text.is_empty() => {
                    return Err(self.broken("there is text behind the end of the array"));
                }
                (Part::End, _) => return Err(self.broken("there is text behind the end of the document")),
                (Part::More, _) => return Err(self.broken("a ',' or ']' must stand behind an element")),
                _ => return Err(self.broken("an element is missing")),
            };
            self.input.advance(1);
        }
    }

    /// The next byte that is not blank.
    #[inline]
    fn next_mark(&mut self) -> Result<Option<u8>, ItemError> {
        loop {
            let unread = self.input.unread();
            let blank = unread.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
            let found = unread.get(blank).copied();
            if blank > 0 {
                self.input.advance(blank);
            }
            if found.is_some() {
                return Ok(found);
            }
            if !self.input.fill()? {
                return Ok(None);
            }
        }
    }

    #[inline]
    fn element<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ItemError> {
        let mut element = Element::default();
        let mut seen = 0;
        let length = loop {
            let (length, at_end) = element.scan(&self.input.unread()[seen..]);
            seen += length;
            if seen > self.input.max_record_bytes() {
                return Err(self.too_long());
            }
            if at_end {
                break seen;
            }
            if !self.input.fill()? {
                self.input.check_size()?;
                return Err(self.broken("the file ends within an element"));
            }
        };
        let line = self.input.line();
        let range = self.input.advance(length);
        self.part = Part::More;
        self.elements += 1;
        let Ok(text) = std::str::from_utf8(self.input.bytes(&range)) else {
            return Err(self.input.not_utf8(&range, &self.position(line)));
        };
        match read_json(text) {
            Ok(item) => Ok(Some(item)),
            Err(error) => Err(json_error(&self.input, &range, &self.position(line), &error)),
        }
    }

    /// Passes over an element that is longer than allowed.
    #[cold]
    fn too_long(&mut self) -> ItemError {
        let fault = self.input.long_record_error(&format!("line {}, element {}", self.input.line(), self.elements + 1));
        let mut element = Element::default();
        let skipped = self.input.skip(|bytes| {
            let (length, at_end) = element.scan(bytes);
            Skipped { length, at_end }
        });
        match skipped {
            Ok(true) => {
                self.part = Part::More;
                self.elements += 1;
                fault
            }
            Ok(false) => self.broken("the file ends within an element"),
            Err(fault) => fault,
        }
    }

    /// Where an element stands that was taken as read.
    fn position(&self, line: u64) -> String {
        format!("line {line}, element {}", self.elements)
    }

    /// The array itself is not one: there is no next element to go to.
    #[cold]
    fn broken(&self, problem: impl Into<String>) -> ItemError {
        self.input.broken(RecordError::Json { problem: problem.into() })
    }
}

impl<T> std::fmt::Debug for JsonArrayReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonArrayReader").field("path", &self.path).finish_non_exhaustive()
    }
}
