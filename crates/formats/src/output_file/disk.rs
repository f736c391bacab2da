//! The lock, the name and the folder of a file.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

/// The time for which a lock that another process holds is tried.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// True if a path still leads to an open file.
#[cfg(unix)]
pub(super) fn is_same(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let opened = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((opened.dev(), opened.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
pub(super) fn is_same(_: &File, path: &Path) -> std::io::Result<bool> {
    path.try_exists()
}

/// True if two paths lead to one file.
#[cfg(unix)]
pub(super) fn is_same_file(first: &Path, second: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    id(first).is_ok_and(|first| id(second).is_ok_and(|second| first == second))
}

#[cfg(not(unix))]
pub(super) fn is_same_file(first: &Path, second: &Path) -> bool {
    fs::canonicalize(first).is_ok_and(|first| fs::canonicalize(second).is_ok_and(|second| first == second))
}

/// Forces the names in the folder of a file, or of a folder, to the disk.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) => File::open(".")?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Makes a folder and those above it that are missing, and forces their names to the disk, one by one from above: where
/// a folder has something in it, its own name is on disk. So only the lowest one that is there already may have lost
/// its maker before that.
pub(super) fn make_folder(folder: &Path) -> std::io::Result<()> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
    let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
    let lowest = folder.ancestors().nth(missing.len()).filter(|folder| !folder.as_os_str().is_empty());
    match lowest.map(sync_folder) {
        // What nobody here may list was not made here.
        Some(Err(error)) if error.kind() != ErrorKind::PermissionDenied => return Err(error),
        _ => {}
    }
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
            made => made?,
        }
        sync_folder(folder)?;
    }
    Ok(())
}

/// Locks a file, with a little patience: a process that is just being started holds copies of all open files, and with
/// them their locks, until it runs its own program.
pub(super) fn lock(file: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PATIENCE / 50),
            locked => return locked,
        }
    }
}
