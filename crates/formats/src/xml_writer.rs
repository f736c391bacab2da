//! `XmlWriter`: one XML document per file, exactly once.

use quick_xml::se::Serializer;
use serde::Serialize;

use super::{FileWriter, RecordEncoder};
use oxbatch_core::item::{Guard, Guarded, ItemError};

/// Writes each output as one element within a root element, one a line.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{ListReader, XmlWriter};
///
/// #[derive(Clone, serde::Serialize)]
/// struct Strike {
///     #[serde(rename = "@speed")]
///     speed: Option<u32>,
///     species: String,
/// }
///
/// // <strike speed="140"><species>Canada goose</species></strike>
/// let step = ChunkStep::builder("Export")
///     .reader(|_| Ok(ListReader::new([Strike { species: "Canada goose".to_owned(), speed: Some(140) }])))
///     .writer(|context| Ok(XmlWriter::new(context, "output/strikes.xml").elements("strikes", "strike")));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// Fields become elements, those renamed to `@name` attributes, one renamed to `$text` the text of the element, as
/// `quick-xml` has it. `None` is left out, so that it reads back as `None`; within a list, where nothing can stand for
/// it, it is an error of the item. Text is escaped; a character that XML cannot hold even then (most control
/// characters) is an error of the item, and so is a `@name` behind an element. These errors are of kind
/// [`ErrorKind::Validation`](oxbatch_core::item::ErrorKind::Validation).
///
/// An empty input makes an empty root. The author's [`header`](FileWriter::header) and [`footer`](FileWriter::footer)
/// stand within the root, as they are: the author escapes them.
///
/// **Exactly once, by cutting back**: files, locks and errors are those of every [`FileWriter`].
pub type XmlWriter<T> = FileWriter<XmlEncoder, T>;

impl<T> XmlWriter<T> {
    /// The name of the root element unless [`elements`](Self::elements) says otherwise.
    pub const DEFAULT_ROOT: &str = "items";
    /// The name of the element of an item unless [`elements`](Self::elements) says otherwise.
    pub const DEFAULT_ITEM: &str = "item";

    /// The names of the root element and of the element of an item; [`DEFAULT_ROOT`](Self::DEFAULT_ROOT) and
    /// [`DEFAULT_ITEM`](Self::DEFAULT_ITEM) when they are not set.
    #[must_use]
    pub fn elements(self, root: impl Into<String>, item: impl Into<String>) -> Self {
        self.encoder(|encoder| (encoder.root, encoder.item) = (root.into(), item.into()))
    }
}

/// Writes XML documents; made by [`XmlWriter`].
#[derive(Debug)]
pub struct XmlEncoder {
    root: String,
    item: String,
    /// Used again for all items: `quick-xml` writes text, not bytes.
    text: String,
}

impl Default for XmlEncoder {
    fn default() -> Self {
        let (root, item) = (XmlWriter::<()>::DEFAULT_ROOT.to_owned(), XmlWriter::<()>::DEFAULT_ITEM.to_owned());
        Self { root, item, text: String::new() }
    }
}

impl<T: Serialize> RecordEncoder<T> for XmlEncoder {
    fn check_append(&self) -> Result<(), ItemError> {
        Err(ItemError::other(
            "XmlWriter cannot append: nothing may stand behind the end of an XML document; use JsonLinesWriter, or `OnExisting::Refuse` or `OnExisting::Replace` with a file for each run",
        ))
    }

    fn check(&self) -> Result<(), ItemError> {
        for name in [&self.root, &self.item] {
            let mut unused = String::new();
            if name.is_empty() || Serializer::with_root(&mut unused, Some(name)).is_err() {
                return Err(ItemError::other(format!("'{name}' cannot be the name of an XML element")));
            }
        }
        Ok(())
    }

    fn begin(&mut self, header: &str, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        for piece in ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<", &self.root, ">\n", header] {
            buffer.extend_from_slice(piece.as_bytes());
        }
        Ok(())
    }

    fn encode(&mut self, item: &T, _: u64, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        self.text.clear();
        let serializer = Serializer::with_root(&mut self.text, Some(&self.item)).map_err(ItemError::validation)?;
        Guarded::new(item, WithoutNone).serialize(serializer).map_err(ItemError::validation)?;
        if may_hold_no_xml(self.text.as_bytes())
            && let Some(character) = self.text.chars().find(|character| !is_xml(*character))
        {
            let code = u32::from(character);
            return Err(ItemError::validation(format!("character U+{code:04X} cannot stand in XML")));
        }
        buffer.extend_from_slice(self.text.as_bytes());
        buffer.push(b'\n');
        Ok(())
    }

    fn fork(&self) -> Option<Self> {
        Some(Self { root: self.root.clone(), item: self.item.clone(), text: String::new() })
    }

    fn end(&mut self, _: u64, footer: &str, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        for piece in [footer, "</", &self.root, ">\n"] {
            buffer.extend_from_slice(piece.as_bytes());
        }
        Ok(())
    }
}

/// An element that is not there is nothing; an empty one is an empty text.
#[derive(Clone, Copy)]
struct WithoutNone;

impl Guard for WithoutNone {
    const LEAVES_OUT_NONE: bool = true;

    fn not_finite<S: serde::Serializer>(self, serializer: S, value: f64) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value)
    }
}

/// True if there may be a character that cannot stand in XML: a control character, or one of those that begin as
/// U+FFFE. Each byte is looked at in the same way, so several are at once.
fn may_hold_no_xml(text: &[u8]) -> bool {
    text.iter()
        .fold(false, |found, byte| found | (*byte < b' ') & !matches!(*byte, b'\t' | b'\n' | b'\r') | (*byte == 0xef))
}

/// Production 2 of XML 1.0.
fn is_xml(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}
