//! The output of all file writers: a file that grows chunk by chunk under a temporary name and can be cut back.

mod compression;
mod copy;
mod disk;
mod early_forcing;
mod error;
mod existing;
mod file_sync;
mod forcing;
mod mark;
mod publish;
mod rivals;
mod sequence;
mod tail;
mod target;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use compression::Compression;
use disk::{is_same, lock, make_folder, sync_folder};
use early_forcing::EarlyForcing;
pub(super) use error::FileError;
pub use existing::OnExisting;
pub use file_sync::FileSync;
use mark::Mark;
pub(super) use mark::Position;
use oxbatch_core::step::StepContext;
use rivals::FinalNames;
pub(super) use sequence::{Counts, OutputFiles};
use tail::Tail;
pub(super) use tail::{TAIL_BYTES, fingerprint};

/// Longest part of a temporary name that comes from the tag; the whole name must fit a file system's 255 bytes.
const MAX_TAG_BYTES: usize = 60;
/// Bytes that are read at once when a file is read back; whole keys of a `DistinctProcessor`.
const READ_BACK_BYTES: usize = 64 * 1024;

/// A file that is written under `<final name>.<tag>.part` and renamed when it is complete.
///
/// It takes big pieces: collecting them is the writers' business. While it is open it holds an exclusive advisory lock,
/// so that an earlier attempt that is still alive cannot write between the lines of its successor.
#[derive(Debug)]
pub(super) struct OutputFile {
    path: PathBuf,
    part_name: String,
    part_path: PathBuf,
    sync: FileSync,
    on_existing: OnExisting,
    /// Files that the step reads.
    inputs: Arc<[PathBuf]>,
    /// The names that no other output may write to at the same time; none where it is not an output.
    final_names: Option<FinalNames>,
    file: Option<File>,
    /// Bytes at its start that were copied from what it is appended to.
    copied: u64,
    now: Mark,
    flushed: Mark,
    committed: Mark,
    tail: Tail,
    published: bool,
    /// Its temporary name was forced to the disk.
    named: bool,
    /// It could not be forced to the disk once.
    unforceable: bool,
    early: EarlyForcing,
}

impl OutputFile {
    /// The mark in the temporary names of a step: the same in all attempts of the instance's step.
    pub(super) fn tag(context: &StepContext) -> String {
        format!("{}-{}", context.instance_id(), context.step_name())
    }

    /// An output whose temporary name carries `tag`.
    pub(super) fn with_tag(tag: &str, path: PathBuf) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let part_name = format!("{name}.{}.part", file_name_part(tag));
        Self {
            part_path: path.with_file_name(&part_name),
            path,
            part_name,
            sync: FileSync::default(),
            on_existing: OnExisting::default(),
            inputs: Arc::default(),
            final_names: None,
            file: None,
            copied: 0,
            now: Mark::default(),
            flushed: Mark::default(),
            committed: Mark::default(),
            tail: Tail::default(),
            published: false,
            named: false,
            unforceable: false,
            early: EarlyForcing::default(),
        }
    }

    pub(super) fn sync(&mut self, sync: FileSync) {
        self.sync = sync;
    }

    pub(super) fn part_path(&self) -> &Path {
        &self.part_path
    }

    /// Opens the file, empty, in a folder that is made where it is missing.
    pub(super) fn open_anew(&mut self) -> Result<(), FileError> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            make_folder(folder).map_err(|source| FileError::CreateFolder { path: folder.to_owned(), source })?;
        }
        self.begin()
    }

    /// Opens the file, empty.
    fn begin(&mut self) -> Result<(), FileError> {
        (self.file, self.published, self.named) = (None, false, false);
        self.early = EarlyForcing::default();
        if self.path.file_name().is_none() {
            return Err(FileError::NotAFile { path: self.path.clone() });
        }
        if self.has_both_names() {
            // What was published stays as it is.
            fs::remove_file(&self.part_path)
                .map_err(|source| FileError::Remove { path: self.part_path.clone(), source })?;
        }
        self.check_target()?;
        // Never truncated by `open` itself: that would come before the lock.
        let file = self.open_locked(OpenOptions::new().create(true).truncate(false))?;
        if let Err(error) = self.refuse_rivals() {
            if file.metadata().is_ok_and(|found| found.len() == 0) {
                // Nothing needs it, and the lock on it is still held.
                let _ = fs::remove_file(&self.part_path);
            }
            return Err(error);
        }
        self.follow_target(&file, true)?;
        file.set_len(0).map_err(|source| FileError::Cut { path: self.part_path.clone(), length: 0, source })?;
        self.file = Some(file);
        self.now = Mark::default();
        (self.flushed, self.committed) = (self.now, self.now);
        self.tail = Tail::default();
        self.copied = 0;
        if self.on_existing == OnExisting::Append { self.copy_target() } else { Ok(()) }
    }

    /// Opens the file, cut back to a checkpoint.
    pub(super) fn resume(&mut self, position: &Position) -> Result<(), FileError> {
        (self.file, self.published, self.named) = (None, false, false);
        self.early = EarlyForcing::default();
        if position.part != self.part_name {
            let (stored, now) = (position.part.clone(), self.part_name.clone());
            return Err(FileError::OtherName { stored, now });
        }
        let mark = Mark::of(position);
        self.copied = position.copied;
        let file = match self.open_locked(&mut OpenOptions::new()) {
            Ok(file) => file,
            Err(FileError::Open { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return self.resume_published(position);
            }
            Err(error) => return Err(error),
        };
        self.refuse_rivals()?;
        self.tail = check(&self.part_path, &file, position)?;
        if self.on_existing == OnExisting::Append {
            self.check_copied_length()?;
        }
        self.file = Some(file);
        self.cut(mark)?;
        (self.flushed, self.committed) = (self.now, self.now);
        Ok(())
    }

    /// The temporary file is gone: right only when an earlier attempt has died right after it published the output.
    fn resume_published(&mut self, position: &Position) -> Result<(), FileError> {
        let missing = || FileError::Missing { path: self.part_path.clone(), length: position.length };
        if !position.complete {
            return Err(missing());
        }
        let file = File::open(&self.path).map_err(|_| missing())?;
        let length = file.metadata().map_err(|_| missing())?.len();
        // Others may have appended to it since.
        let grown = length > position.length && self.on_existing == OnExisting::Append;
        if length != position.length && !grown {
            return Err(missing());
        }
        self.tail = check(&self.path, &file, position)?;
        self.now = Mark::of(position);
        (self.flushed, self.committed) = (self.now, self.now);
        self.published = true;
        // It may have died between the renaming and this.
        sync_folder(&self.path).map_err(|source| FileError::Sync { path: self.path.clone(), source })
    }

    /// Opens the temporary file, locks it, and makes sure that its name still stands for it.
    fn open_locked(&self, options: &mut OpenOptions) -> Result<File, FileError> {
        let path = || self.part_path.clone();
        let file = options
            .read(true)
            .write(true)
            .open(&self.part_path)
            .map_err(|source| FileError::Open { path: path(), source })?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FileError::Locked { path: path() }),
            Err(TryLockError::Error(source)) => return Err(FileError::Lock { path: path(), source }),
        }
        // Its last owner may have published it between our open and our lock: then it is not ours to cut.
        let same = is_same(&file, &self.part_path).map_err(|source| FileError::Open { path: path(), source })?;
        if same { Ok(file) } else { Err(FileError::Locked { path: path() }) }
    }

    fn file(&self) -> Result<&File, FileError> {
        self.file.as_ref().ok_or_else(|| FileError::NotOpen { path: self.path.clone() })
    }

    /// Hands bytes to the system.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.now.complete {
            return Err(FileError::Complete { path: self.path.clone() });
        }
        let mut file = self.file()?;
        file.write_all(bytes).map_err(|source| FileError::Write { path: self.part_path.clone(), source })?;
        self.now.grow(bytes);
        self.tail.push(bytes);
        if let Some(file) = self.file.as_ref().filter(|_| self.sync != FileSync::EveryChunk) {
            self.early.grown(self.now.length, &self.part_path, file);
        }
        Ok(())
    }

    /// The point to cut back to, once it is committed.
    fn flush(&mut self, counts: Counts) -> Result<Position, FileError> {
        let due = self.now.complete || (self.sync == FileSync::EveryChunk && self.now != self.flushed);
        if due {
            self.force()?;
            self.force_name()?;
        }
        self.flushed = self.now;
        let Mark { length, complete, .. } = self.now;
        let (part, tail) = (self.part_name.clone(), self.tail.fingerprint());
        Ok(Position { part, length, copied: self.copied, tail, complete, unforced: self.now.unforced(), counts })
    }

    /// As [`flush`](Self::flush), for a file that holds nothing to be counted.
    pub(super) fn flush_alone(&mut self) -> Result<Position, FileError> {
        self.flush(Counts::default())
    }

    /// Gives all of the file's bytes to a function, piece by piece, and goes back to the end.
    pub(super) fn read_back(&mut self, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<(), FileError> {
        let failure = |source| FileError::Open { path: self.part_path.clone(), source };
        let mut file = self.file()?;
        file.seek(SeekFrom::Start(0)).map_err(failure)?;
        let mut piece = vec![0; READ_BACK_BYTES];
        let mut left = self.now.length;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(READ_BACK_BYTES).min(READ_BACK_BYTES);
            file.read_exact(&mut piece[..length]).map_err(failure)?;
            take(&piece[..length]).map_err(failure)?;
            left -= length as u64;
        }
        file.seek(SeekFrom::Start(self.now.length)).map(|_| ()).map_err(failure)
    }

    /// Removes the file, which nobody needs any more, such that it does not come back with the machine's power; one
    /// that is gone already is fine.
    pub(super) fn remove(&mut self) -> Result<(), FileError> {
        self.close();
        match fs::remove_file(&self.part_path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync_folder(&self.part_path)),
        }
        .map_err(|source| FileError::Remove { path: self.part_path.clone(), source })
    }

    /// Forces what was written to the disk.
    fn force(&mut self) -> Result<(), FileError> {
        if self.now.unforced().is_none() || self.published {
            return Ok(());
        }
        let forced = if self.unforceable { Err(FileError::forced_in_vain()) } else { self.file()?.sync_data() };
        self.unforceable = forced.is_err();
        forced.map_err(|source| FileError::Sync { path: self.part_path.clone(), source })?;
        let length = self.now.length;
        for mark in [&mut self.now, &mut self.flushed, &mut self.committed] {
            mark.force(length);
        }
        Ok(())
    }

    /// Makes sure that a save may count on what was flushed, as far as that was asked for.
    fn force_for_save(&mut self) -> Result<(), FileError> {
        if self.sync != FileSync::AtEnd {
            self.force()?;
        }
        self.force_name()
    }

    /// Forces the file's temporary name to the disk, once, and with it those of the files before it in a sequence:
    /// without its name a file is lost with the machine's power, whatever was forced of its bytes.
    fn force_name(&mut self) -> Result<(), FileError> {
        if !self.named && !self.published {
            sync_folder(&self.part_path).map_err(|source| FileError::Sync { path: self.part_path.clone(), source })?;
            self.named = true;
        }
        Ok(())
    }

    /// The last flush is the point to cut back to.
    fn committed(&mut self) {
        self.committed = self.flushed;
    }

    /// Cuts back to the last committed flush.
    fn rolled_back(&mut self) -> Result<(), FileError> {
        if self.file.is_none() || self.published {
            return Ok(());
        }
        self.cut(self.committed)?;
        self.tail = Tail::read(self.file()?, self.committed.length)
            .map_err(|source| FileError::Open { path: self.part_path.clone(), source })?;
        self.flushed = self.committed;
        Ok(())
    }

    fn cut(&mut self, mark: Mark) -> Result<(), FileError> {
        let mut file = self.file()?;
        let failure = |source| FileError::Cut { path: self.part_path.clone(), length: mark.length, source };
        file.set_len(mark.length).map_err(failure)?;
        file.seek(SeekFrom::Start(mark.length)).map_err(failure)?;
        self.now = mark;
        Ok(())
    }

    /// The file will not grow any more.
    fn finish(&mut self) {
        self.now.complete = true;
    }

    fn has_part(&self) -> bool {
        self.part_path.is_file()
    }

    /// Releases the file and its lock.
    pub(super) fn close(&mut self) {
        self.file = None;
    }
}

/// Checks that a file is what its checkpoint says, up to the checkpoint's length.
fn check(path: &Path, file: &File, position: &Position) -> Result<Tail, FileError> {
    let failure = |source| FileError::Open { path: path.to_owned(), source };
    let length = file.metadata().map_err(failure)?.len();
    if length < position.length {
        return Err(FileError::Short { path: path.to_owned(), length, expected: position.length });
    }
    let tail = Tail::read(file, position.length).map_err(failure)?;
    if tail.fingerprint() != position.tail {
        return Err(FileError::Changed { path: path.to_owned() });
    }
    let mark = Mark::of(position);
    if !mark.is_whole(file).map_err(failure)? {
        return Err(FileError::Torn { path: path.to_owned(), forced: mark.forced(), length: position.length });
    }
    Ok(tail)
}

/// A tag as it may stand in a file name: anything unusual is replaced, and a digest keeps different tags different.
fn file_name_part(tag: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if tag.len() <= MAX_TAG_BYTES && tag.chars().all(is_plain) {
        return tag.to_owned();
    }
    let shown: String = tag.chars().take(MAX_TAG_BYTES - 17).map(|c| if is_plain(c) { c } else { '_' }).collect();
    format!("{shown}-{:016x}", tail::fingerprint(tag.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_tags_make_different_file_names_that_fit() {
        let long = "a".repeat(200);
        let tags = ["1-Export", "1-Export 2", "1-Export/2", "1-Export_2", "1-Ausgabe für alle", &long, &long[1..]];
        let names: std::collections::HashSet<String> = tags.iter().map(|tag| file_name_part(tag)).collect();
        assert_eq!(names.len(), tags.len(), "{names:?}");
        assert!(names.iter().all(|name| name.len() <= MAX_TAG_BYTES && !name.contains(['/', ' '])), "{names:?}");
        assert!(names.contains("1-Export"));
    }
}
