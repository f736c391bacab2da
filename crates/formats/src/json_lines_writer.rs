//! `JsonLinesWriter`: one JSON value per line, exactly once.

use serde::Serialize;

use super::{FileWriter, RecordEncoder};
use oxbatch_core::item::{ItemError, write_json};

/// Writes each output as one line of JSON.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{JsonLinesWriter, ListReader};
///
/// #[derive(Clone, serde::Serialize)]
/// struct Strike {
///     species: String,
///     speed: Option<u32>,
/// }
///
/// let step = ChunkStep::builder("Export")
///     .reader(|_| Ok(ListReader::new([Strike { species: "Canada goose".to_owned(), speed: Some(140) }])))
///     .writer(|context| Ok(JsonLinesWriter::new(context, "output/strikes.jsonl")));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// An empty input makes an empty file. A number that JSON does not have (NaN, the infinite ones) is an error of its
/// item, of kind [`ErrorKind::Validation`](oxbatch_core::item::ErrorKind::Validation).
///
/// **Exactly once, by cutting back**: files, locks and errors are those of every [`FileWriter`].
pub type JsonLinesWriter<T> = FileWriter<JsonLinesEncoder, T>;

/// Writes lines of JSON; made by [`JsonLinesWriter`].
#[derive(Debug, Default)]
pub struct JsonLinesEncoder(());

impl<T: Serialize> RecordEncoder<T> for JsonLinesEncoder {
    fn check_append(&self) -> Result<(), ItemError> {
        Ok(())
    }

    fn encode(&mut self, item: &T, _: u64, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        write_json(item, buffer)?;
        buffer.push(b'\n');
        Ok(())
    }

    fn fork(&self) -> Option<Self> {
        Some(Self(()))
    }
}
