//! Two outputs of one final name at once: the second is refused, by the locks on the temporary files next to its own.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::disk::LOCK_PATIENCE;
use super::{FileError, OutputFile};

/// Time between two looks at a lock that somebody holds.
const PAUSE: Duration = Duration::from_millis(10);

/// The names of an output's files, which another output must not write to at the same time.
#[derive(Debug)]
pub(super) enum FinalNames {
    One(String),
    /// Those of a sequence: with any number between these two.
    Numbered(String, String),
}

impl FinalNames {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => name == one,
            Self::Numbered(start, end) => {
                let number = name.strip_prefix(start.as_str()).and_then(|rest| rest.strip_suffix(end.as_str()));
                number.is_some_and(|number| number.len() >= 4 && number.bytes().all(|byte| byte.is_ascii_digit()))
            }
        }
    }

    /// True if a file is the temporary one of such a name. A tag has no full stop.
    fn has_part(&self, part: &OsStr) -> bool {
        let name = part.to_str().and_then(|part| part.strip_suffix(".part")?.rsplit_once('.'));
        name.is_some_and(|(name, _)| self.has(name))
    }
}

impl OutputFile {
    /// Fails while another output of the same names is being written.
    ///
    /// Each holds the lock on its own temporary file before it looks at those of the others, so of two that begin at
    /// once at least one sees the other. Where both do, the one with the lesser name waits for longer than the other
    /// one holds out.
    pub(super) fn refuse_rivals(&self) -> Result<(), FileError> {
        let Some(names) = &self.final_names else { return Ok(()) };
        let folder = self.part_path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A folder that may be written and not listed shows no rivals.
        let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_file = || entry.file_type().is_ok_and(|kind| kind.is_file());
            if !names.has_part(&name) || self.is_own(&name) || !is_file() {
                continue;
            }
            let turns = if OsStr::new(&self.part_name) < name.as_os_str() { 3 } else { 1 };
            if is_held(&entry.path(), LOCK_PATIENCE * turns) {
                return Err(FileError::Rival { path: self.path.clone(), part: PathBuf::from(name) });
            }
        }
        Ok(())
    }

    /// True if a temporary file carries the tag of this one.
    fn is_own(&self, part: &OsStr) -> bool {
        let tag = |name: &str| {
            name.strip_suffix(".part").and_then(|name| name.rsplit_once('.')).map(|(_, tag)| tag.to_owned())
        };
        part.to_str().and_then(tag) == tag(&self.part_name)
    }
}

/// True if another process holds the lock on a file, and goes on to hold it.
fn is_held(path: &Path, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        // It is gone, or of somebody whose files are not to be seen.
        let Ok(file) = File::open(path) else { return false };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            locked => return matches!(locked, Err(TryLockError::WouldBlock)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_are_known_by_the_final_name_before_their_tag() {
        let one = FinalNames::One("a.csv".to_owned());
        let many = FinalNames::Numbered("a-".to_owned(), ".csv".to_owned());
        for (part, of_one, of_many) in [
            ("a.csv.1-Export.part", true, false),
            ("a.csv.7-Other_step.part", true, false),
            ("a-0001.csv.1-Export.part", false, true),
            ("a-12345.csv.1-Export.part", false, true),
            ("a-.csv.1-Export.part", false, false),
            ("a-001x.csv.1-Export.part", false, false),
            ("a.csv.gz.1-Export.part", false, false),
            ("b.a.csv.1-Export.part", false, false),
            ("a.csv", false, false),
            ("a.csv.part", false, false),
        ] {
            assert_eq!((one.has_part(OsStr::new(part)), many.has_part(OsStr::new(part))), (of_one, of_many), "{part}");
        }
    }
}
