//! Tables of whichever database keeps the executions: `TableReader`, `TableWriter`.

mod placeholders;
mod reader;
mod sqlite_row;
mod writer;

pub use reader::TableReader;
pub use writer::TableWriter;

#[cfg(feature = "postgres")]
use oxbatch_core::StepContext;

/// A value of a statement's parameter, on either database: texts, `i64`, `f64`, bytes, and options of them.
#[cfg(feature = "postgres")]
pub trait TableValue: Into<rusqlite::types::Value> + tokio_postgres::types::ToSql + Sync + Send + 'static {}
#[cfg(feature = "postgres")]
impl<V: Into<rusqlite::types::Value> + tokio_postgres::types::ToSql + Sync + Send + 'static> TableValue for V {}

/// A value of a statement's parameter: texts, `i64`, `f64`, bytes, and options of them.
#[cfg(not(feature = "postgres"))]
pub trait TableValue: Into<rusqlite::types::Value> + Sync + Send + 'static {}
#[cfg(not(feature = "postgres"))]
impl<V: Into<rusqlite::types::Value> + Sync + Send + 'static> TableValue for V {}

/// Calls the same method of the part that there is.
macro_rules! ask {
    ($on:expr, $part:ident => $call:expr) => {
        match $on {
            On::Sqlite($part) => $call,
            #[cfg(feature = "postgres")]
            On::Postgres($part) => $call,
        }
    };
}
use ask;

/// Changes the part that there is.
macro_rules! set {
    ($this:ident, $part:ident => $call:expr) => {
        Self {
            on: match $this.on {
                On::Sqlite($part) => On::Sqlite($call),
                #[cfg(feature = "postgres")]
                On::Postgres($part) => On::Postgres($call),
            },
        }
    };
}
use set;

/// Returns whether the executions are kept in PostgreSQL.
#[cfg(feature = "postgres")]
fn is_on_postgres(context: &StepContext) -> bool {
    crate::postgres::PostgresRepository::of(context.repository().as_ref()).is_some()
}
