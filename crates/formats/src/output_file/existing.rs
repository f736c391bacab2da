//! The treatment of a file that has the final name already: replaced, refused, or copied and so appended to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use super::compression::Compression;
use super::{FileError, Mark, OutputFile, READ_BACK_BYTES, Tail, is_same};

/// Bytes at the start of a file by which its compression is known.
const MAGIC_BYTES: u64 = 4;

/// The treatment of a file that has the final name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExisting {
    /// It is replaced, in one move, when the output is published.
    #[default]
    Replace,
    /// The step fails: when the writer opens its file anew, and again before it would replace the other file.
    Refuse,
    /// The output stands behind what is there already; where nothing is there, it begins as any other.
    ///
    /// The writer begins its temporary file with a copy of what is there, and replaces the other file in one move as
    /// always: nobody sees half of it, and an output that was published is not appended twice, however the process
    /// dies. That takes the time and, until the step ends, the disk space of a copy.
    ///
    /// - Before it moves, what is there must be what was copied. Otherwise the step fails with a sentence: two outputs
    ///   that grow side by side are never lost, the later one is launched with force. One that is restarted reports it
    ///   at once.
    /// - What stands at the start of a file, a header line or the author's header, is not written again, not even when
    ///   it would be another one: that the records are alike is the author's business. A footer follows each output.
    /// - A last line that has no end gets one, except in a compressed file, where it is not seen.
    /// - gzip and zstd: members follow members. A file that is compressed otherwise fails the step.
    /// - JSON arrays, XML and sequences of files refuse it when they are opened.
    /// - The output of a step that was completed and is launched again with force is appended again.
    Append,
}

impl OutputFile {
    /// Begins the open and empty file with what stands under the final name.
    pub(super) fn copy_target(&mut self) -> Result<(), FileError> {
        let failure = |source| FileError::CopyTarget { path: self.path.clone(), source };
        let mut target = match File::open(&self.path) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failure(error)),
        };
        let mut file = self.file()?;
        let copied = io::copy(&mut target, &mut file).map_err(failure)?;
        // Forced at once: it is not summed, and has to be on disk before the first save.
        file.sync_data().map_err(failure)?;
        let tail = Tail::read(file, copied).map_err(failure)?;
        (self.copied, self.tail) = (copied, tail);
        self.now = Mark::on_disk(copied);
        (self.flushed, self.committed) = (self.now, self.now);
        Ok(())
    }

    /// True if the output stands behind text; what was copied must be compressed as the output is.
    pub(super) fn follows_text(&self, compression: Compression) -> Result<bool, FileError> {
        if self.copied == 0 || self.file.is_none() {
            return Ok(false);
        }
        let failure = |source| FileError::CopyTarget { path: self.path.clone(), source };
        let mut file = self.file()?;
        let mut head = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(failure)?;
        file.take(self.copied.min(MAGIC_BYTES)).read_to_end(&mut head).map_err(failure)?;
        let found = Compression::name_of(&head);
        if found != compression.name() {
            return Err(FileError::OtherCompression { path: self.path.clone(), found, expected: compression.name() });
        }
        file.seek(SeekFrom::Start(0)).map_err(failure)?;
        let follows = compression.has_text(file.take(self.copied)).map_err(failure)?;
        file.seek(SeekFrom::Start(self.now.length)).map_err(failure)?;
        Ok(follows)
    }

    /// The last line of what was copied has no end.
    pub(super) fn follows_half_a_line(&self) -> bool {
        self.copied > 0 && self.now.length == self.copied && !self.tail.ends_line()
    }

    /// The quick part of what is checked at the end, so that a restart does not work in vain.
    pub(super) fn check_copied_length(&self) -> Result<(), FileError> {
        match fs::metadata(&self.path) {
            Ok(target) if target.len() == self.copied => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && self.copied == 0 => Ok(()),
            _ if self.has_both_names() => Ok(()),
            _ => Err(self.target_changed()),
        }
    }

    /// Locks what stands under the final name, once it is what was copied; `None` where nothing stood there and stands
    /// now.
    pub(super) fn claim_target(&self) -> Result<Option<File>, FileError> {
        let failure = |source| FileError::CopyTarget { path: self.path.clone(), source };
        let target = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound && self.copied == 0 => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.target_changed()),
            Err(error) => return Err(failure(error)),
        };
        match super::lock(&target) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FileError::TargetLocked { path: self.path.clone() }),
            Err(TryLockError::Error(source)) => return Err(FileError::Lock { path: self.path.clone(), source }),
        }
        let found = target.metadata().map_err(failure)?;
        let unchanged = found.len() == self.copied
            && is_same(&target, &self.path).map_err(failure)?
            && self.starts_with(&target).map_err(failure)?;
        if !unchanged {
            return Err(self.target_changed());
        }
        Ok(Some(target))
    }

    /// True if the copy at its start still equals the other file.
    fn starts_with(&self, mut target: &File) -> io::Result<bool> {
        let Some(mut file) = self.file.as_ref() else { return Ok(false) };
        file.seek(SeekFrom::Start(0))?;
        target.seek(SeekFrom::Start(0))?;
        let (mut ours, mut theirs) = (vec![0; READ_BACK_BYTES], vec![0; READ_BACK_BYTES]);
        let mut left = self.copied;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(READ_BACK_BYTES).min(READ_BACK_BYTES);
            file.read_exact(&mut ours[..length])?;
            target.read_exact(&mut theirs[..length])?;
            if ours[..length] != theirs[..length] {
                break;
            }
            left -= length as u64;
        }
        file.seek(SeekFrom::Start(self.now.length))?;
        Ok(left == 0)
    }

    pub(super) fn target_changed(&self) -> FileError {
        FileError::TargetChanged { path: self.path.clone(), part: self.part_path.clone(), length: self.copied }
    }
}
