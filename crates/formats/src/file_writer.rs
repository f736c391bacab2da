//! `FileWriter`: what all writers of text files do alike; a format is a [`RecordEncoder`].

mod item_encoder;
mod record_encoder;

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use super::output_file::{Counts, OutputFiles};
use super::{Compression, FileSync, OnExisting};
use item_encoder::ItemEncoder;
use oxbatch_core::item::{Checkpoint, EncodedOutputs, ItemError, ItemWriter, OutputEncoder};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::StepContext;
pub use record_encoder::RecordEncoder;

/// Bytes that a file writer collects before it hands them to the system.
const BUFFER_BYTES: usize = 128 * 1024;
/// Items between two calls of [`RecordEncoder::drain`]: often enough to bound the memory of any chunk, seldom enough to
/// cost nothing.
const DRAIN_ITEMS: usize = 1_024;

/// The part of a file's state that the author's header and footer see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSummary {
    /// The number of the file, from 1.
    pub number: u32,
    /// Items in it so far: 0 for a header, all for a footer.
    pub items: u64,
    /// Items in it and in the files before it.
    pub total_items: u64,
}

type Hook = Box<dyn Fn(&FileSummary) -> String + Send>;

/// Writes items to a text file, or to a sequence of files, in the format of an encoder.
///
/// The formats are [aliases](crate#items) with an encoder of their own. What holds for all of them:
///
/// **Exactly once, by cutting back.** The length of the file is committed with each chunk; a restart cuts the file back
/// to it and appends. That holds however the process dies, and when the machine loses its power, since the file is on
/// disk before the state that counts on it; see [`FileSync`] for its price.
///
/// - The output grows as `<final name>.<instance>-<step>.part` in the folder of the final name, which is created when
///   it is missing. When the input has ended it is forced to the disk and renamed in one move: nobody sees half a file.
/// - While it is open it is locked: an earlier attempt that is still alive makes the next one fail, never write between
///   its lines. The file system must support advisory locks.
/// - A file that is missing, shorter than its checkpoint or changed since then fails the step with a sentence that
///   names it. Restore it, or launch with force, which starts anew.
/// - A file of the final name is replaced unless [`on_existing`](Self::on_existing) refuses or appends. What is no file
///   (a folder, a device) is never replaced, nor is a file that the step reads.
/// - On Unix the output gets the mode of the file that it replaces, and its owner and group as far as the process may
///   give files away (access control lists and extended attributes are not copied). A final name that is a link stays
///   one: what it leads to is written, and the temporary file stands next to that.
/// - Of two executions that write to one final name at once the second fails with a sentence.
/// - [`header`](Self::header) and [`footer`](Self::footer) put the author's text at the start and the end of each file.
/// - [`roll_after_items`](Self::roll_after_items) and [`roll_after_bytes`](Self::roll_after_bytes) make a sequence:
///   `orders.csv` becomes `orders-0001.csv`, `orders-0002.csv`, …, each with its header and footer. All of them are
///   published when the step completes, the last one last. Files with higher numbers that an earlier, longer output
///   left are not touched.
/// - [`compression`](Self::compression) makes gzip or zstd of it.
/// - As the [rejects](oxbatch_core::step::ChunkStepBuilder::rejects) of a step that FAILS it shows a copy of what is
///   committed so far, with its footer, under the final name, unless it refuses or appends to what is there.
pub struct FileWriter<E, T> {
    files: OutputFiles,
    encoder: E,
    header: Option<Hook>,
    footer: Option<Hook>,
    roll_items: Option<u64>,
    roll_bytes: Option<u64>,
    /// Used again for all chunks.
    buffer: Vec<u8>,
    item: PhantomData<fn(&T)>,
}

impl<E: Default, T> FileWriter<E, T> {
    /// Writes to `path` for the step of `context`.
    pub fn new(context: &StepContext, path: impl Into<PathBuf>) -> Self {
        Self::over(OutputFiles::new(context, path.into()))
    }

    /// Writes to `path` outside of a step; the temporary name carries `tag`, which must be the same in all attempts.
    pub fn with_tag(tag: &str, path: impl Into<PathBuf>) -> Self {
        Self::over(OutputFiles::with_tag(tag.to_owned(), path.into()))
    }

    fn over(files: OutputFiles) -> Self {
        Self {
            files,
            encoder: E::default(),
            header: None,
            footer: None,
            roll_items: None,
            roll_bytes: None,
            buffer: Vec::new(),
            item: PhantomData,
        }
    }
}

impl<E, T> FileWriter<E, T> {
    /// The times at which the file is forced to the disk; [`FileSync::EverySave`] when it is not set.
    #[must_use]
    pub fn sync(mut self, sync: FileSync) -> Self {
        self.files.sync = sync;
        self
    }

    /// The treatment of a file that has the final name already; [`OnExisting::Replace`] when it is not set.
    #[must_use]
    pub fn on_existing(mut self, on_existing: OnExisting) -> Self {
        self.files.on_existing = on_existing;
        self
    }

    /// The compression of the file; [`Compression::None`] when it is not set.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.files.compression = compression;
        self
    }

    /// Text at the start of each file, with its own line end; where it stands is up to the format.
    #[must_use]
    pub fn header(mut self, text: impl Fn(&FileSummary) -> String + Send + 'static) -> Self {
        self.header = Some(Box::new(text));
        self
    }

    /// Text at the end of each file, which sees how many items stand in it; kept right over restarts.
    #[must_use]
    pub fn footer(mut self, text: impl Fn(&FileSummary) -> String + Send + 'static) -> Self {
        self.footer = Some(Box::new(text));
        self
    }

    /// Begins a new file when the current one has so many items.
    #[must_use]
    pub fn roll_after_items(mut self, items: u64) -> Self {
        self.roll_items = Some(items);
        self
    }

    /// Begins a new file when the current one has reached so many bytes, before compression and without its footer: it
    /// is longer by its last item at most.
    #[must_use]
    pub fn roll_after_bytes(mut self, bytes: u64) -> Self {
        self.roll_bytes = Some(bytes);
        self
    }

    /// Changes the encoder: for the settings of a format.
    #[must_use]
    pub fn encoder(mut self, change: impl FnOnce(&mut E)) -> Self {
        change(&mut self.encoder);
        self
    }

    fn summary(&self) -> FileSummary {
        let Counts { file, items, before, .. } = self.files.counts;
        FileSummary { number: file.max(1), items, total_items: before + items }
    }

    fn hand_over(&mut self) -> Result<(), ItemError> {
        self.files.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<E: RecordEncoder<T>, T> FileWriter<E, T> {
    fn begin(&mut self) -> Result<(), ItemError> {
        if self.files.follows_text {
            return Ok(());
        }
        let header = self.header.as_ref().map(|text| text(&self.summary()));
        self.encoder.begin(header.as_deref().unwrap_or_default(), &mut self.buffer)
    }

    fn end(&mut self) -> Result<(), ItemError> {
        self.encoder.drain(&mut self.buffer)?;
        let summary = self.summary();
        let footer = self.footer.as_ref().map(|text| text(&summary));
        self.encoder.end(summary.items, footer.as_deref().unwrap_or_default(), &mut self.buffer)?;
        self.hand_over()
    }

    /// Begins a new file when the current one is full.
    fn roll(&mut self) -> Result<(), ItemError> {
        let Counts { items, text, .. } = self.files.counts;
        let full = self.roll_items.is_some_and(|limit| items >= limit)
            || match self.roll_bytes {
                Some(limit) => {
                    self.encoder.drain(&mut self.buffer)?;
                    text + self.buffer.len() as u64 >= limit
                }
                None => false,
            };
        if full && items > 0 {
            self.end()?;
            self.files.next_file()?;
        }
        Ok(())
    }

    fn write_part(&mut self, outputs: &[T], first: usize) -> Result<(), ItemError> {
        let rolls = self.files.numbered;
        for (index, output) in outputs.iter().enumerate() {
            if rolls {
                self.roll()?;
            }
            let before = self.files.counts.items;
            if before == 0 {
                self.begin()?;
            }
            self.encoder
                .encode(output, before, &mut self.buffer)
                .map_err(|error| error.at(format!("output {} of the chunk", first + index + 1)))?;
            self.files.counts.items += 1;
            if self.buffer.len() >= BUFFER_BYTES {
                self.hand_over()?;
            }
        }
        self.encoder.drain(&mut self.buffer)
    }
}

impl<E: RecordEncoder<T>, T: Send + Sync> ItemWriter<T> for FileWriter<E, T> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.encoder.check()?;
        if self.files.on_existing == OnExisting::Append {
            self.encoder.check_append()?;
        }
        self.files.numbered = self.roll_items.is_some() || self.roll_bytes.is_some();
        self.buffer.clear();
        self.encoder.reset();
        self.files.open(checkpoint)
    }

    async fn write(&mut self, outputs: &[T], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.files.check_incomplete()?;
        for (number, part) in outputs.chunks(DRAIN_ITEMS).enumerate() {
            self.write_part(part, number * DRAIN_ITEMS)?;
        }
        Ok(())
    }

    fn encoder(&self) -> Option<Box<dyn OutputEncoder<T>>>
    where
        Self: 'static,
    {
        // What stands at the start of a file, and when the next one begins, is up to this writer.
        if self.files.numbered || self.files.counts.items == 0 {
            return None;
        }
        let compression = self.files.compression;
        let encoder = self.encoder.fork()?;
        Some(Box::new(ItemEncoder::new(encoder, compression)))
    }

    async fn write_encoded(&mut self, outputs: &EncodedOutputs, _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.files.check_incomplete()?;
        self.hand_over()?;
        if self.files.compression == Compression::None {
            self.files.append(&outputs.bytes)?;
        } else {
            self.files.append_packed(&outputs.bytes, outputs.measure)?;
        }
        self.files.counts.items += outputs.outputs as u64;
        Ok(())
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.hand_over()?;
        self.files.flush()
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        Ok(self.files.force()?)
    }

    fn save_interval(&self) -> Option<Duration> {
        self.files.sync.save_interval()
    }

    fn inputs(&mut self, files: &[PathBuf]) {
        self.files.inputs = files.into();
    }

    fn committed(&mut self) {
        self.files.committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.buffer.clear();
        self.encoder.reset();
        Ok(self.files.rolled_back()?)
    }

    async fn finish(&mut self, _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if self.files.is_complete() {
            return Ok(());
        }
        if self.files.counts.items == 0 {
            self.begin()?;
        }
        self.end()?;
        Ok(self.files.finish()?)
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        Ok(self.files.publish()?)
    }

    async fn publish_copy(&mut self) -> Result<(), ItemError> {
        if !self.files.can_copy() {
            return Ok(());
        }
        self.encoder.reset();
        self.buffer.clear();
        let summary = self.summary();
        let footer = self.footer.as_ref().map(|text| text(&summary));
        let ended = self.encoder.end(summary.items, footer.as_deref().unwrap_or_default(), &mut self.buffer);
        let copied = match ended {
            Ok(()) => self.files.publish_copy(&self.buffer).map_err(ItemError::from),
            Err(error) => Err(error),
        };
        self.encoder.reset();
        self.buffer.clear();
        copied
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        // First the file: what was collected and never flushed has no place in it.
        self.files.close();
        self.buffer.clear();
        self.encoder.reset();
        Ok(())
    }
}

impl<E: std::fmt::Debug, T> std::fmt::Debug for FileWriter<E, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter").field("files", &self.files).field("encoder", &self.encoder).finish_non_exhaustive()
    }
}
