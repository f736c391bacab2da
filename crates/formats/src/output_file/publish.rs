//! Publishing an output: its file gets the final name in one move.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};

use tempfile::{PathPersistError, TempPath};

use super::{FileError, OnExisting, OutputFile, sync_folder};

impl OutputFile {
    /// Gives the file its final name and makes that durable.
    pub(super) fn publish(&mut self) -> Result<(), FileError> {
        if self.published {
            return Ok(());
        }
        self.rename()?;
        sync_folder(&self.path).map_err(|source| FileError::Sync { path: self.path.clone(), source })
    }

    fn rename(&mut self) -> Result<(), FileError> {
        if self.has_both_names() {
            fs::remove_file(&self.part_path).map_err(|source| self.not_renamed(source))?;
            self.published = true;
            return Ok(());
        }
        self.check_target()?;
        // Held until the file has its final name: what is appended to does not grow meanwhile.
        let target = if self.on_existing == OnExisting::Append { self.claim_target()? } else { None };
        self.follow_target(self.file()?, false)?;
        self.file()?.sync_all().map_err(|source| FileError::Sync { path: self.part_path.clone(), source })?;
        if self.on_existing == OnExisting::Replace || target.is_some() {
            fs::rename(&self.part_path, &self.path).map_err(|source| self.not_renamed(source))?;
        } else {
            self.rename_to_nothing()?;
        }
        self.published = true;
        Ok(())
    }

    /// Gives the file its final name where nothing has it, and fails where something does, whoever made it meanwhile.
    fn rename_to_nothing(&self) -> Result<(), FileError> {
        let part = TempPath::try_from_path(&self.part_path).map_err(|source| self.not_renamed(source))?;
        let Err(PathPersistError { error, path }) = part.persist_noclobber(&self.path) else { return Ok(()) };
        path.keep().map_err(|kept| self.not_renamed(kept.error))?;
        match error.kind() {
            ErrorKind::AlreadyExists if self.on_existing == OnExisting::Append => Err(self.target_changed()),
            ErrorKind::AlreadyExists => Err(FileError::Exists { path: self.path.clone() }),
            // The file system can do neither that nor links.
            _ if !self.path.exists() => {
                fs::rename(&self.part_path, &self.path).map_err(|source| self.not_renamed(source))
            }
            _ => Err(self.not_renamed(error)),
        }
    }

    fn not_renamed(&self, source: io::Error) -> FileError {
        FileError::Rename { from: self.part_path.clone(), path: self.path.clone(), source }
    }

    /// Gives a file that was finished before the last one its final name, unless an earlier attempt has. The caller
    /// makes the names durable.
    pub(super) fn publish_finished(&mut self) -> Result<(), FileError> {
        if self.has_part() {
            self.file = Some(self.open_locked(&mut OpenOptions::new())?);
            self.rename()?;
            self.close();
        }
        Ok(())
    }
}
