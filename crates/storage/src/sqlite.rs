//! The repository on SQLite: one file, one writer at a time, many readers.

mod access;
mod backup;
mod bulk;
mod changes;
mod chunk;
mod claim;
mod context;
mod deferred;
mod error;
mod finish;
mod flow;
mod identifier;
mod launch;
mod launch_pauses;
mod logs;
mod migrate;
mod node;
mod open;
mod purge;
mod query;
mod reader_pool;
mod recover;
mod repository;
mod rerun;
mod rows;
mod run_number;
mod shared;
mod sql;
mod step;
mod write_lock;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oxbatch_core::repository::{JobRepository, RepositoryError};
use rusqlite::{Connection, OpenFlags};

use crate::presence::{Absent, Presence};
use crate::upgrade::Upgrade;
pub use chunk::SqliteChunkTransaction;
pub(crate) use deferred::{check_deferred, is_deferred_violation};
pub(crate) use identifier::quoted;
pub(crate) use open::{file_reader, file_writer, resolve};
use reader_pool::ReaderPool;
use write_lock::WriteLock;
use writer::Writer;

/// A job repository in one SQLite file. Cheap to clone; all clones are one.
///
/// Several processes may use one file. It must be on a local disk: SQLite's locks are not safe on network drives.
#[derive(Clone)]
pub struct SqliteRepository {
    store: Arc<Store>,
}

/// The state that the clones of a repository and its chunk transactions share.
struct Store {
    path: PathBuf,
    /// The file that the path named when it was opened.
    file: open::FileId,
    writer: Writer,
    readers: ReaderPool,
    write_lock: WriteLock,
    chunks: chunk::IdleConnections,
    presence: Arc<Presence>,
    /// Closed: the marks of its nodes are gone.
    closed: Arc<AtomicBool>,
}

impl SqliteRepository {
    /// Opens the database at `path`, creates it where there is none, and brings its tables up to date.
    ///
    /// It blocks for a few milliseconds, or for up to ten seconds while another process migrates the database.
    ///
    /// # Errors
    /// [`RepositoryError::Unusable`] with one sentence: the folder does not exist, the path is no file or not writable,
    /// the file is no database, it belongs to a newer version, or to an older one of which a process works on it.
    pub fn open(path: &Path) -> Result<Self, RepositoryError> {
        Self::open_with(path, Upgrade::default())
    }

    /// As [`open`](Self::open), with a say in whether a migration waits for processes of older versions.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: &Path, upgrade: Upgrade) -> Result<Self, RepositoryError> {
        let path = open::resolve(path)?;
        let mut connection = open::first(&path)?;
        migrate::migrate(&mut connection, &path, upgrade)?;
        Self::start(path, Some(connection))
    }

    /// Opens the database at `path` to read it: it takes no right to write, and what would write fails. One of an older
    /// version is brought up to date, where that is allowed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_for_reading(path: &Path) -> Result<Self, RepositoryError> {
        let resolved = open::resolve(path)?;
        let is_current = open::reader(&resolved).and_then(|connection| migrate::is_current(&connection));
        match is_current {
            Ok(true) => Self::start(resolved, None),
            // It says what is wrong with it, if it cannot be mended.
            _ => Self::open(path),
        }
    }

    fn start(path: PathBuf, connection: Option<Connection>) -> Result<Self, RepositoryError> {
        let write_lock = WriteLock::default();
        let file = open::FileId::of(&path);
        let store = Store {
            file,
            writer: Writer::start(path.clone(), write_lock.clone(), connection)?,
            readers: ReaderPool::start(&path)?,
            chunks: chunk::IdleConnections::default(),
            presence: Arc::new(Presence::new(path.clone(), Absent::Dead)),
            closed: Arc::default(),
            write_lock,
            path,
        };
        Ok(Self { store: Arc::new(store) })
    }

    /// The repository behind a contract, when it is this one: for readers and writers that use its database.
    pub fn of(repository: &dyn JobRepository) -> Option<&Self> {
        repository.as_any().downcast_ref()
    }

    /// The file of the database.
    pub fn path(&self) -> &Path {
        &self.store.path
    }

    /// Returns whether a file is a database in which executions are kept already. It is not changed.
    ///
    /// `true` also when that cannot be reported: [`open`](Self::open) then says why.
    pub fn is_kept_in(path: &Path) -> bool {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let applied = Connection::open_with_flags(path, flags).and_then(|connection| migrate::applied(&connection));
        applied.map_or(true, |applied| applied > 0)
    }

    /// A connection of one's own that can read all tables and change none.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open_reader(&self) -> Result<Connection, RepositoryError> {
        open::reader(&self.store.path).map_err(|error| error::classify("open the database", error))
    }
}

impl std::fmt::Debug for SqliteRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteRepository").field("path", &self.store.path).finish_non_exhaustive()
    }
}
