//! Readers and writers of tables, in the repository's database and in others.

mod once;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
mod sqlite_cursor_reader;
mod sqlite_reader;
mod sqlite_source;
mod sqlite_writer;
mod table;

#[cfg(feature = "postgres")]
pub(crate) use postgres::item_error;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresReader, PostgresWriter, WriteForm};
pub use sqlite_cursor_reader::SqliteCursorReader;
pub use sqlite_reader::SqliteReader;
pub use sqlite_writer::SqliteWriter;
pub use table::{TableReader, TableValue, TableWriter};
