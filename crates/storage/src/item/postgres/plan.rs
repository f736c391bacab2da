//! The statements of a writer: how the rows of a chunk come to the server, and what becomes of them there.

use std::sync::atomic::{AtomicU64, Ordering};

use oxbatch_core::item::ItemError;

use super::encode::Slot;
use super::kind::Kind;
use super::table::{Column, Table};
use crate::sqlite::quoted;

/// Number of a row in its chunk, next to the columns of the rows.
const NUMBER: &str = "oxbatch_row";

/// The action on the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Insert,
    /// Replaces what has the same key; `None` updates all other columns.
    Upsert {
        keys: Vec<String>,
        updates: Option<Vec<String>>,
    },
    Update {
        keys: Vec<String>,
    },
    Delete {
        keys: Vec<String>,
    },
}

impl Action {
    /// The columns of the key; empty for a plain insert.
    pub(super) fn keys(&self) -> &[String] {
        match self {
            Self::Insert => &[],
            Self::Upsert { keys, .. } | Self::Update { keys } | Self::Delete { keys } => keys,
        }
    }

    /// The action as it reads behind "failed to".
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Insert | Self::Upsert { .. } => "write to",
            Self::Update { .. } => "update rows of",
            Self::Delete { .. } => "delete rows of",
        }
    }
}

/// The statements for rows with certain columns.
#[derive(Debug)]
pub(super) struct Plan {
    /// The column of each field; fields that are not wanted have none.
    pub(super) slots: Vec<Slot>,
    /// The number of fields that have a column.
    pub(super) width: i16,
    /// Types of the elements, for arrays of whole columns.
    pub(super) element_types: Vec<u32>,
    /// COPY of the rows, where that can serve.
    pub(super) copy: Option<String>,
    /// One statement for all rows as arrays, where those can serve.
    pub(super) arrays: Option<String>,
    /// One statement for each row; inserts alone.
    pub(super) each: Option<String>,
    /// For an action with keys that gets its rows by COPY: what makes the table that they go to, and what is done then.
    pub(super) staged: Option<Staged>,
}

/// Rows that come through a temporary table.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) create: String,
    pub(super) apply: String,
}

impl Plan {
    /// For the fields of a row, in their order.
    ///
    /// # Errors
    /// When the table lacks a column, or no form can serve.
    pub(super) fn new(
        table: &Table,
        action: &Action,
        fields: &[&'static str],
        only: Option<&[String]>,
    ) -> Result<Self, ItemError> {
        let wanted = |name: &str| match action {
            Action::Delete { keys } => keys.iter().any(|key| key == name),
            _ => only.is_none_or(|only| only.iter().any(|column| column == name)),
        };
        let mut slots = Vec::with_capacity(fields.len());
        let mut columns = Vec::new();
        for name in fields {
            if wanted(name) {
                let column = table.column(name)?;
                slots.push(Slot { name, kind: Some(column.kind), type_name: column.type_name.clone() });
                columns.push(column);
            } else {
                slots.push(Slot { name, kind: None, type_name: String::new() });
            }
        }
        check(table, action, &columns)?;
        let sql = Statements { table, action, columns: &columns };
        let width = i16::try_from(columns.len())
            .map_err(|_| ItemError::other(format!("a row of {} fields is too wide for a table", columns.len())))?;
        let all_have_a_form = !columns.iter().any(|column| column.kind.is_cast());
        let staged = (*action != Action::Insert).then(|| sql.staged());
        let copy = match &staged {
            Some((name, _)) => Some(sql.copy(name, true)),
            None => (table.copies && all_have_a_form).then(|| sql.copy(&table.sql, false)),
        };
        Ok(Self {
            width,
            element_types: columns.iter().map(|column| element_type(column)).collect(),
            arrays: columns.iter().all(|column| !column.kind.is_array()).then(|| sql.arrays()),
            each: (*action == Action::Insert).then(|| sql.each()),
            staged: staged.map(|(_, staged)| staged),
            copy,
            slots,
        })
    }
}

fn element_type(column: &Column) -> u32 {
    const TEXT: u32 = 25;
    if column.kind.is_cast() { TEXT } else { column.base_oid }
}

fn check(table: &Table, action: &Action, columns: &[&Column]) -> Result<(), ItemError> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    match action {
        Action::Insert | Action::Upsert { .. } => table.check_insert(&names)?,
        Action::Update { .. } | Action::Delete { .. } => table.check_known(&names)?,
    }
    for key in action.keys() {
        if !names.contains(&key.as_str()) {
            return Err(ItemError::other(format!("the rows lack the field '{key}', which is of the key")));
        }
    }
    if matches!(action, Action::Update { .. }) && names.len() == action.keys().len() {
        let message = format!("the rows have nothing but their key, so there is nothing to update in '{}'", table.name);
        return Err(ItemError::other(message));
    }
    if let Action::Upsert { updates: Some(updates), .. } = action
        && let Some(unknown) = updates.iter().find(|update| !names.contains(&update.as_str()))
    {
        return Err(ItemError::other(format!("the rows lack the field '{unknown}', which is to be updated")));
    }
    Ok(())
}

struct Statements<'a> {
    table: &'a Table,
    action: &'a Action,
    columns: &'a [&'a Column],
}

impl Statements<'_> {
    fn names(&self) -> String {
        list(self.columns.iter().map(|column| quoted(&column.name)))
    }

    fn keys(&self) -> String {
        list(self.action.keys().iter().map(|key| quoted(key)))
    }

    /// The keys as the table compares them: to its collation two texts may be the same that are not so by default.
    fn same_keys(&self) -> String {
        let key = |key: &String| {
            let column = self.columns.iter().find(|column| column.name == *key);
            match column.and_then(|column| column.loose_collation.as_ref()) {
                Some(collation) => format!("{} COLLATE {collation}", quoted(key)),
                None => quoted(key),
            }
        };
        list(self.action.keys().iter().map(key))
    }

    /// `INSERT INTO … (…)`; a number that the rows bring counts, as it does for COPY.
    fn insert(&self) -> String {
        let overriding =
            if self.columns.iter().any(|column| column.always_numbered) { " OVERRIDING SYSTEM VALUE" } else { "" };
        format!("INSERT INTO {} ({}){overriding}", self.table.sql, self.names())
    }

    fn copy(&self, target: &str, numbered: bool) -> String {
        let number = if numbered { format!("{}, ", quoted(NUMBER)) } else { String::new() };
        format!("COPY {target} ({number}{}) FROM STDIN (FORMAT binary)", self.names())
    }

    fn each(&self) -> String {
        let value = |(number, column): (usize, &&Column)| {
            let parameter = number + 1;
            match column.kind {
                Kind::One(_) if column.kind.is_cast() => format!("${parameter}::text::{}", column.base_type),
                Kind::Many { .. } if column.kind.is_cast() => format!("${parameter}::text[]::{}", column.base_type),
                _ => format!("${parameter}::{}", column.base_type),
            }
        };
        format!("{} VALUES ({})", self.insert(), list(self.columns.iter().enumerate().map(value)))
    }

    /// The rows as arrays of their columns.
    fn unnested(&self) -> String {
        let array = |(number, column): (usize, &&Column)| {
            let element = if column.kind.is_cast() { "text" } else { &column.base_type };
            format!("${}::{element}[]", number + 1)
        };
        let selected = self.columns.iter().map(|column| {
            let name = quoted(&column.name);
            if column.kind.is_cast() {
                format!("r.{name}::{} AS {name}", column.base_type)
            } else {
                format!("r.{name}")
            }
        });
        let arrays = list(self.columns.iter().enumerate().map(array));
        let (selected, names) = (list(selected), self.names());
        match self.action {
            Action::Insert => format!("SELECT {selected} FROM unnest({arrays}) AS r ({names})"),
            _ => {
                let number = quoted(NUMBER);
                format!("SELECT {selected}, r.{number} FROM unnest({arrays}) WITH ORDINALITY AS r ({names}, {number})")
            }
        }
    }

    fn arrays(&self) -> String {
        match self.action {
            Action::Insert => format!("{} {}", self.insert(), self.unnested()),
            _ => self.apply(&format!("({}) AS r", self.unnested())),
        }
    }

    /// The temporary table's name, and its statements.
    fn staged(&self) -> (String, Staged) {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        // Writers of one step share its connection: each has a table of its own, which ends with the connection.
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("pg_temp.oxbatch_rows_{}_{number}", std::process::id());
        let columns = self.columns.iter().map(|column| {
            let type_name = match (column.kind.is_cast(), column.kind.is_array()) {
                (true, true) => "text[]",
                (true, false) => "text",
                (false, _) => &column.type_name,
            };
            format!("{} {type_name}", quoted(&column.name))
        });
        let create = format!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {} ({} int8, {}) ON COMMIT DELETE ROWS",
            name.trim_start_matches("pg_temp."),
            quoted(NUMBER),
            list(columns)
        );
        let selected = self.columns.iter().map(|column| {
            let name = quoted(&column.name);
            if column.kind.is_cast() { format!("{name}::{} AS {name}", column.base_type) } else { name }
        });
        let source = format!("(SELECT {}, {} FROM {name}) AS r", list(selected), quoted(NUMBER));
        let apply = self.apply(&source);
        (name, Staged { create, apply })
    }

    /// The statement for the rows of a source; of those with the same key the last one counts. For updates and
    /// deletions the answer is the first row whose key nobody has: its number and its key.
    fn apply(&self, source: &str) -> String {
        let (keys, number, table) = (self.keys(), quoted(NUMBER), &self.table.sql);
        let same = self.same_keys();
        let last =
            |what: &str| format!("SELECT DISTINCT ON ({same}) {what} FROM {source} ORDER BY {same}, {number} DESC");
        let set = |from: &str, columns: &mut dyn Iterator<Item = &str>| {
            list(columns.map(|column| format!("{0} = {from}.{0}", quoted(column))))
        };
        let is_key = |name: &str| self.action.keys().iter().any(|key| key == name);
        match self.action {
            Action::Insert => format!("{} SELECT {} FROM {source}", self.insert(), self.names()),
            Action::Upsert { updates, .. } => {
                let set = match updates {
                    Some(updates) => set("EXCLUDED", &mut updates.iter().map(String::as_str)),
                    None => {
                        let names = self.columns.iter().map(|column| column.name.as_str());
                        set("EXCLUDED", &mut names.filter(|name| !is_key(name)))
                    }
                };
                let resolution = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {set}") };
                format!("{} {} ON CONFLICT ({keys}) DO {resolution}", self.insert(), last(&self.names()))
            }
            Action::Update { .. } | Action::Delete { .. } => {
                let on = |left: &str, right: &str| {
                    let pairs = self.action.keys().iter().map(|key| format!("{left}.{0} = {right}.{0}", quoted(key)));
                    pairs.collect::<Vec<_>>().join(" AND ")
                };
                let returned = list(self.action.keys().iter().map(|key| format!("t.{}", quoted(key))));
                let names = self.columns.iter().map(|column| column.name.as_str());
                let change = match self.action {
                    Action::Update { .. } => {
                        let set = set("s", &mut names.filter(|name| !is_key(name)));
                        format!("UPDATE {table} AS t SET {set} FROM s WHERE {}", on("t", "s"))
                    }
                    _ => format!("DELETE FROM {table} AS t USING s WHERE {}", on("t", "s")),
                };
                let shown = self.action.keys().iter().map(|key| format!("coalesce(s.{}::text, 'NULL')", quoted(key)));
                format!(
                    "WITH s AS MATERIALIZED ({}), done AS ({change} RETURNING {returned})
                     SELECT s.{number}::int8, concat_ws(', ', {}) FROM s
                     WHERE NOT EXISTS (SELECT FROM done WHERE {}) ORDER BY 1 LIMIT 1",
                    last("*"),
                    list(shown),
                    on("done", "s")
                )
            }
        }
    }
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
