//! The rows of a chunk into a table, by one statement for each.

use oxbatch_core::item::{BoxError, ErrorKind, ItemError, ShownJson};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};
use serde::Serialize;

use super::statement::{Mode, RowStatement};
use crate::item::once::fingerprint;
use crate::item::row;

/// A table, and what rows of one shape need to be written to it.
#[derive(Debug)]
pub(super) struct TableRows {
    pub(super) name: String,
    pub(super) create: Option<String>,
    pub(super) replace: Option<(String, Vec<Value>)>,
    pub(super) mode: Mode,
    statement: Option<RowStatement>,
    scratch: String,
}

#[derive(Debug, thiserror::Error)]
#[error("failed to {what} table '{table}'")]
struct WriteError {
    what: String,
    table: String,
    source: rusqlite::Error,
}

/// The kind of an error of SQLite.
pub(super) fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => ErrorKind::Constraint,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Transient,
        _ => ErrorKind::Other,
    }
}

impl TableRows {
    pub(super) fn new(name: String) -> Self {
        Self { name, create: None, replace: None, mode: Mode::Insert, statement: None, scratch: String::new() }
    }

    fn database_error(&self, what: &str, error: rusqlite::Error) -> ItemError {
        let kind = kind_of(&error);
        let source: BoxError = Box::new(WriteError { what: what.to_owned(), table: self.name.clone(), source: error });
        ItemError::new(kind, source)
    }

    /// Creates and empties the table.
    pub(super) fn prepare(&self, connection: &Connection) -> Result<(), ItemError> {
        if let Some(create) = &self.create {
            connection.execute_batch(create).map_err(|error| self.database_error("create", error))?;
        }
        if let Some((statement, parameters)) = &self.replace {
            connection
                .execute(statement, params_from_iter(parameters))
                .map_err(|error| self.database_error("replace the rows of", error))?;
        }
        Ok(())
    }

    /// The fingerprint of each row, which distinguishes it from the others of its chunk.
    pub(super) fn fingerprints<T: Serialize>(&self, outputs: &[T]) -> Result<Vec<u64>, ItemError> {
        let mut bytes = Vec::new();
        let print = |(index, output): (usize, &T)| {
            bytes.clear();
            serde_json::to_writer(&mut bytes, &ShownJson(output))
                .map_err(|error| ItemError::validation(error).at(position(index)))?;
            Ok(fingerprint(&bytes))
        };
        outputs.iter().enumerate().map(print).collect()
    }

    /// Writes the rows, or those of them that are wanted.
    pub(super) fn write<T: Serialize>(
        &mut self,
        connection: &Connection,
        outputs: &[T],
        wanted: Option<&[bool]>,
    ) -> Result<(), ItemError> {
        let Some(first) = outputs.first() else { return Ok(()) };
        let row = match self.statement.take() {
            Some(row) => row,
            None => RowStatement::new(&self.name, &self.mode, first)?,
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        let rows = outputs.iter().enumerate().filter(|(index, _)| wanted.is_none_or(|wanted| wanted[*index]));
        let result = self.execute(connection, &row, rows, &mut scratch);
        self.statement = Some(row);
        self.scratch = scratch;
        result
    }

    fn execute<'r, T: Serialize + 'r>(
        &self,
        connection: &Connection,
        row: &RowStatement,
        rows: impl Iterator<Item = (usize, &'r T)>,
        scratch: &mut String,
    ) -> Result<(), ItemError> {
        let mut statement =
            connection.prepare_cached(&row.sql).map_err(|error| self.database_error("write to", error))?;
        for (index, output) in rows {
            row::bind(output, &row.columns, &row.parameters, &mut statement, scratch)
                .map_err(|error| ItemError::validation(error).at(position(index)))?;
            let rows =
                statement.raw_execute().map_err(|error| self.database_error("write to", error).at(position(index)))?;
            if rows != 1 && !row.must_match.is_empty() {
                return Err(self.unmatched(rows, &row.key_of(output)).at(position(index)));
            }
        }
        Ok(())
    }

    /// A key is not that of exactly one row.
    #[cold]
    fn unmatched(&self, rows: usize, key: &str) -> ItemError {
        let what = if matches!(self.mode, Mode::Delete { .. }) { "delete from" } else { "update" };
        let found = if rows == 0 { "no row has".to_owned() } else { format!("{rows} rows have") };
        let message = format!("failed to {what} table '{}': {found} the key {key}", self.name);
        ItemError::new(ErrorKind::Constraint, message)
    }
}

#[cold]
fn position(index: usize) -> String {
    format!("row {} of the chunk", index + 1)
}
