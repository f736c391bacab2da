//! A database that is asked for lines of text, whichever it is.

use std::path::Path;

use oxbatch::sqlite::rusqlite::{Connection, OpenFlags};

use crate::database::Database;

/// The database.
pub(crate) enum Store {
    Sqlite(Connection),
    Postgres(Database),
}

impl Store {
    /// A file of SQLite that is there.
    pub(crate) fn sqlite(path: &Path) -> Result<Self, String> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        connection.map(Self::Sqlite).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn postgres(url: &str) -> Result<Self, String> {
        Ok(Self::Postgres(Database::new(url.to_owned())?))
    }

    /// The lines of a query of one column of text.
    pub(crate) fn lines(&self, sql: &str) -> Result<Vec<String>, String> {
        match self {
            Self::Sqlite(connection) => {
                let lines = connection.prepare(sql).and_then(|mut statement| {
                    statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
                });
                lines.map_err(|error| format!("{error} in {sql}"))
            }
            Self::Postgres(database) => {
                let rows = database.try_query(sql, &[]).map_err(|error| format!("{error} in {sql}"))?;
                rows.iter().map(|row| row.try_get(0).map_err(|error| format!("{error} in {sql}"))).collect()
            }
        }
    }

    pub(crate) fn has_table(&self, name: &str) -> Result<bool, String> {
        let found = self.lines(&match self {
            Self::Sqlite(_) => format!("SELECT name FROM sqlite_schema WHERE name = '{name}'"),
            Self::Postgres(_) => format!("SELECT relname::text FROM pg_class WHERE relname = '{name}'"),
        })?;
        Ok(!found.is_empty())
    }
}
