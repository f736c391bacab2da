//! Opening of the database file: settings of each kind of connection, and one clear sentence for each error.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oxbatch_core::repository::RepositoryError;
#[cfg(unix)]
use rusqlite::FileControl;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::error::{is_full, moved};

/// The time that a connection waits for a lock that another process holds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between attempts to get a lock: short, so that one who works in batches with pauses starves nobody. SQLite's
/// own reach a tenth of a second.
const FIRST_PAUSES: (i32, Duration) = (20, Duration::from_millis(1));
const PAUSE: Duration = Duration::from_millis(5);
/// Statements that a connection keeps prepared: all of the repository's and some of an author's.
const STATEMENT_CACHE: usize = 64;
/// Time between attempts to switch a new file to WAL while another process does the same.
const WAL_PAUSE: Duration = Duration::from_millis(10);

/// The durability of a commit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Durability {
    /// Each commit is on the disk.
    EachCommit,
    /// Each commit is on the disk in whatever journal mode: where a journal is deleted to commit, its folder is synced
    /// too, or a loss of power could bring the journal back and undo what was committed.
    EachCommitInAnyMode,
    /// A commit is on the disk with the next durable one at the latest; nothing is ever half there.
    Later,
}

pub(super) fn unusable(problem: String, source: Option<rusqlite::Error>) -> RepositoryError {
    RepositoryError::Unusable { problem, source: source.map(Into::into) }
}

/// The path under which all processes name the file alike.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, RepositoryError> {
    let shown = path.display();
    if path.is_dir() {
        return Err(unusable(format!("the database '{shown}' is a folder; name a file"), None));
    }
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let Some(name) = path.file_name() else {
        return Err(unusable(format!("the database path '{shown}' names no file"), None));
    };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let problem = match folder.canonicalize() {
        Ok(folder) if folder.is_dir() => return Ok(folder.join(name)),
        Ok(_) => format!("'{}' is no folder, so the database '{shown}' cannot be created in it", folder.display()),
        Err(error) => {
            format!("the folder '{}' of the database '{shown}' cannot be used: {error}", folder.display())
        }
    };
    Err(unusable(problem, None))
}

/// The error of a file that was to be opened for this.
fn cannot_open(path: &Path, purpose: &str, error: rusqlite::Error) -> RepositoryError {
    let shown = path.display();
    let problem = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => format!("the file '{shown}' is no SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => format!("the database '{shown}' is damaged"),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            format!("the database '{shown}' cannot be opened for {purpose}")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("the database '{shown}' is locked by another process")
        }
        _ if is_full(&error) => format!("no space is left for the database '{shown}'"),
        _ => format!("the database '{shown}' cannot be opened"),
    };
    unusable(problem, Some(error))
}

/// The first connection to a file: it must be a database that can be written.
pub(super) fn first(path: &Path) -> Result<Connection, RepositoryError> {
    let unopened = |error| cannot_open(path, "writing", error);
    let connection = connect(path).map_err(unopened)?;
    let mode = switch_to_wal(&connection).map_err(unopened)?;
    if connection.is_readonly(MAIN_DB).map_err(unopened)? {
        return Err(unusable(format!("the database '{}' cannot be opened for writing", path.display()), None));
    }
    if mode != "wal" {
        let problem = format!(
            "the database '{}' is on a drive where SQLite cannot share it safely (journal mode '{mode}'); use a local disk",
            path.display()
        );
        return Err(unusable(problem, None));
    }
    set_durability(&connection, Durability::EachCommit).map_err(unopened)?;
    Ok(connection)
}

/// Two processes that switch a new file at once do not wait for each other inside SQLite: they try again here.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<String> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                std::thread::sleep(WAL_PAUSE);
            }
            result => return result,
        }
    }
}

/// A connection that writes.
pub(super) fn writer(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    set_durability(&connection, durability)?;
    Ok(connection)
}

/// A connection that cannot change anything. It takes no right to write.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let read_only = |connection: Connection| {
        connection.execute_batch("PRAGMA query_only = ON")?;
        connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
        Ok(connection)
    };
    match connect(path).and_then(read_only) {
        Err(error) if needs_rights(&error) && !is_in_use(path) => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            connect_with(&immutable(path), flags).and_then(read_only)
        }
        opened => opened,
    }
}

fn needs_rights(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}

/// Returns whether a process works on the file, or has left something in its log: then it has a log next to it.
fn is_in_use(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).exists()
}

/// The file as one that nobody changes, for which SQLite makes no files next to it.
fn immutable(path: &Path) -> PathBuf {
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    PathBuf::from(format!("file:{path}?immutable=1"))
}

/// A connection that writes to a file that need not be a repository's, with each commit on the disk. One that is
/// created here can be read while it is written; one that is there keeps its journal mode.
///
/// # Errors
/// One sentence that names the file.
pub(crate) fn file_writer(path: &Path) -> Result<Connection, RepositoryError> {
    let unopened = |error| cannot_open(path, "writing", error);
    let connection = connect(path).map_err(unopened)?;
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).map_err(unopened)?;
    if pages == 0 {
        switch_to_wal(&connection).map_err(unopened)?;
    }
    if connection.is_readonly(MAIN_DB).map_err(unopened)? {
        return Err(unusable(format!("the database '{}' cannot be opened for writing", path.display()), None));
    }
    set_durability(&connection, Durability::EachCommitInAnyMode).map_err(unopened)?;
    Ok(connection)
}

/// A connection that reads a file that need not be a repository's. It is not created.
///
/// # Errors
/// One sentence that names the file.
pub(crate) fn file_reader(path: &Path) -> Result<Connection, RepositoryError> {
    let path = &resolve(path)?;
    if !path.exists() {
        return Err(unusable(format!("the database '{}' does not exist", path.display()), None));
    }
    let unopened = |error| cannot_open(path, "reading", error);
    let connection = connect_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unopened)?;
    connection.execute_batch("PRAGMA query_only = ON").map_err(unopened)?;
    connection.query_row("PRAGMA schema_version", [], |_| Ok(())).map_err(unopened)?;
    Ok(connection)
}

/// The file that a path named at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(Option<(u64, u64)>);

impl FileId {
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino())))
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Path) -> Self {
        Self(None)
    }

    /// Makes sure that the path still names this file.
    pub(super) fn check(self, path: &Path) -> rusqlite::Result<()> {
        if Self::of(path) == self { Ok(()) } else { Err(moved(&path.to_string_lossy())) }
    }
}

/// Makes sure that a connection's file is still the one that its path names: one that was deleted or replaced takes
/// writes as before, and nobody ever finds them again. One system call.
pub(super) fn check_in_place(connection: &Connection) -> rusqlite::Result<()> {
    #[cfg(unix)]
    {
        let mut has_moved = 0;
        connection.file_control(Some(MAIN_DB), FileControl::HasMoved(&mut has_moved))?;
        if has_moved != 0 {
            return Err(moved(connection.path().unwrap_or_default()));
        }
    }
    Ok(())
}

/// Says how much the commits of a connection wait for the disk. SQLite refuses it inside of a transaction.
pub(super) fn set_durability(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.execute_batch(match durability {
        Durability::EachCommit => "PRAGMA synchronous = FULL",
        Durability::EachCommitInAnyMode => "PRAGMA synchronous = EXTRA",
        Durability::Later => "PRAGMA synchronous = NORMAL",
    })
}

/// Waits before the next attempt to get a lock, unless [`BUSY_TIMEOUT`] is over; `attempts` were made.
fn wait_for_lock(attempts: i32) -> bool {
    let (first, short) = FIRST_PAUSES;
    let most = first + i32::try_from(BUSY_TIMEOUT.as_millis() / PAUSE.as_millis()).unwrap_or(i32::MAX - first);
    std::thread::sleep(if attempts < first { short } else { PAUSE });
    attempts < most
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    connect_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
}

fn connect_with(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_handler(Some(wait_for_lock))?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // A plan does not depend on what is bound: else each new value of a `LIMIT ?` prepares its statement again.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864")?;
    Ok(connection)
}
