//! `JsonArrayWriter`: one JSON array per file, exactly once.

use serde::Serialize;

use super::{FileWriter, RecordEncoder};
use oxbatch_core::item::{ItemError, write_json};

/// Writes all outputs as one JSON array, one value a line.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{JsonArrayWriter, ListReader};
///
/// let step = ChunkStep::builder("Export")
///     .reader(|_| Ok(ListReader::new(["Canada goose", "Hawk"])))
///     .writer(|context| Ok(JsonArrayWriter::new(context, "output/species.json")));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// An empty input makes `[]`. The author's [`header`](FileWriter::header) stands before the bracket and the
/// [`footer`](FileWriter::footer) behind it, for an envelope: `{"species": ` … `, "count": 2}`. A number that JSON does
/// not have (NaN, the infinite ones) is an error of its item, of kind
/// [`ErrorKind::Validation`](oxbatch_core::item::ErrorKind::Validation).
///
/// **Exactly once, by cutting back**: files, locks and errors are those of every [`FileWriter`].
pub type JsonArrayWriter<T> = FileWriter<JsonArrayEncoder, T>;

/// Writes JSON arrays; made by [`JsonArrayWriter`].
#[derive(Debug, Default)]
pub struct JsonArrayEncoder(());

impl<T: Serialize> RecordEncoder<T> for JsonArrayEncoder {
    fn check_append(&self) -> Result<(), ItemError> {
        Err(ItemError::other(
            "JsonArrayWriter cannot append: nothing may stand behind the end of a JSON array; use JsonLinesWriter, or `OnExisting::Refuse` or `OnExisting::Replace` with a file for each run",
        ))
    }

    fn begin(&mut self, header: &str, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        buffer.extend_from_slice(header.as_bytes());
        buffer.push(b'[');
        Ok(())
    }

    fn encode(&mut self, item: &T, before: u64, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        buffer.extend_from_slice(if before == 0 { b"\n" } else { b",\n" });
        write_json(item, buffer)
    }

    fn fork(&self) -> Option<Self> {
        Some(Self(()))
    }

    fn end(&mut self, items: u64, footer: &str, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        buffer.extend_from_slice(if items == 0 { b"]" } else { b"\n]" });
        buffer.extend_from_slice(if footer.is_empty() { b"\n" } else { footer.as_bytes() });
        Ok(())
    }
}
