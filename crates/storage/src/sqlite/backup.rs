//! A copy of the database file while services work on it.

use std::fs::{self, File};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use oxbatch_core::repository::RepositoryError;
use rusqlite::OpenFlags;

use super::error::classify;
use super::open::{BUSY_TIMEOUT, unusable};
use super::{SqliteRepository, open};

const BACKUP: &str = "back the database up";

impl SqliteRepository {
    /// Writes a copy of the database, as it stands at one moment, to a file that does not exist yet. Services go on
    /// reading and writing meanwhile. The copy is complete and on the disk once this returns; until then it has the
    /// name of the file with the ending `.part`.
    ///
    /// The result is the size of the copy in bytes. The calling thread is blocked for as long as it takes.
    ///
    /// # Errors
    /// When the file exists, cannot be written, or the database cannot be read. Nothing is left under its name then.
    pub fn backup(&self, target: &Path) -> Result<u64, RepositoryError> {
        if target.symlink_metadata().is_ok() {
            return Err(unusable(format!("the file '{}' exists: name a new one", target.display()), None));
        }
        let target = open::resolve(target)?;
        let part = with_ending(&target, ".part");
        let done = copy(&self.store.path, &part).and_then(|()| {
            publish(&part, &target).map_err(|error| {
                unusable(format!("the backup '{}' cannot be written: {error}", target.display()), None)
            })
        });
        if done.is_err() {
            // Of no use to anybody; one that stays is removed by the next backup to the same file.
            let _ = fs::remove_file(&part);
        }
        done
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes all that is committed to a new file. One statement reads one moment, and keeps nobody from writing.
fn copy(database: &Path, part: &Path) -> Result<(), RepositoryError> {
    if let Err(error) = fs::remove_file(part)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(unusable(format!("the file '{}' of an earlier backup stays: {error}", part.display()), None));
    }
    let Some(name) = part.to_str() else {
        return Err(unusable(format!("the name of the file '{}' is not UTF-8", part.display()), None));
    };
    let classified = |error| classify(BACKUP, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(database, flags).map_err(classified)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(classified)?;
    connection.execute("VACUUM INTO ?1", [name]).map(drop).map_err(classified)
}

/// Gives the copy its name once it is on the disk; the size of it. A file that came there meanwhile is not replaced.
fn publish(part: &Path, target: &Path) -> Result<u64, Error> {
    let file = File::open(part)?;
    file.sync_all()?;
    let size = file.metadata()?.len();
    match fs::hard_link(part, target) {
        Ok(()) => fs::remove_file(part)?,
        // A file system without links.
        Err(error) if error.kind() == ErrorKind::Unsupported || error.kind() == ErrorKind::PermissionDenied => {
            fs::rename(part, target)?;
        }
        Err(error) => return Err(error),
    }
    let folder = target.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(size)
}
