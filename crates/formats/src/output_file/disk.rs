//! What is asked of the system about a file beside its bytes: its lock, its name, its folder.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a lock that somebody holds is tried for.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Whether a path still leads to an open file.
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

/// Forces the names in a file's folder to the disk.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Locks a file, with a little patience: a process that is just being started holds copies of all open files, and with them
/// their locks, until it runs its own program.
pub(super) fn lock(file: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PATIENCE / 50),
            locked => return locked,
        }
    }
}
