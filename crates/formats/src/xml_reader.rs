//! `XmlReader`: the elements of one name in an XML file, streamed, typed by serde, resumed by byte offset.

mod framer;
mod nil;
mod plain;
mod scan;

use std::marker::PhantomData;
use std::path::PathBuf;

use quick_xml::DeError;
use quick_xml::de::Deserializer;
use serde::de::DeserializeOwned;

use super::input_error::RecordError;
use super::{DecodeError, FileReader, RecordDecoder};
use framer::XmlFramer;
use plain::NotPlain;

/// Reads the elements of one name in an XML file, wherever they stand, one at a time, as values of `T`.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, XmlReader};
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
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// Types are mapped as by the crate `quick-xml`: an attribute is a field named `@attribute`, text beside other content
/// one named `$text`; text is not trimmed. An element that is not there is `None`, and so is one with `xsi:nil="true"`,
/// wherever its prefix is declared. The elements of a list need not follow each other. The name is compared as it is
/// written, prefix included; elements of several names ([`or_element`](XmlReader::or_element)) are the variants of an
/// enum. An element of the name within another is part of that one. No more than one element is held in memory.
/// Elements may be nested 128 levels deep around the records and within each.
///
/// The encoding is UTF-8 unless [`encoding`](FileReader::encoding) is set; a document that declares another one than
/// UTF-8 fails the step when it is not.
///
/// **Nothing is ever resolved.** A document type declaration is passed over, whatever it declares: no file that it
/// names is opened, no entity of its own is expanded, no default of an attribute is filled in. The five entities of XML
/// and character references are known, any other is an error of its element.
///
/// A file without a root element, one that ends within it and tags that do not match fail the step: where the document
/// around the elements is broken there is no next element, so that error is of kind
/// [`ErrorKind::Other`](oxbatch_core::item::ErrorKind::Other) and stays.
///
/// Compressed input, restarts and errors are those of every [`FileReader`]; an error names the number of the element.
pub type XmlReader<T> = FileReader<XmlDecoder<T>>;

impl<T> XmlReader<T> {
    /// Longest element in bytes unless [`max_element_bytes`](Self::max_element_bytes) is set: 1 MiB.
    pub const DEFAULT_MAX_ELEMENT_BYTES: u32 = Self::DEFAULT_MAX_RECORD_BYTES;

    /// Reads the elements named `element` of the file at `path`, which is not touched before the step runs.
    pub fn new(path: impl Into<PathBuf>, element: impl Into<String>) -> Self {
        Self::with_decoder(path, XmlDecoder { framer: XmlFramer::new(element.into()), tries: TRIES, item: PhantomData })
    }

    /// Reads the elements of another name as well, as a variant of an enum that is named like it.
    ///
    /// ```
    /// use oxbatch::item::XmlReader;
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
        self.decoder.framer.elements.push(element.into());
        self
    }

    /// Longest element, and the bound of the memory that one takes.
    /// [`DEFAULT_MAX_ELEMENT_BYTES`](Self::DEFAULT_MAX_ELEMENT_BYTES) when it is not set.
    #[must_use]
    pub fn max_element_bytes(self, bytes: u32) -> Self {
        self.max_record_bytes(bytes)
    }
}

/// Elements in a row that are tried without the parser, although none of them is plain.
const TRIES: u8 = 50;

/// Reads the elements of XML documents; made by [`XmlReader`].
#[derive(Debug)]
pub struct XmlDecoder<T> {
    framer: XmlFramer,
    /// Elements that may still be tried without the parser, until one of them is plain.
    tries: u8,
    item: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> XmlDecoder<T> {
    /// Reads an element by itself, but for what those around it declare.
    fn parse(&self, text: &str) -> Result<T, DeError> {
        let mut parser = Deserializer::from_str(text);
        if !self.framer.nil().is_empty() {
            self.framer.nil().declare(parser.resolver_mut())?;
        }
        T::deserialize(&mut parser)
    }
}

impl<T: DeserializeOwned + Send> RecordDecoder for XmlDecoder<T> {
    type Item = T;
    type Framer = XmlFramer;

    #[inline]
    fn framer(&mut self) -> &mut XmlFramer {
        &mut self.framer
    }

    fn decode(&mut self, element: &str) -> Result<Option<T>, DecodeError> {
        if self.tries > 0 {
            match plain::read(element) {
                Ok(value) => {
                    self.tries = TRIES;
                    return Ok(Some(value));
                }
                Err(NotPlain::Element) => self.tries -= 1,
                Err(NotPlain::Type) => self.tries = 0,
            }
        }
        let error = |error: DeError| DecodeError::new(RecordError::Xml { problem: error.to_string() });
        self.parse(element).map(Some).map_err(error)
    }

    fn fork(&self) -> Option<Self> {
        Some(Self { framer: self.framer.clone(), tries: self.tries, item: PhantomData })
    }
}
