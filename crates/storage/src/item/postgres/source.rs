//! The query of a reader: its columns as the server has them, wrapped so that it can be continued behind a key.

use oxbatch_core::item::ItemError;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::types::{Kind as TypeKind, Type};

use super::decode::{OutputColumn, show};
use super::encode;
use super::error::item_error;
use super::kind::{Kind, Scalar};
use super::moment;
use crate::sqlite::quoted;

/// The values of the key columns, in the binary form.
pub(super) type Key = Vec<Vec<u8>>;

/// A key as it is saved: with the types that its values had.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedKey {
    columns: Vec<String>,
    types: Vec<String>,
    key: Vec<String>,
}

impl SavedKey {
    /// The values of the key as text.
    pub(super) fn key(&self) -> &[String] {
        &self.key
    }
}

/// A query whose columns are known.
#[derive(Debug)]
pub(super) struct Source {
    query: String,
    pub(super) columns: Vec<OutputColumn>,
    /// Places of the key columns.
    pub(super) keys: Vec<usize>,
    /// Types of all columns as they stand in statements.
    types: Vec<String>,
}

impl Source {
    /// Asks the server for the columns of the query.
    ///
    /// # Errors
    /// When the server does not take the query, or the key is none.
    pub(super) async fn look_up(client: &Client, query: &str, keys: &[String]) -> Result<Self, ItemError> {
        let query = query.trim().trim_end_matches(';').to_owned();
        let statement =
            client.prepare(&query).await.map_err(|error| item_error("prepare the reader's query", error))?;
        let columns: Vec<OutputColumn> =
            statement.columns().iter().map(|column| output(column.name(), column.type_())).collect();
        let twice = |(number, column): &(usize, &OutputColumn)| {
            columns[..*number].iter().any(|other| other.name == column.name)
        };
        if let Some((_, column)) = columns.iter().enumerate().find(twice) {
            return Err(ItemError::other(format!(
                "the query has two columns '{}'; name one of them with AS",
                column.name
            )));
        }
        if keys.is_empty() {
            return Err(ItemError::other("the reader needs at least one key column"));
        }
        let index = |key: &String| {
            let index = columns.iter().position(|column| column.name == *key);
            let index = index.ok_or_else(|| {
                let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
                ItemError::other(format!("the key column '{key}' is none of the query's columns {}", names.join(", ")))
            })?;
            check_key(&columns[index])?;
            Ok::<usize, ItemError>(index)
        };
        let keys = keys.iter().map(index).collect::<Result<_, _>>()?;
        let types = statement.columns().iter().map(|column| sql_type(column.type_())).collect();
        Ok(Self { query, columns, keys, types })
    }

    fn key_names(&self) -> Vec<String> {
        self.keys.iter().map(|index| quoted(&self.columns[*index].name)).collect()
    }

    fn key_types(&self) -> impl Iterator<Item = &String> {
        self.keys.iter().map(|index| &self.types[*index])
    }

    /// The query in the order of the key, behind a key whose values are the given expressions.
    pub(super) fn ordered(&self, behind: Option<Vec<String>>) -> String {
        let selected: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                let name = quoted(&column.name);
                match column.kind {
                    kind if !kind.is_cast() => format!("q.{name}"),
                    Kind::Many { .. } => format!("q.{name}::text[] AS {name}"),
                    Kind::One(_) => format!("q.{name}::text AS {name}"),
                }
            })
            .collect();
        let keys: Vec<String> = self.key_names().iter().map(|name| format!("q.{name}")).collect();
        let keys = keys.join(", ");
        let behind = behind.map_or_else(String::new, |values| format!(" WHERE ({keys}) > ({})", values.join(", ")));
        // A comment at the end of the query must not swallow the bracket.
        format!("SELECT {} FROM ({}\n) AS q{behind} ORDER BY {keys}", selected.join(", "), self.query)
    }

    /// Placeholders of a key behind `parameters` others.
    pub(super) fn placeholders(&self, parameters: usize) -> Vec<String> {
        self.key_types().enumerate().map(|(number, name)| format!("${}::{name}", parameters + number + 1)).collect()
    }

    /// The settings of the session that hold a key where no parameter can stand, as expressions.
    pub(super) fn settings(&self) -> Vec<String> {
        let expression = |(number, name): (usize, &String)| format!("current_setting('{}')::{name}", setting(number));
        self.key_types().enumerate().map(expression).collect()
    }

    /// Asks whether the query has rows that no key leads to.
    pub(super) fn without_key(&self) -> String {
        let nulls: Vec<String> = self.key_names().iter().map(|name| format!("q.{name} IS NULL")).collect();
        format!("SELECT EXISTS (SELECT FROM ({}\n) AS q WHERE {})", self.query, nulls.join(" OR "))
    }

    /// Asks which collations of the key take different texts for the same: the number of the column in the key, and the
    /// collation's name. `None` where no column of the key has a collation.
    pub(super) fn loose_collations(&self) -> Option<String> {
        let texts: Vec<(usize, String)> = (0..)
            .zip(&self.keys)
            .filter(|(_, index)| self.columns[**index].kind == Kind::One(Scalar::Text))
            .map(|(number, index)| (number, quoted(&self.columns[*index].name)))
            .collect();
        if texts.is_empty() {
            return None;
        }
        let names: Vec<_> =
            texts.iter().map(|(number, name)| format!("pg_collation_for(q.{name}) AS name_{number}")).collect();
        let values: Vec<_> = texts.iter().map(|(number, _)| format!("({number}, k.name_{number})")).collect();
        // Also of a query without rows: some may come.
        Some(format!(
            "SELECT v.number::int4, v.name FROM (
                 SELECT {} FROM (SELECT) AS one LEFT JOIN ({}\n) AS q ON true LIMIT 1) AS k
             CROSS JOIN LATERAL (VALUES {}) AS v (number, name)
             JOIN pg_collation c ON c.oid = v.name::regcollation WHERE NOT c.collisdeterministic LIMIT 1",
            names.join(", "),
            self.query,
            values.join(", ")
        ))
    }

    /// The error of a key column whose collation takes different texts for the same.
    pub(super) fn loosely_collated(&self, number: usize, collation: &str) -> ItemError {
        let column = self.keys.get(number).map_or("?", |index| self.columns[*index].name.as_str());
        ItemError::other(format!(
            "the key column '{column}' has the collation {collation}, to which different texts are the same: rows could be \
             lost behind a restart; select it as {} COLLATE \"C\" AS {}, or choose another key",
            quoted(column),
            quoted(column)
        ))
    }

    /// The key as text as the server reads it, for settings.
    pub(super) fn settings_texts(&self, key: &Key) -> Result<Vec<String>, ItemError> {
        let text = |(index, text): (&usize, String)| match self.columns[*index].kind {
            Kind::One(Scalar::Date | Scalar::Timestamp | Scalar::TimestampTz) => moment::for_server(&text),
            _ => text,
        };
        Ok(self.keys.iter().zip(self.texts(key)?).map(text).collect())
    }

    /// The key as text, for messages and checkpoints.
    pub(super) fn texts(&self, key: &Key) -> Result<Vec<String>, ItemError> {
        let text =
            |(index, bytes): (&usize, &Vec<u8>)| show(self.columns[*index].kind, bytes).map_err(ItemError::other);
        self.keys.iter().zip(key).map(text).collect()
    }

    /// The key with its columns and types.
    pub(super) fn saved(&self, key: &Key) -> Result<SavedKey, ItemError> {
        let column = |index: &usize| &self.columns[*index];
        Ok(SavedKey {
            columns: self.keys.iter().map(|index| column(index).name.clone()).collect(),
            types: self.keys.iter().map(|index| column(index).type_name.clone()).collect(),
            key: self.texts(key)?,
        })
    }

    /// A saved key in the binary form.
    ///
    /// # Errors
    /// When it is one of other columns or types.
    pub(super) fn restored(&self, saved: &SavedKey) -> Result<Key, ItemError> {
        let same = saved.key.len() == self.keys.len()
            && self.keys.iter().enumerate().all(|(number, index)| {
                let column = &self.columns[*index];
                saved.columns.get(number) == Some(&column.name) && saved.types.get(number) == Some(&column.type_name)
            });
        if !same {
            return Err(ItemError::other(format!(
                "the checkpoint has the key ({}) of type ({}), which is not that of the query; launch with force to start anew",
                saved.columns.join(", "),
                saved.types.join(", ")
            )));
        }
        let value = |(index, text): (&usize, &String)| {
            encode::text_value(self.columns[*index].kind, text).map_err(ItemError::other)
        };
        self.keys.iter().zip(&saved.key).map(value).collect()
    }

    /// Returns whether two keys are the same to the server.
    pub(super) fn same(&self, left: &Key, right: &Key) -> bool {
        let value = |((index, left), right): ((&usize, &Vec<u8>), &Vec<u8>)| match self.columns[*index].kind {
            // The number of digits behind the point makes no difference: 1.0 is 1.00.
            Kind::One(Scalar::Numeric) => left.get(..6) == right.get(..6) && left.get(8..) == right.get(8..),
            // 0.0 is −0.0.
            Kind::One(Scalar::Float8 | Scalar::Float4) => left == right || (is_zero(left) && is_zero(right)),
            _ => left == right,
        };
        self.keys.iter().zip(left).zip(right).all(value)
    }
}

fn is_zero(float: &[u8]) -> bool {
    float.split_first().is_some_and(|(first, rest)| first & 0x7f == 0 && rest.iter().all(|byte| *byte == 0))
}

/// Name of the session's setting for a value of the key.
pub(super) fn setting(number: usize) -> String {
    format!("oxbatch.key_{number}")
}

fn check_key(column: &OutputColumn) -> Result<(), ItemError> {
    let usable = match column.kind {
        Kind::One(Scalar::Text) => column.type_name != "citext",
        Kind::One(scalar) => {
            !matches!(scalar, Scalar::Bytea | Scalar::Json | Scalar::Jsonb | Scalar::Other | Scalar::Byte)
        }
        Kind::Many { .. } => false,
    };
    if usable {
        return Ok(());
    }
    Err(ItemError::other(format!(
        "the key column '{}' is of type {}, which cannot be a key; cast it to text or number",
        column.name, column.type_name
    )))
}

/// The type under a domain.
fn base(of: &Type) -> &Type {
    match of.kind() {
        TypeKind::Domain(under) => base(under),
        _ => of,
    }
}

fn scalar(of: &Type) -> Scalar {
    let typtype = if matches!(of.kind(), TypeKind::Enum(_)) { b'e' } else { b'b' };
    Scalar::of(of.oid(), of.name(), typtype.cast_signed())
}

fn output(name: &str, of: &Type) -> OutputColumn {
    let of = base(of);
    let kind = match of.kind() {
        // What the server sends of elements that are domains is what they are over.
        TypeKind::Array(element) if matches!(element.kind(), TypeKind::Domain(_)) => Kind::many(Scalar::Other, 0),
        TypeKind::Array(element) => Kind::many(scalar(element), element.oid()),
        _ => Kind::One(scalar(of)),
    };
    OutputColumn { name: name.to_owned(), kind, type_name: of.name().to_owned() }
}

fn sql_type(of: &Type) -> String {
    let of = base(of);
    format!("{}.{}", quoted(of.schema()), quoted(of.name()))
}
