//! The file that an output replaces: found behind links, never an input of the step, and followed in owner and mode.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::disk::is_same_file;
use super::{FileError, OnExisting, OutputFile};

/// Links that are followed from a path; the system follows as many.
const MAX_LINKS: usize = 40;

/// The file that a path leads to, which need not be there: a link stays a link, and what it leads to is written.
pub(super) fn behind_links(path: &Path) -> PathBuf {
    let mut found = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(next) = fs::read_link(&found) else { return found };
        found = found.parent().unwrap_or(Path::new("")).join(next);
    }
    // It leads to itself: opening it will fail.
    path.to_owned()
}

impl OutputFile {
    /// Something else than a file is never replaced, a file only when that is allowed, and an input of the step never.
    pub(super) fn check_target(&self) -> Result<(), FileError> {
        let path = || self.path.clone();
        if self.has_both_names() {
            return Ok(());
        }
        match fs::metadata(&self.path) {
            Ok(found) if !found.is_file() => return Err(FileError::NotAFile { path: path() }),
            Ok(_) if self.on_existing == OnExisting::Refuse => return Err(FileError::Exists { path: path() }),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(FileError::Open { path: path(), source }),
        }
        match self.inputs.iter().find(|input| is_same_file(input, &self.path)) {
            Some(input) => Err(FileError::IsInput { path: path(), input: input.clone() }),
            None => Ok(()),
        }
    }

    /// True if the file has its final name already, and its temporary one still: a death left both, where the system
    /// cannot rename without replacing in one move.
    pub(super) fn has_both_names(&self) -> bool {
        is_same_file(&self.part_path, &self.path)
    }

    /// Gives the temporary file the owner, the group and the mode of the file that it will replace, as far as the
    /// process may. While it is written its owner may write to it, so that another attempt can go on.
    pub(super) fn follow_target(&self, file: &File, is_written: bool) -> Result<(), FileError> {
        match fs::metadata(&self.path) {
            Ok(found) => follow(file, &found, is_written).map_err(|source| FileError::Follow {
                path: self.part_path.clone(),
                target: self.path.clone(),
                source,
            }),
            Err(_) => Ok(()),
        }
    }
}

/// Without the right to give files away, the owner stays who writes, and the group too, which then may no more than
/// everybody: it is another one.
#[cfg(unix)]
fn follow(file: &File, found: &fs::Metadata, is_written: bool) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let ours = file.metadata()?;
    let mut mode = found.mode() & 0o777;
    if (ours.uid(), ours.gid()) != (found.uid(), found.gid()) {
        let (owner, group) = (Some(found.uid()), Some(found.gid()));
        if fchown(file, owner, group).is_err() && ours.gid() != found.gid() && fchown(file, None, group).is_err() {
            mode = mode & 0o707 | (mode & 0o007) << 3;
        }
    }
    if is_written {
        mode |= 0o600;
    }
    if ours.mode() & 0o7777 == mode { Ok(()) } else { file.set_permissions(fs::Permissions::from_mode(mode)) }
}

#[cfg(not(unix))]
fn follow(_: &File, _: &fs::Metadata, _: bool) -> io::Result<()> {
    Ok(())
}
