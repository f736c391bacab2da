//! `XmlReader`: the elements of one name in an XML file, streamed, typed by serde, resumed by byte offset.

mod nil;
mod scan;

use std::marker::PhantomData;
use std::path::PathBuf;

use memchr::memchr;
use quick_xml::DeError;
use quick_xml::de::Deserializer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::input_file::{InputError, InputFile, InputPosition, RecordError, Skipped};
use nil::NilPrefixes;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader};
use scan::{Element, Kind, Markup, declared_encoding, name};

/// Elements that may stand around a record; as many levels as the parser goes down into one.
const MAX_DEPTH: usize = 128;

/// Reads the elements of one name in an XML file, wherever they stand, one at a time, as values of `T`.
///
/// ```
/// use oxbatch_core::ChunkStep;
/// use oxbatch_core::item::FunctionWriter;
/// use oxbatch_formats::XmlReader;
///
/// #[derive(serde::Deserialize)]
/// struct Strike {
///     #[serde(rename = "@id")]
///     id: u64,
///     species: String,
///     speed: Option<u32>,
/// }
///
/// // <strikes> <strike id="1"><species>Canada goose</species><speed>140</speed></strike> … </strikes>
/// let step = ChunkStep::builder("Import")
///     .reader(|_| Ok(XmlReader::<Strike>::new("data/strikes.xml", "strike")))
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Strike]| {
///         println!("{} strikes", chunk.len());
///         Ok(())
///     })));
/// # let job = oxbatch_core::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch_core::BuildError>(())
/// ```
///
/// Types are mapped as by the crate `quick-xml`: an attribute is a field named `@attribute`, text beside other content
/// one named `$text`; text is not trimmed. An element that is not there is `None`, and so is one with `xsi:nil="true"`, wherever its prefix is
/// declared. The elements of a list need not follow each other. The name is compared as it is written, prefix included; elements of
/// several names ([`or_element`](Self::or_element)) are the variants of an enum. An element of the name within another is
/// part of that one. No more than one element is held in memory. The text is UTF-8, with or without a byte order mark. Elements may be
/// nested 128 levels deep around the records and within each.
///
/// **Nothing is ever resolved.** A document type declaration is passed over, whatever it declares: no file that it names is opened,
/// no entity of its own is expanded, no default of an attribute is filled in. The five entities of XML and character
/// references are known, any other is an error of its element.
///
/// A file without a root element, one that ends within it and tags that do not match fail the step. Compressed files,
/// restarts and changed files are as for the other readers of text: the checkpoint is the offset behind the last
/// element, and a file that is not the same any more fails the step with a sentence.
///
/// # Errors
/// An element that is not a `T` is an error of kind [`ErrorKind::Parse`](oxbatch_core::item::ErrorKind::Parse) with its line, number
/// and raw text; the next `read` goes on behind it. Where the document around the elements is broken there is no way on:
/// that error is of kind [`ErrorKind::Other`](oxbatch_core::item::ErrorKind::Other) and stays. Errors of the system while reading are
/// [transient](oxbatch_core::item::ErrorKind::Transient): the position stays before the element.
pub struct XmlReader<T> {
    path: PathBuf,
    elements: Vec<String>,
    max_element_bytes: u32,
    open: Option<Open>,
    item: PhantomData<fn() -> T>,
}

/// Where in the document it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Position {
    /// Names of the elements around it, the root first.
    within: Vec<String>,
    /// Whether the root element has begun.
    rooted: bool,
    /// Whether the document type was declared.
    #[serde(skip)]
    typed: bool,
    #[serde(default, skip_serializing_if = "NilPrefixes::is_empty")]
    nil: NilPrefixes,
    /// Elements of the name before it.
    elements: u64,
}

/// What is stored with each commit.
#[derive(Debug, Serialize, Deserialize)]
struct XmlPosition {
    file: InputPosition,
    position: Position,
}

struct Open {
    input: InputFile,
    position: Position,
}

impl<T> XmlReader<T> {
    /// Longest element in bytes unless [`max_element_bytes`](Self::max_element_bytes) says otherwise: 1 MiB.
    pub const DEFAULT_MAX_ELEMENT_BYTES: u32 = 1024 * 1024;

    /// Reads the elements named `element` of the file at `path`, which is not touched before the step runs.
    pub fn new(path: impl Into<PathBuf>, element: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            elements: vec![element.into()],
            max_element_bytes: Self::DEFAULT_MAX_ELEMENT_BYTES,
            open: None,
            item: PhantomData,
        }
    }

    /// Reads the elements of another name as well, as a variant of an enum that is named like it.
    ///
    /// ```
    /// use oxbatch_formats::XmlReader;
    ///
    /// #[derive(serde::Deserialize)]
    /// #[serde(rename_all = "lowercase")]
    /// enum Movement {
    ///     Credit { amount: u64 },
    ///     Debit { amount: u64 },
    /// }
    ///
    /// let reader = XmlReader::<Movement>::new("data/account.xml", "credit").or_element("debit");
    /// ```
    #[must_use]
    pub fn or_element(mut self, element: impl Into<String>) -> Self {
        self.elements.push(element.into());
        self
    }

    /// Longest element, and the bound of the memory that one takes.
    /// [`DEFAULT_MAX_ELEMENT_BYTES`](Self::DEFAULT_MAX_ELEMENT_BYTES) when it is not set.
    #[must_use]
    pub fn max_element_bytes(mut self, bytes: u32) -> Self {
        self.max_element_bytes = bytes;
        self
    }

    fn not_open(&self) -> ItemError {
        InputError::NotOpen { path: self.path.clone() }.into()
    }
}

impl<T: DeserializeOwned + Send> ItemReader for XmlReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let place = checkpoint.map(Checkpoint::read::<XmlPosition>).transpose()?;
        self.open = None;
        let input = InputFile::open(&self.path, self.max_element_bytes, place.as_ref().map(|place| &place.file))?;
        if let Some(place) = &place {
            input.check_counts(&place.file, place.position.elements)?;
        }
        self.open = Some(Open { input, position: place.map(|place| place.position).unwrap_or_default() });
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        match &mut self.open {
            Some(open) => open.next(&self.elements),
            None => Err(self.not_open()),
        }
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        match &self.open {
            Some(open) => {
                Checkpoint::new(&XmlPosition { file: open.input.place(), position: open.position.clone() }).map(Some)
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
    fn next<T: DeserializeOwned>(&mut self, elements: &[String]) -> Result<Option<T>, ItemError> {
        self.input.recover()?;
        loop {
            let Some(markup) = self.next_markup()? else {
                self.input.check_size()?;
                return match self.position.within.last() {
                    Some(name) => Err(self.broken(format!("the file ends within element '{name}'"))),
                    None if self.position.rooted => Ok(None),
                    None => Err(self.broken("the file has no element")),
                };
            };
            let tag = &self.input.unread()[..markup.length];
            match markup.kind {
                Kind::Start | Kind::Empty => {
                    if self.position.rooted && self.position.within.is_empty() {
                        return Err(self.broken("a second element stands behind the root"));
                    }
                    if elements.iter().any(|element| name(tag) == element.as_bytes()) {
                        return self.element();
                    }
                    if markup.kind == Kind::Start {
                        self.enter(markup.length)?;
                    }
                    self.position.rooted = true;
                }
                Kind::End => self.leave(markup.length)?,
                Kind::Passive => self.check_encoding(markup.length)?,
                Kind::Data if self.position.within.is_empty() => {
                    return Err(self.broken("text stands outside of the root element"));
                }
                Kind::Data => {}
                Kind::DocumentType => self.check_type()?,
                Kind::Unknown => return Err(self.broken("a declaration stands outside of a document type declaration")),
            }
            self.input.advance(markup.length);
        }
    }

    /// A document type is declared once, before the root element.
    #[cold]
    fn check_type(&mut self) -> Result<(), ItemError> {
        if self.position.rooted {
            return Err(self.broken("a document type declaration stands behind the start of the root element"));
        }
        if std::mem::replace(&mut self.position.typed, true) {
            return Err(self.broken("a second document type declaration"));
        }
        Ok(())
    }

    /// Passes over text up to the next markup, which is in the window as a whole.
    fn next_markup(&mut self) -> Result<Option<Markup>, ItemError> {
        loop {
            let unread = self.input.unread();
            let text = memchr(b'<', unread).unwrap_or(unread.len());
            if self.position.within.is_empty() {
                // To the first letter: its line is reported, however much of the text is in the window.
                let blank = text - unread[..text].trim_ascii_start().len();
                if blank < text {
                    self.input.advance(blank);
                    return Err(self.broken("text stands outside of the root element"));
                }
            }
            if text > 0 {
                self.input.advance(text);
            }
            let (unread, limit) = (self.input.unread(), self.input.max_record_bytes());
            let markup = Markup::at_start(unread);
            // Whether the window happens to hold all of it must not matter.
            if markup.as_ref().map_or(unread.len(), |markup| markup.length) > limit {
                return Err(self.broken(format!("a tag or comment is longer than {limit} bytes")));
            }
            if markup.is_some() {
                return Ok(markup);
            }
            if !self.input.fill()? {
                if self.input.unread().is_empty() {
                    return Ok(None);
                }
                self.input.check_size()?;
                return Err(self.broken("the file ends within a tag or comment"));
            }
        }
    }

    /// Takes note of an element around the records.
    #[cold]
    fn enter(&mut self, length: usize) -> Result<(), ItemError> {
        if self.position.within.len() >= MAX_DEPTH {
            return Err(self.broken(format!("elements are nested deeper than {MAX_DEPTH} levels")));
        }
        let Ok(tag) = std::str::from_utf8(&self.input.unread()[..length]) else {
            return Err(self.broken(RecordError::NotUtf8));
        };
        if tag.contains("xmlns") {
            self.position.nil.enter(tag, self.position.within.len());
        }
        self.position.within.push(String::from_utf8_lossy(name(tag.as_bytes())).into_owned());
        Ok(())
    }

    /// The end of an element around the records.
    fn leave(&mut self, length: usize) -> Result<(), ItemError> {
        let found = name(&self.input.unread()[..length]);
        let problem = match self.position.within.last() {
            Some(open) if open.as_bytes() == found => {
                self.position.within.pop();
                self.position.nil.leave(self.position.within.len());
                return Ok(());
            }
            Some(open) => format!("element '{open}' is closed by '</{}>'", String::from_utf8_lossy(found)),
            None => format!("'</{}>' closes no element", String::from_utf8_lossy(found)),
        };
        Err(self.broken(problem))
    }

    /// The text must be what it is taken for.
    #[cold]
    fn check_encoding(&self, length: usize) -> Result<(), ItemError> {
        let declaration = String::from_utf8_lossy(&self.input.unread()[..length]);
        match declared_encoding(&declaration) {
            Some(other) if !["utf-8", "utf8", "us-ascii"].iter().any(|known| known.eq_ignore_ascii_case(other)) => {
                Err(self.broken(format!("encoding '{other}' is not read; convert the file to UTF-8")))
            }
            _ => Ok(()),
        }
    }

    fn element<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ItemError> {
        let mut element = Element::default();
        let mut seen = 0;
        let length = loop {
            let (known, at_end) = element.scan(&self.input.unread()[seen..]);
            seen += known;
            if at_end && seen <= self.input.max_record_bytes() {
                break seen;
            }
            if at_end || self.input.unread().len() > self.input.max_record_bytes() {
                return Err(self.too_long());
            }
            if !self.input.fill()? {
                self.input.check_size()?;
                return Err(self.ends_within_element());
            }
        };
        let line = self.input.line();
        let range = self.input.advance(length);
        self.position.rooted = true;
        self.position.elements += 1;
        let position = || format!("line {line}, element {}", self.position.elements);
        let Ok(text) = std::str::from_utf8(self.input.bytes(&range)) else {
            return Err(self.input.not_utf8(&range, &position()));
        };
        match self.parse(text) {
            Ok(item) => Ok(Some(item)),
            Err(error) => {
                let fault = RecordError::Xml { problem: error.to_string() };
                Err(self.input.record_error(&range, &position(), fault))
            }
        }
    }

    /// Reads an element by itself, but for what those around it declare.
    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, DeError> {
        let mut parser = Deserializer::from_str(text);
        if !self.position.nil.is_empty() {
            self.position.nil.declare(parser.resolver_mut())?;
        }
        T::deserialize(&mut parser)
    }

    /// Passes over an element that is longer than allowed.
    #[cold]
    fn too_long(&mut self) -> ItemError {
        let position = format!("line {}, element {}", self.input.line(), self.position.elements + 1);
        let fault = self.input.long_record_error(&position);
        let limit = self.input.max_record_bytes();
        let mut element = Element::default();
        let mut lost = false;
        let skipped = self.input.skip(|bytes| {
            let (length, at_end) = element.scan(bytes);
            // Markup that does not end must not be collected without bound.
            lost = !at_end && bytes.len() - length > limit;
            Skipped { length, at_end: at_end || lost }
        });
        match skipped {
            Ok(true) if lost => self.broken(format!("a tag or comment is longer than {limit} bytes")),
            Ok(true) => {
                self.position.rooted = true;
                self.position.elements += 1;
                fault
            }
            Ok(false) => self.ends_within_element(),
            Err(fault) => fault,
        }
    }

    #[cold]
    fn ends_within_element(&self) -> ItemError {
        self.broken(format!("the file ends within element {}", self.position.elements + 1))
    }

    /// The document is not one: there is no next element to go to.
    #[cold]
    fn broken(&self, problem: impl ToString) -> ItemError {
        self.input.broken(RecordError::Xml { problem: problem.to_string() })
    }
}

impl<T> std::fmt::Debug for XmlReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("XmlReader").field("path", &self.path).field("elements", &self.elements).finish_non_exhaustive()
    }
}
