//! Where executions and rows are kept: SQLite in the folder of the import, or a database of PostgreSQL.

use std::path::{Path, PathBuf};

use oxbatch_test_postgres::TestDatabase;

pub(crate) enum Store {
    Sqlite(PathBuf),
    Postgres(TestDatabase),
}

impl Store {
    pub(crate) fn new(folder: &Path, on_postgres: bool) -> Self {
        if on_postgres { Self::Postgres(TestDatabase::new()) } else { Self::Sqlite(folder.join("oxbatch.db")) }
    }

    /// The address of the database that the service is given.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(database) => database.url().to_owned(),
        }
    }

    /// Runs statements.
    pub(crate) fn execute(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).map_err(|error| error.to_string())?;
                connection.execute_batch(sql).map_err(|error| format!("{sql}: {error}"))
            }
            Self::Postgres(database) => {
                database.execute(sql);
                Ok(())
            }
        }
    }

    /// The number that a query answers.
    pub(crate) fn one(&self, sql: &str) -> Result<i64, String> {
        match self {
            Self::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).map_err(|error| error.to_string())?;
                connection.query_row(sql, [], |row| row.get(0)).map_err(|error| format!("{sql}: {error}"))
            }
            Self::Postgres(database) => {
                let rows = database.query(sql);
                let number = rows.first().and_then(|text| text.parse().ok());
                number.ok_or_else(|| format!("{sql}: {rows:?} is no number"))
            }
        }
    }
}
