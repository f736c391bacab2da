//! `DistinctProcessor`: only the first item of each key, however many keys there are and however often the step
//! restarts.

mod index;
mod run;

use std::path::PathBuf;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::FileSync;
use super::output_file::{FileError, OutputFile, Position};
use index::{HASH_BYTES, Index};
use oxbatch_core::item::{Checkpoint, ItemError, ItemProcessor, Processed, Syncer};
use oxbatch_core::step::StepContext;

/// Passes on the first item of each key and filters those that come later in the step.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{DistinctProcessor, FunctionWriter, ListReader};
///
/// #[derive(Clone)]
/// struct Trade {
///     exchange: String,
///     number: u64,
/// }
///
/// let trade = Trade { exchange: "XETR".to_owned(), number: 4711 };
/// let step = ChunkStep::builder("Import")
///     .reader(move |_| Ok(ListReader::new([trade.clone(), trade.clone()])))
///     .processor(|context| {
///         Ok(DistinctProcessor::new(context, "work/trades.keys", |trade: &Trade, key| {
///             key.push(&trade.exchange).push(&trade.number);
///         }))
///     })
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Trade]| {
///         println!("{} trades", chunk.len());
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Trades").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// A key is compared by the first 128 bits of its SHA-256: among 10¹² keys the chance that any two are taken for one is
/// below one in 10¹⁴.
///
/// # Memory
/// About 30 MiB, and a byte for each 32 keys: what has been seen lies in a file `<path>.<instance>-<step>.part`, 16
/// bytes a key, and in sorted files next to it that nobody else sees. The keys of one chunk are in memory.
///
/// # Restart
/// Exact: the length of that file is committed with each chunk and a restart cuts it back to it, so a key is known when
/// its item was settled in a committed chunk, or comes earlier in this attempt. An item that is skipped because it
/// could not be written is settled; one that a processor behind this one fails is not, its key may come again. A
/// restart reads the file once. It must be where it was: on another machine, give a path that both see. A file that is
/// missing or changed fails the step with a sentence. It is on disk before the state that counts on it, so this holds
/// after a loss of power too; see [`sync`](Self::sync). It is removed when the step has completed.
pub struct DistinctProcessor<F> {
    key_of: F,
    key: DistinctKey,
    duplicates_fail: bool,
    log: OutputFile,
    index: Index,
    /// Keys that are not in the file yet: those of the chunk.
    pending: Vec<u8>,
    /// The last item's key, when it was new.
    last: Option<u128>,
    /// The file is gone, and with it what an earlier attempt has seen.
    lost: Option<Lost>,
}

struct Lost {
    checkpoint: Checkpoint,
    length: u64,
}

/// Collects the parts of an item's key.
#[derive(Debug, Default)]
pub struct DistinctKey {
    bytes: Vec<u8>,
    error: Option<ItemError>,
}

impl DistinctKey {
    /// Adds a part. Parts are compared as their JSON, so `1` and `1.0` differ, and so do `"1"` and `1`.
    pub fn push(&mut self, part: &(impl Serialize + ?Sized)) -> &mut Self {
        if let Err(error) = oxbatch_core::item::write_json(part, &mut self.bytes) {
            self.error = Some(error);
        }
        // No JSON text goes on behind a comma.
        self.bytes.push(b',');
        self
    }

    fn hash(&self) -> u128 {
        let digest = Sha256::digest(&self.bytes);
        digest.iter().take(HASH_BYTES).fold(0, |hash, byte| (hash << 8) | u128::from(*byte))
    }
}

impl<F> DistinctProcessor<F> {
    /// Takes items as equal whose keys are; `key_of` puts together the key of an item.
    pub fn new<I>(context: &StepContext, path: impl Into<PathBuf>, key_of: F) -> Self
    where
        F: FnMut(&I, &mut DistinctKey),
    {
        Self::with_tag(&OutputFile::tag(context), path, key_of)
    }

    /// As [`new`](Self::new), outside of a step; the name of the file carries `tag`, which must be the same in all
    /// attempts.
    pub fn with_tag<I>(tag: &str, path: impl Into<PathBuf>, key_of: F) -> Self
    where
        F: FnMut(&I, &mut DistinctKey),
    {
        Self {
            key_of,
            key: DistinctKey::default(),
            duplicates_fail: false,
            log: OutputFile::with_tag(tag, path.into()),
            index: Index::default(),
            pending: Vec::new(),
            last: None,
            lost: None,
        }
    }

    /// An item whose key came before is an error of kind
    /// [`ErrorKind::Validation`](oxbatch_core::item::ErrorKind::Validation) that names the key, in place of being
    /// filtered.
    #[must_use]
    pub fn duplicates_fail(mut self) -> Self {
        self.duplicates_fail = true;
        self
    }

    /// The times at which the file is forced to the disk; [`FileSync::EverySave`] when it is not set. It does not join
    /// the saves of its step: that is up to the writer.
    #[must_use]
    pub fn sync(mut self, sync: FileSync) -> Self {
        self.log.sync(sync);
        self
    }

    #[inline]
    fn pass<I>(&mut self, item: I) -> Result<Option<I>, ItemError>
    where
        F: FnMut(&I, &mut DistinctKey),
    {
        if let Some(lost) = &self.lost {
            return Err(FileError::missing(self.log.part_path(), lost.length).into());
        }
        self.last = None;
        self.key.bytes.clear();
        (self.key_of)(&item, &mut self.key);
        if let Some(error) = self.key.error.take() {
            return Err(error.at("key"));
        }
        let hash = self.key.hash();
        if self.index.insert(hash)? {
            self.pending.extend_from_slice(&hash.to_be_bytes());
            self.last = Some(hash);
            return Ok(Some(item));
        }
        if self.duplicates_fail {
            let text = String::from_utf8_lossy(self.key.bytes.strip_suffix(b",").unwrap_or_default());
            return Err(ItemError::validation(format!("key {text} came before")));
        }
        Ok(None)
    }

    /// Learns the keys of the file again.
    fn resume(&mut self, position: &Position) -> Result<(), ItemError> {
        self.log.resume(position)?;
        let index = &mut self.index;
        let path = self.log.part_path().to_owned();
        self.log.read_back(|bytes| {
            for hash in bytes.chunks_exact(HASH_BYTES).filter_map(|hash| hash.first_chunk()) {
                index.insert(u128::from_be_bytes(*hash))?;
            }
            index.spill(&path)
        })?;
        Ok(())
    }
}

impl<I, F> ItemProcessor<I> for DistinctProcessor<F>
where
    I: Send + Sync,
    F: FnMut(&I, &mut DistinctKey) + Send,
{
    type Output = I;

    const NEEDS_ALL_ITEMS: bool = true;

    const IS_SYNCHRONOUS: bool = true;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.index = Index::default();
        self.pending.clear();
        (self.last, self.lost) = (None, None);
        let Some(checkpoint) = checkpoint else { return Ok(self.log.open_anew()?) };
        let position: Position = checkpoint.read()?;
        match self.resume(&position) {
            // Right when an attempt has died after its end: then nobody asks for a key any more.
            Err(error) if error.cause().downcast_ref().is_some_and(FileError::is_missing) => {
                self.lost = Some(Lost { checkpoint: checkpoint.clone(), length: position.length() });
                Ok(())
            }
            opened => opened,
        }
    }

    #[inline]
    async fn process(&mut self, item: I) -> Result<Option<I>, ItemError> {
        self.pass(item)
    }

    #[inline]
    fn process_now(&mut self, item: I) -> Processed<I, I> {
        self.pass(item).into()
    }

    fn roll_back(&mut self) {
        if let Some(hash) = self.last.take() {
            self.index.forget(hash);
            self.pending.truncate(self.pending.len() - HASH_BYTES);
        }
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        if let Some(lost) = &self.lost {
            return Ok(Some(lost.checkpoint.clone()));
        }
        self.last = None;
        self.log.append(&self.pending)?;
        self.pending.clear();
        self.index.spill(self.log.part_path())?;
        Checkpoint::new(&self.log.flush_alone()?).map(Some)
    }

    fn syncer(&mut self) -> Result<Option<Syncer>, ItemError> {
        if self.lost.is_some() { Ok(None) } else { Ok(self.log.syncer()?) }
    }

    async fn completed(&mut self) -> Result<(), ItemError> {
        Ok(self.log.remove()?)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.log.close();
        self.index = Index::default();
        Ok(())
    }
}

impl<F> std::fmt::Debug for DistinctProcessor<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DistinctProcessor").field("log", &self.log).finish_non_exhaustive()
    }
}
