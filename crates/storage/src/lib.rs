//! The job repository of Oxbatch on SQL databases, and the readers and writers that use them.
//!
//! # The repository
//!
//! [`SqliteRepository`] keeps everything in one file, without a server. Its tables begin with `oxbatch_`, so that the
//! file may hold an author's own tables too: what a job writes there commits together with its checkpoint, and each row
//! is there exactly once, whatever happens to the process or the machine.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let repository: Arc<dyn oxbatch::repository::JobRepository> =
//!     Arc::new(oxbatch::sqlite::SqliteRepository::open(Path::new("oxbatch.db"))?);
//! # Ok(())
//! # }
//! ```
//!
//! `PostgresRepository` (feature `postgres`) keeps the same in a PostgreSQL database, which many nodes may share; what
//! a job writes to tables there through the chunk's transaction is exactly once in the same way.
//!
//! # Items
//!
//! | table of | reader | writer | delivery |
//! |---|---|---|---|
//! | SQLite, along a unique key | [`SqliteReader`] | [`SqliteWriter`]: insert, upsert, update, delete | exactly once in the repository's database; in another file at least once, or [exactly once](SqliteWriter::exactly_once) |
//! | SQLite, any query | [`SqliteCursorReader`] | | |
//! | whichever keeps the executions | [`TableReader`] | [`TableWriter`]: insert, upsert, update, delete | exactly once |
//!
//! | table in PostgreSQL (feature `postgres`) | reader | writer | delivery |
//! |---|---|---|---|
//! | of the repository's database | `PostgresReader::new` | `PostgresWriter::new` | exactly once |
//! | of another database | `PostgresReader::from` | `PostgresWriter::to` | at least once; exactly once with `exactly_once` |
//!
//! # What is durable
//!
//! Whatever the outside can see as final (a launch, the end of a step or of an execution, a stop) waits for the disk;
//! launches that come at the same time share one wait. The commit of a chunk does not wait: rows and checkpoint are in
//! one transaction, so after a loss of power both are there or both are not, and the end of the step makes all durable.
//! A PostgreSQL server that crashes alone may forget the last chunks; their step is FAILED then, and restarts from what
//! was kept.
//!
//! # Next to the database
//!
//! SQLite keeps `-wal` and `-shm` files next to the database while it is open. Each running node holds a lock on a file
//! `<database>-node-<id>`; the operating system frees it when the process dies, and that is how the next start
//! sees at once that executions have lost their owner.

mod columns;
mod conditions;
mod error;
mod item;
mod list;
mod migrations;
mod nodes;
#[cfg(feature = "postgres")]
mod postgres;
mod presence;
mod rows;
mod shared;
mod sqlite;
mod stop;
mod upgrade;

#[cfg(feature = "postgres")]
pub use item::{PostgresReader, PostgresWriter, WriteForm};
pub use item::{SqliteCursorReader, SqliteReader, SqliteWriter, TableReader, TableValue, TableWriter};
#[cfg(feature = "postgres")]
pub use postgres::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_CONNECTIONS, DEFAULT_RETRY_TIME, MIN_CONNECTIONS, PostgresChunkTransaction,
    PostgresRepository, PostgresSettings, PostgresSettingsError,
};
/// The driver, for authors who write to the database themselves.
pub use rusqlite;
pub use sqlite::{SqliteChunkTransaction, SqliteRepository};
/// The driver of PostgreSQL, for authors who write to the database themselves.
#[cfg(feature = "postgres")]
pub use tokio_postgres;
pub use upgrade::Upgrade;
