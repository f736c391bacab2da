//! `CsvWriter`: delimited text, exactly once.

use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::output_file::{BUFFER_BYTES, FileFault, OutputFile};
use super::{Checkpoint, FileSync, ItemError, ItemWriter, OnExisting};
use crate::repository::ChunkTransaction;
use crate::step::StepContext;

/// Writes each output as one record of delimited text, quoted where it must be.
///
/// ```
/// use oxbatch_core::ChunkStep;
/// use oxbatch_core::item::{CsvWriter, ListReader};
///
/// #[derive(Clone, serde::Serialize)]
/// struct Strike {
///     species: String,
///     speed: Option<u32>,
/// }
///
/// let step = ChunkStep::builder("Export")
///     .reader(|_| Ok(ListReader::new([Strike { species: "Canada goose".to_owned(), speed: Some(140) }])))
///     .writer(|context| Ok(CsvWriter::new(context, "output/strikes.csv").headers(["species", "speed"])));
/// # let job = oxbatch_core::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch_core::BuildError>(())
/// ```
///
/// The header is made of the names of the record's fields when the first record is written; records without names
/// (tuples) have none. An empty input makes an empty file, or one with a header when [`headers`](Self::headers) gave it.
///
/// # Files
///
/// **Exactly once, by cutting back.** The length of the file is committed with each chunk; a restart cuts the file back
/// to it and appends. That holds however the process dies; for the death of the whole machine see [`FileSync`].
///
/// - The output grows as `<final name>.<instance>-<step>.part` in the folder of the final name, which is created when it
///   is missing. When the input has ended it is forced to the disk and renamed in one move: nobody sees half a file.
/// - While it is open it is locked: an earlier attempt that is still alive makes the next one fail, never write between
///   its lines. The file system must support advisory locks.
/// - A file that is missing, shorter than its checkpoint or changed since then fails the step with a sentence that names
///   it. Restore it, or launch with force, which starts anew.
/// - A file of the final name is replaced unless [`on_existing`](Self::on_existing) refuses. What is no file (a folder,
///   a device) is never replaced.
pub struct CsvWriter<T> {
    /// Shared with `csv`, which does not give its target back.
    output: Arc<Mutex<OutputFile>>,
    csv: Option<csv::Writer<Target>>,
    delimiter: u8,
    header: Header,
    item: PhantomData<fn(&T)>,
}

#[derive(Debug)]
enum Header {
    None,
    FieldNames,
    Given(Vec<String>),
}

impl<T> CsvWriter<T> {
    /// What stands between two fields unless [`delimiter`](Self::delimiter) says otherwise.
    pub const DEFAULT_DELIMITER: u8 = b',';

    /// Writes to `path` for the step of `context`.
    pub fn new(context: &StepContext, path: impl Into<PathBuf>) -> Self {
        Self::over(OutputFile::new(context, path.into()))
    }

    /// Writes to `path` outside of a step; the temporary name carries `tag`, which must be the same in all attempts.
    pub fn with_tag(tag: &str, path: impl Into<PathBuf>) -> Self {
        Self::over(OutputFile::with_tag(tag, path.into()))
    }

    fn over(output: OutputFile) -> Self {
        Self {
            output: Arc::new(Mutex::new(output)),
            csv: None,
            delimiter: Self::DEFAULT_DELIMITER,
            header: Header::FieldNames,
            item: PhantomData,
        }
    }

    /// What stands between two fields; [`DEFAULT_DELIMITER`](Self::DEFAULT_DELIMITER) when it is not set.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// The header, in place of the names of the fields; written even when the input is empty.
    #[must_use]
    pub fn headers<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.header = Header::Given(names.into_iter().map(Into::into).collect());
        self
    }

    /// Writes no header.
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        self.header = Header::None;
        self
    }

    /// When the file is forced to the disk; [`FileSync::AtEnd`] when it is not set.
    #[must_use]
    pub fn sync(self, sync: FileSync) -> Self {
        lock(&self.output).set_sync(sync);
        self
    }

    /// What becomes of a file that has the final name already; [`OnExisting::Replace`] when it is not set.
    #[must_use]
    pub fn on_existing(self, on_existing: OnExisting) -> Self {
        lock(&self.output).set_on_existing(on_existing);
        self
    }

    /// The writer of records, made anew after `open` and `rolled_back`: only so is what it had collected gone.
    fn csv(&mut self) -> Result<&mut csv::Writer<Target>, ItemError> {
        let csv = match self.csv.take() {
            Some(csv) => csv,
            None => self.new_csv()?,
        };
        Ok(self.csv.insert(csv))
    }

    fn new_csv(&self) -> Result<csv::Writer<Target>, ItemError> {
        // A file that is not empty begins with its header.
        let is_empty = lock(&self.output).length() == 0;
        let mut csv = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(is_empty && matches!(self.header, Header::FieldNames))
            .buffer_capacity(BUFFER_BYTES)
            .from_writer(Target(Arc::clone(&self.output)));
        if let Header::Given(names) = &self.header
            && is_empty
        {
            csv.write_record(names).map_err(fault)?;
        }
        Ok(csv)
    }

    fn hand_over(&mut self) -> Result<(), ItemError> {
        match &mut self.csv {
            Some(csv) => csv.flush().map_err(|error| fault(error.into())),
            None => Ok(()),
        }
    }
}

impl<T: Serialize + Send + Sync> ItemWriter<T> for CsvWriter<T> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.csv = None;
        lock(&self.output).open(checkpoint)
    }

    async fn write(&mut self, outputs: &[T], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let csv = self.csv()?;
        for (index, output) in outputs.iter().enumerate() {
            csv.serialize(output).map_err(|error| fault(error).at(format!("output {} of the chunk", index + 1)))?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.hand_over()?;
        lock(&self.output).flush()
    }

    fn committed(&mut self) {
        lock(&self.output).committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        // Dropping it hands over what it had collected; the cut comes after.
        self.csv = None;
        Ok(lock(&self.output).rolled_back()?)
    }

    async fn finish(&mut self, _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if matches!(self.header, Header::Given(_)) && !lock(&self.output).is_complete() {
            self.csv()?;
        }
        self.hand_over()?;
        lock(&self.output).finish();
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        Ok(lock(&self.output).publish()?)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        // First the file: what was collected and never flushed has no place in it.
        lock(&self.output).close();
        self.csv = None;
        Ok(())
    }
}

impl<T> std::fmt::Debug for CsvWriter<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvWriter").field("output", &self.output).finish_non_exhaustive()
    }
}

/// Where the writer of records puts what it has collected.
struct Target(Arc<Mutex<OutputFile>>);

impl io::Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Never contended: one writer, one thread.
fn lock(output: &Mutex<OutputFile>) -> MutexGuard<'_, OutputFile> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fault(error: csv::Error) -> ItemError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => match error.downcast::<FileFault>() {
            Ok(fault) => ItemError::other(fault),
            Err(error) => ItemError::other(error),
        },
        csv::ErrorKind::Serialize(problem) => ItemError::other(problem),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            ItemError::other(format!("record has {len} fields, but the records before it have {expected_len}"))
        }
        kind => ItemError::other(format!("record cannot be written: {kind:?}")),
    }
}
