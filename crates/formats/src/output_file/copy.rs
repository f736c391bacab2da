//! A copy of an output that is not complete, under its final name: for people who cannot wait for its end.

use std::fs::{self, File};
use std::io::{self, Read, Write};

use super::{FileError, OutputFile, sync_folder};

impl OutputFile {
    /// Gives a copy of what is committed, with `end` behind it, the final name. The output itself stays as it is.
    pub(super) fn publish_copy(&self, end: &[u8]) -> Result<(), FileError> {
        self.copy_to_target(self.committed.length, end)
    }

    /// The same of a file that was finished before the current one, where an earlier attempt has not published it.
    pub(super) fn publish_copy_of_finished(&self) -> Result<(), FileError> {
        if self.has_part() { self.copy_to_target(u64::MAX, &[]) } else { Ok(()) }
    }

    fn copy_to_target(&self, length: u64, end: &[u8]) -> Result<(), FileError> {
        self.check_target()?;
        let copy_path = self.path.with_file_name(format!("{}.copy", self.part_name));
        let copied = self.copy_to(&copy_path, length, end);
        if copied.is_err() {
            // Half a copy is of no use, and the first error is the one to report.
            let _ = fs::remove_file(&copy_path);
        }
        copied
    }

    fn copy_to(&self, copy_path: &std::path::Path, length: u64, end: &[u8]) -> Result<(), FileError> {
        let error = |source| FileError::Copy { from: self.part_path.clone(), path: self.path.clone(), source };
        let part = File::open(&self.part_path).map_err(error)?;
        let mut copy = File::create(copy_path).map_err(error)?;
        io::copy(&mut part.take(length), &mut copy).map_err(error)?;
        copy.write_all(end).map_err(error)?;
        self.follow_target(&copy, false)?;
        copy.sync_all().map_err(error)?;
        fs::rename(copy_path, &self.path).map_err(error)?;
        sync_folder(&self.path).map_err(error)
    }
}
