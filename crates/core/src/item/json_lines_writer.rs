//! `JsonLinesWriter`: one JSON value per line, exactly once.

use std::marker::PhantomData;
use std::path::PathBuf;

use serde::Serialize;

use super::output_file::{BUFFER_BYTES, OutputFile};
use super::{Checkpoint, FileSync, ItemError, ItemWriter, OnExisting};
use crate::repository::ChunkTransaction;
use crate::step::StepContext;

/// Writes each output as one line of JSON.
///
/// ```
/// use oxbatch_core::ChunkStep;
/// use oxbatch_core::item::{JsonLinesWriter, ListReader};
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
/// # let job = oxbatch_core::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch_core::BuildError>(())
/// ```
///
/// **Exactly once, by cutting back.** The length of the file is committed with each chunk; a restart cuts the file back
/// to it and appends. That holds however the process dies; for the death of the whole machine see [`FileSync`]. File
/// names, locks and faults are the same as for the other file writer, `CsvWriter`. An empty input makes an empty file.
#[derive(Debug)]
pub struct JsonLinesWriter<T> {
    output: OutputFile,
    /// Used again for all chunks.
    buffer: Vec<u8>,
    item: PhantomData<fn(&T)>,
}

impl<T> JsonLinesWriter<T> {
    /// Writes to `path` for the step of `context`.
    pub fn new(context: &StepContext, path: impl Into<PathBuf>) -> Self {
        Self::over(OutputFile::new(context, path.into()))
    }

    /// Writes to `path` outside of a step; the temporary name carries `tag`, which must be the same in all attempts.
    pub fn with_tag(tag: &str, path: impl Into<PathBuf>) -> Self {
        Self::over(OutputFile::with_tag(tag, path.into()))
    }

    fn over(output: OutputFile) -> Self {
        Self { output, buffer: Vec::new(), item: PhantomData }
    }

    /// When the file is forced to the disk; [`FileSync::AtEnd`] when it is not set.
    #[must_use]
    pub fn sync(mut self, sync: FileSync) -> Self {
        self.output.set_sync(sync);
        self
    }

    /// What becomes of a file that has the final name already; [`OnExisting::Replace`] when it is not set.
    #[must_use]
    pub fn on_existing(mut self, on_existing: OnExisting) -> Self {
        self.output.set_on_existing(on_existing);
        self
    }

    fn hand_over(&mut self) -> Result<(), ItemError> {
        self.output.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<T: Serialize + Send + Sync> ItemWriter<T> for JsonLinesWriter<T> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.buffer.clear();
        self.output.open(checkpoint)
    }

    async fn write(&mut self, outputs: &[T], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        for (index, output) in outputs.iter().enumerate() {
            serde_json::to_writer(&mut self.buffer, output)
                .map_err(|error| ItemError::other(error).at(format!("output {} of the chunk", index + 1)))?;
            self.buffer.push(b'\n');
            if self.buffer.len() >= BUFFER_BYTES {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.hand_over()?;
        self.output.flush()
    }

    fn committed(&mut self) {
        self.output.committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.buffer.clear();
        Ok(self.output.rolled_back()?)
    }

    async fn finish(&mut self, _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.hand_over()?;
        self.output.finish();
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        Ok(self.output.publish()?)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.output.close();
        Ok(())
    }
}
