//! Readers and writers of tables in PostgreSQL.

mod apart;
mod database;
mod decode;
mod encode;
mod error;
mod kind;
mod moment;
mod numeric;
mod once;
mod plan;
mod reader;
mod row_encoder;
mod send;
mod source;
mod table;
mod table_rows;
mod writer;

pub(crate) use error::item_error;
pub use reader::PostgresReader;
pub use table_rows::WriteForm;
pub use writer::PostgresWriter;
