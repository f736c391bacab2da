//! The statement that writes a row: insert, upsert, update or delete, by the columns of the first row.

use oxbatch_core::item::{ItemError, ShownJson};
use serde::Serialize;

use crate::item::row::{self, RowError};
use crate::sqlite::quoted;

/// The action on each row.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    Insert,
    Upsert { keys: Vec<String> },
    Update { keys: Vec<String> },
    Delete { keys: Vec<String> },
}

impl Mode {
    /// The columns by which rows are found.
    fn keys(&self) -> &[String] {
        match self {
            Self::Insert => &[],
            Self::Upsert { keys } | Self::Update { keys } | Self::Delete { keys } => keys,
        }
    }
}

/// A statement for the rows of one shape.
#[derive(Debug)]
pub(super) struct RowStatement {
    pub(super) sql: String,
    pub(super) columns: Vec<&'static str>,
    /// For each column the number of its parameter; 0 for one that the statement does not need.
    pub(super) parameters: Vec<usize>,
    /// Columns whose values must be those of exactly one row.
    pub(super) must_match: Vec<String>,
}

impl RowStatement {
    pub(super) fn new(table: &str, mode: &Mode, first: &impl Serialize) -> Result<Self, ItemError> {
        let columns = row::columns(first).map_err(ItemError::validation)?;
        let refuse = |problem: String| Err(ItemError::validation(RowError::new(problem)));
        if columns.is_empty() {
            return refuse("the row has no fields".to_owned());
        }
        let keys = mode.keys();
        if !matches!(mode, Mode::Insert) && keys.is_empty() {
            return refuse("there is no key column to find rows by".to_owned());
        }
        if let Some(key) = keys.iter().find(|key| !columns.contains(&key.as_str())) {
            return refuse(format!("the row lacks the key field '{key}'"));
        }
        let is_key = |column: &str| keys.iter().any(|key| key == column);
        let mut parameters: Vec<usize> = (1..=columns.len()).collect();
        let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
        let table = quoted(table);
        let values: Vec<&str> = columns.iter().copied().filter(|column| !is_key(column)).collect();
        let insert = || {
            let placeholders: Vec<String> = (1..=columns.len()).map(|number| format!("?{number}")).collect();
            format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), placeholders.join(", "))
        };
        let comparison = |column: &str, parameters: &[usize]| {
            let at = columns.iter().position(|other| *other == column).unwrap_or_default();
            format!("{} = ?{}", quoted(column), parameters[at])
        };
        let found =
            |parameters: &[usize]| keys.iter().map(|key| comparison(key, parameters)).collect::<Vec<_>>().join(" AND ");
        let sql = match mode {
            Mode::Insert => insert(),
            Mode::Upsert { keys } => {
                let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
                let set: Vec<String> = values.iter().map(|name| format!("{0} = excluded.{0}", quoted(name))).collect();
                let action =
                    if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
                format!("{} ON CONFLICT ({}) DO {action}", insert(), keys.join(", "))
            }
            Mode::Update { .. } => {
                if values.is_empty() {
                    return refuse("the row has key fields alone, so there is nothing to update".to_owned());
                }
                let set: Vec<String> = values.iter().map(|column| comparison(column, &parameters)).collect();
                format!("UPDATE {table} SET {} WHERE {}", set.join(", "), found(&parameters))
            }
            Mode::Delete { .. } => {
                let mut number = 0;
                for (column, parameter) in columns.iter().zip(&mut parameters) {
                    number += usize::from(is_key(column));
                    *parameter = if is_key(column) { number } else { 0 };
                }
                format!("DELETE FROM {table} WHERE {}", found(&parameters))
            }
        };
        let must_match =
            if matches!(mode, Mode::Update { .. } | Mode::Delete { .. }) { keys.to_vec() } else { Vec::new() };
        Ok(Self { sql, columns, parameters, must_match })
    }

    /// The key of a row, for a message: `(id) = (4711)`.
    #[cold]
    pub(super) fn key_of(&self, output: &impl Serialize) -> String {
        let row = serde_json::to_value(ShownJson(output)).unwrap_or_default();
        let values: Vec<String> = self
            .must_match
            .iter()
            .map(|key| {
                row.get(key).map_or_else(
                    || "NULL".to_owned(),
                    |value| match value {
                        serde_json::Value::Null => "NULL".to_owned(),
                        value => value.to_string(),
                    },
                )
            })
            .collect();
        format!("({}) = ({})", self.must_match.join(", "), values.join(", "))
    }
}
