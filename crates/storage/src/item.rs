//! Readers and writers of tables in the repository's database.

mod row;
mod sqlite_reader;
mod sqlite_writer;

pub use sqlite_reader::SqliteReader;
pub use sqlite_writer::SqliteWriter;
