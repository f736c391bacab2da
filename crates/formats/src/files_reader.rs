//! `FilesReader`: all files that match a pattern as one input, each by a reader of its own.

mod blocks;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::output_file::fingerprint;
use oxbatch_core::item::{BlockReader, Checkpoint, ItemError, ItemReader, Origin, Position};

/// Reads the files that match a pattern, in the order of their paths, one after the other.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FilesReader, FunctionWriter, JsonLinesReader};
///
/// #[derive(serde::Deserialize)]
/// struct Strike {
///     species: String,
///     speed: Option<u32>,
/// }
///
/// let step = ChunkStep::builder("Import")
///     .reader(|_| Ok(FilesReader::new("data/strikes-*.jsonl", |path| JsonLinesReader::<Strike>::new(path))))
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Strike]| {
///         println!("{} strikes", chunk.len());
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// In a pattern, `*` and `?` stand for characters of a name, `**` for any folders, `[a-z]` for one of a set. Folders
/// are passed over. A pattern that no file matches fails the step, for a wrong path looks the same; see
/// [`none_is_fine`](Self::none_is_fine). Errors name their file.
///
/// # Restart
/// The checkpoint is the file and its reader's checkpoint. The list is made once, at the start: when a file has been
/// added, removed or renamed since, or has another size, a restart fails the step with a sentence. Restore the files,
/// or launch with force, which starts anew.
///
/// # Workers
/// The [workers](oxbatch_core::step::ChunkStepBuilder::workers) of a step share the files where the reader of each can
/// be shared, as those of this crate can: one file after another, each as if it were the only one.
pub struct FilesReader<R: ItemReader, F> {
    pattern: String,
    /// None once workers share the files.
    make: Option<F>,
    none_is_fine: bool,
    open: Option<Open<R>>,
    /// The files in the hands of workers.
    shared: Option<Arc<Mutex<blocks::Shared<R, F>>>>,
}

/// The position in the files, as it is stored with each commit.
#[derive(Serialize, Deserialize)]
struct FilesPosition {
    /// Files that have been read to their ends.
    done: usize,
    files: usize,
    /// Fingerprint of all paths and sizes.
    list: u64,
    /// The path of the next file, for people.
    file: Option<PathBuf>,
    /// The position in it; none at its start.
    inner: Option<Box<RawValue>>,
}

impl FilesPosition {
    /// The checkpoint behind so many files, of a number and with a fingerprint, and in the next one.
    fn checkpoint(
        done: usize,
        (files, list): (usize, u64),
        file: Option<&Path>,
        inner: Option<Checkpoint>,
    ) -> Result<Checkpoint, ItemError> {
        let inner = inner.map(|inner| RawValue::from_string(inner.as_json().to_owned())).transpose()?;
        Checkpoint::new(&Self { done, files, list, file: file.map(Path::to_owned), inner })
    }

    /// The share of all files behind so many of them and a share of the next one.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn progress(done: usize, files: usize, of_file: f64) -> Option<f64> {
        (files > 0).then(|| (done as f64 + of_file) / files as f64)
    }
}

struct Open<R> {
    paths: Vec<PathBuf>,
    list: u64,
    done: usize,
    /// The reader of the file behind those that are done, once it is open.
    reader: Option<R>,
}

/// The reason for which the files cannot be listed, or are not those of the last attempt.
#[derive(Debug, thiserror::Error)]
enum FilesError {
    #[error("pattern '{pattern}' is none")]
    Pattern { pattern: String, source: glob::PatternError },

    #[error("files of pattern '{pattern}' cannot be listed")]
    List { pattern: String, source: glob::GlobError },

    #[error("input file '{path}' cannot be opened", path = path.display())]
    Size { path: PathBuf, source: std::io::Error },

    #[error("no file matches pattern '{pattern}'")]
    None { pattern: String },

    #[error(
        "files of pattern '{pattern}' have changed since the last attempt: {difference}; restore the files or launch with force to start anew"
    )]
    Changed { pattern: String, difference: String },

    #[error("files of pattern '{pattern}' are not open")]
    NotOpen { pattern: String },
}

impl<R: ItemReader, F: FnMut(&Path) -> R> FilesReader<R, F> {
    /// Reads the files that match `pattern`, each by the reader that `make` makes for its path.
    pub fn new(pattern: impl Into<String>, make: F) -> Self {
        Self { pattern: pattern.into(), make: Some(make), none_is_fine: false, open: None, shared: None }
    }

    /// A pattern that no file matches is an empty input.
    #[must_use]
    pub fn none_is_fine(mut self) -> Self {
        self.none_is_fine = true;
        self
    }
}

impl<R: ItemReader, F> FilesReader<R, F> {
    /// The files in their order, and the fingerprint of their paths and sizes.
    fn list(&self) -> Result<(Vec<PathBuf>, u64), FilesError> {
        let pattern = || self.pattern.clone();
        let found = glob::glob(&self.pattern).map_err(|source| FilesError::Pattern { pattern: pattern(), source })?;
        let mut files = Vec::new();
        for path in found {
            let path = path.map_err(|source| FilesError::List { pattern: pattern(), source })?;
            let found = std::fs::metadata(&path).map_err(|source| FilesError::Size { path: path.clone(), source })?;
            if !found.is_dir() {
                files.push((path, found.len()));
            }
        }
        files.sort();
        let mut text = Vec::new();
        for (path, size) in &files {
            text.extend_from_slice(path.as_os_str().as_encoded_bytes());
            text.extend_from_slice(format!("\0{size}\0").as_bytes());
        }
        Ok((files.into_iter().map(|(path, _)| path).collect(), fingerprint(&text)))
    }

    fn check(&self, position: &FilesPosition, files: usize, list: u64) -> Result<(), FilesError> {
        let difference = if position.files != files {
            format!("there were {} and are {files} now", position.files)
        } else if position.done > files {
            format!("{} of {files} were done", position.done)
        } else if position.list != list {
            "one has another name or size".to_owned()
        } else {
            return Ok(());
        };
        Err(FilesError::Changed { pattern: self.pattern.clone(), difference })
    }

    fn not_open(&self) -> ItemError {
        FilesError::NotOpen { pattern: self.pattern.clone() }.into()
    }
}

impl<R, F> ItemReader for FilesReader<R, F>
where
    R: ItemReader,
    F: FnMut(&Path) -> R + Send,
{
    type Item = R::Item;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let position = checkpoint.map(Checkpoint::read::<FilesPosition>).transpose()?;
        self.open = None;
        let (paths, list) = self.list()?;
        let mut open = Open { paths, list, done: 0, reader: None };
        if let Some(position) = position {
            self.check(&position, open.paths.len(), list)?;
            open.done = position.done;
            if let (Some(path), Some(inner), Some(make)) =
                (open.paths.get(position.done), position.inner, self.make.as_mut())
            {
                let mut reader = make(path);
                reader.open(Some(&Checkpoint::new(&inner)?)).await.map_err(|error| within(path, error))?;
                open.reader = Some(reader);
            }
        } else if open.paths.is_empty() && !self.none_is_fine {
            return Err(FilesError::None { pattern: self.pattern.clone() }.into());
        }
        self.open = Some(open);
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<R::Item>, ItemError> {
        let (Some(open), Some(make)) = (&mut self.open, &mut self.make) else { return Err(self.not_open()) };
        while let Some(path) = open.paths.get(open.done) {
            let reader = match &mut open.reader {
                Some(reader) => reader,
                none => {
                    let mut reader = make(path);
                    reader.open(None).await.map_err(|error| within(path, error))?;
                    none.insert(reader)
                }
            };
            match reader.read().await {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => {
                    reader.close().await.map_err(|error| within(path, error))?;
                    open.reader = None;
                    open.done += 1;
                }
                Err(error) => return Err(within(path, error)),
            }
        }
        Ok(None)
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        let FilesPosition { file, inner, .. } = checkpoint.read().ok()?;
        let file: Arc<Path> = file?.into();
        let inner = inner.and_then(|inner| serde_json::from_str::<Checkpoint>(inner.get()).ok());
        let place = inner.as_ref().and_then(R::place_of).unwrap_or_else(|| Origin::at(Position::Line(1)));
        Some(place.or_in_file(&file))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let Some(open) = &mut self.open else { return Err(self.not_open()) };
        let inner = match &mut open.reader {
            Some(reader) => match reader.checkpoint()? {
                // The reader starts anew each time, and so does this one.
                None => return Ok(None),
                inner => inner,
            },
            None => None,
        };
        let file = open.paths.get(open.done).map(PathBuf::as_path);
        FilesPosition::checkpoint(open.done, (open.paths.len(), open.list), file, inner).map(Some)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.open.as_ref().map(|open| open.paths.clone()).unwrap_or_default()
    }

    fn progress(&self) -> Option<f64> {
        let open = self.open.as_ref()?;
        let of_file = open.reader.as_ref().and_then(ItemReader::progress).unwrap_or_default();
        FilesPosition::progress(open.done, open.paths.len(), of_file)
    }

    fn origin(&self) -> Option<Origin> {
        self.open.as_ref()?.reader.as_ref()?.origin()
    }

    fn split(&mut self, readers: usize) -> Vec<Box<dyn BlockReader<R::Item>>>
    where
        Self: 'static,
    {
        // Workers share from within a file: another one may be of those that cannot be shared.
        if self.open.as_ref().is_none_or(|open| open.reader.is_none()) {
            return Vec::new();
        }
        let (Some(open), Some(make)) = (self.open.take(), self.make.take()) else { return Vec::new() };
        match blocks::split(open, make, readers) {
            Ok((shared, readers)) => {
                self.shared = Some(shared);
                readers
            }
            Err((open, make)) => {
                (self.open, self.make) = (Some(open), Some(make));
                Vec::new()
            }
        }
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        let shared = self.shared.take().and_then(|shared| blocks::lock(&shared).open.reader.take());
        match shared.or_else(|| self.open.take()?.reader) {
            Some(mut reader) => reader.close().await,
            None => Ok(()),
        }
    }
}

/// Adds the file to an error, unless its cause names it.
#[cold]
fn within(path: &Path, error: ItemError) -> ItemError {
    if error.cause_text().contains(&path.display().to_string()) { error } else { error.in_file(path) }
}

impl<R: ItemReader, F> std::fmt::Debug for FilesReader<R, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilesReader").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}
