//! `SqliteReader`: rows of a query on the repository's database or another file, page by page along a unique key.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;

use oxbatch_core::StepContext;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader, Origin, Position};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use super::sqlite_source::SqliteSource;
use crate::sqlite::{SqliteRepository, quoted};

/// Rows that are read at once. [`SqliteReader::page_size`]
const DEFAULT_PAGE_SIZE: u32 = 1_000;

/// Reads the rows of a query in the ascending order of a unique key, and resumes behind the last key by seeking.
///
/// Each page is a query of its own, so no read transaction stays open while the step works; a row that is added behind
/// the current key meanwhile is read too. The query is wrapped as a sub-select: it may have a WHERE, a GROUP BY and
/// parameters `?1` …, and needs no ORDER BY. The key columns must be among its columns, never NULL, and unique
/// together: a breach is an error, never a lost row. An index over them makes each page as fast as the first.
///
/// ```no_run
/// # fn build(context: &oxbatch::StepContext) {
/// use oxbatch::sqlite::SqliteReader;
///
/// let reader = SqliteReader::new(
///     context,
///     "SELECT id, species FROM wildlife_strikes WHERE cost > ?1",
///     ["id"],
///     |row| Ok((row.get::<_, i64>("id")?, row.get::<_, String>("species")?)),
/// )
/// .parameters([1_000]);
/// # }
/// ```
pub struct SqliteReader<T, F> {
    source: SqliteSource,
    query: String,
    keys: Vec<String>,
    parameters: Vec<Value>,
    page_size: u32,
    map: F,
    connection: Option<Connection>,
    page: VecDeque<(Result<T, rusqlite::Error>, Key)>,
    /// Key of the last row that was taken from the database.
    fetched: Option<Key>,
    /// Key of the last item that was returned.
    returned: Option<Key>,
    ended: bool,
}

/// The values of the key columns.
type Key = Vec<Value>;

impl<T, F> SqliteReader<T, F>
where
    F: FnMut(&Row<'_>) -> rusqlite::Result<T>,
{
    /// Reads the rows of `query` on the step's repository, ordered by the columns `keys`; `map` makes an item of a row.
    pub fn new<K: Into<String>>(
        context: &StepContext,
        query: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
        map: F,
    ) -> Self {
        Self::build(SqliteSource::of(context), query.into(), keys, map)
    }

    /// As [`new`](Self::new), on a repository at hand.
    pub fn on<K: Into<String>>(
        repository: &SqliteRepository,
        query: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
        map: F,
    ) -> Self {
        Self::build(SqliteSource::Repository(Some(repository.clone())), query.into(), keys, map)
    }

    /// As [`new`](Self::new), on another file of SQLite. It must be there; it is read only, and other writers need not
    /// wait if its journal mode is WAL.
    pub fn from_file<K: Into<String>>(
        path: impl Into<PathBuf>,
        query: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
        map: F,
    ) -> Self {
        Self::build(SqliteSource::File(path.into()), query.into(), keys, map)
    }

    fn build<K: Into<String>>(source: SqliteSource, query: String, keys: impl IntoIterator<Item = K>, map: F) -> Self {
        Self {
            source,
            query,
            keys: keys.into_iter().map(Into::into).collect(),
            parameters: Vec::new(),
            page_size: DEFAULT_PAGE_SIZE,
            map,
            connection: None,
            page: VecDeque::new(),
            fetched: None,
            returned: None,
            ended: false,
        }
    }

    /// The values of the query's parameters `?1`, `?2` ….
    #[must_use]
    pub fn parameters<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.parameters = values.into_iter().map(Into::into).collect();
        self
    }

    /// Rows that are read at once, at least 1.
    #[must_use]
    pub fn page_size(mut self, rows: u32) -> Self {
        self.page_size = rows.max(1);
        self
    }

    /// The statement of a page. Keys are compared byte by byte: a collation that takes two keys for the same would lose
    /// the second at the border of two pages.
    fn page_query(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("{} COLLATE BINARY", quoted(key))).collect();
        let keys = keys.join(", ");
        let mut number = self.parameters.len();
        let mut placeholder = || {
            number += 1;
            format!("?{number}")
        };
        let behind = match &self.fetched {
            Some(key) => {
                let placeholders: Vec<String> = key.iter().map(|_| placeholder()).collect();
                format!(" WHERE ({keys}) > ({})", placeholders.join(", "))
            }
            None => String::new(),
        };
        // A comment at the end of the query must not swallow the bracket.
        format!(
            "SELECT * FROM ({}\n){behind} ORDER BY {keys} LIMIT {}",
            self.query.trim().trim_end_matches(';'),
            placeholder()
        )
    }

    fn fetch(&mut self) -> Result<(), ItemError> {
        let sql = self.page_query();
        let connection = self.connection.as_ref().ok_or_else(|| ItemError::other("the reader is not open"))?;
        let mut statement = connection.prepare_cached(&sql)?;
        let indexes: Vec<usize> = self.keys.iter().map(|key| statement.column_index(key)).collect::<Result<_, _>>()?;
        // One more than a page: the next page begins behind the last key, so a row that has it too must be seen here.
        let limit = Value::Integer(i64::from(self.page_size) + 1);
        let values = self.parameters.iter().chain(self.fetched.iter().flatten()).chain([&limit]);
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            let key = key_of(row, &indexes, &self.keys)?;
            if self.fetched.as_ref().is_some_and(|last| is_same(last, &key)) {
                let message = format!("the key ({}) is not unique: two rows have it", show(&key));
                return Err(ItemError::validation(message));
            }
            if found == self.page_size {
                return Ok(());
            }
            self.page.push_back(((self.map)(row), key.clone()));
            self.fetched = Some(key);
            found += 1;
        }
        self.ended = true;
        Ok(())
    }
}

/// As SQLite compares: a whole number and a fraction may be equal.
fn is_same(one: &Key, other: &Key) -> bool {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "checked in both directions")]
    let equal = |(one, other): (&Value, &Value)| match (one, other) {
        (Value::Integer(whole), Value::Real(real)) | (Value::Real(real), Value::Integer(whole)) => {
            *whole as f64 == *real && *real as i64 == *whole
        }
        (one, other) => one == other,
    };
    one.iter().zip(other).all(equal)
}

fn key_of(row: &Row<'_>, indexes: &[usize], names: &[String]) -> Result<Key, ItemError> {
    let value = |(index, name): (&usize, &String)| match row.get_ref(*index)? {
        ValueRef::Null => Err(ItemError::validation(format!("the key column '{name}' is NULL"))),
        ValueRef::Blob(_) => {
            Err(ItemError::validation(format!("the key column '{name}' is a BLOB; use text or numbers")))
        }
        value => Ok(Value::try_from(value)?),
    };
    indexes.iter().zip(names).map(value).collect()
}

/// The position of a row, as it is shown.
#[derive(Debug)]
struct KeyPosition(Key);

impl fmt::Display for KeyPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row with key ({})", show(&self.0))
    }
}

fn show(key: &Key) -> String {
    let shown = |value: &Value| match value {
        Value::Real(number) if !number.is_finite() => number.to_string(),
        value => as_json(value).to_string(),
    };
    let text: Vec<String> = key.iter().map(shown).collect();
    text.join(", ")
}

/// The name under which a checkpoint holds a number that JSON does not have: `{"real": "-inf"}`.
const REAL: &str = "real";

fn as_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Integer(number) => (*number).into(),
        Value::Real(number) if number.is_finite() => (*number).into(),
        Value::Real(number) => serde_json::json!({ REAL: number.to_string() }),
        Value::Text(text) => text.as_str().into(),
        Value::Null | Value::Blob(_) => serde_json::Value::Null,
    }
}

fn from_json(value: serde_json::Value) -> Result<Value, ItemError> {
    match value {
        serde_json::Value::String(text) => Ok(Value::Text(text)),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Ok(Value::Integer(number)),
            (None, Some(number)) => Ok(Value::Real(number)),
            _ => Err(ItemError::other(format!("checkpoint holds {number}, which is no key"))),
        },
        serde_json::Value::Object(held) => match held.get(REAL).and_then(|text| text.as_str()?.parse().ok()) {
            Some(number) => Ok(Value::Real(number)),
            None => Err(ItemError::other("checkpoint holds a document, which is no key")),
        },
        other => Err(ItemError::other(format!("checkpoint holds {other}, which is no key"))),
    }
}

impl<T, F> ItemReader for SqliteReader<T, F>
where
    T: Send,
    F: FnMut(&Row<'_>) -> rusqlite::Result<T> + Send,
{
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        if self.keys.is_empty() {
            return Err(ItemError::other("the reader needs at least one key column"));
        }
        self.connection = Some(self.source.connect()?);
        if let Some(checkpoint) = checkpoint {
            let key: Option<Vec<serde_json::Value>> = checkpoint.read()?;
            let key = key.map(|key| key.into_iter().map(from_json).collect::<Result<Key, _>>()).transpose()?;
            if key.as_ref().is_some_and(|key| key.len() != self.keys.len()) {
                let message = "the checkpoint has another number of key columns; launch with force to start anew";
                return Err(ItemError::other(message));
            }
            self.fetched.clone_from(&key);
            self.returned = key;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        if self.page.is_empty() && !self.ended {
            self.fetch()?;
        }
        let Some((item, key)) = self.page.pop_front() else { return Ok(None) };
        let item = item.map_err(|error| ItemError::parse(error).at(format!("row with key ({})", show(&key))));
        self.returned = Some(key);
        item.map(Some)
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        let key: Vec<serde_json::Value> = checkpoint.read::<Option<_>>().ok()??;
        Some(Origin::behind_key(key))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let key: Option<Vec<_>> = self.returned.as_ref().map(|key| key.iter().map(as_json).collect());
        Checkpoint::new(&key).map(Some)
    }

    fn origin(&self) -> Option<Origin> {
        self.returned.clone().map(|key| Origin::at(Position::shown(KeyPosition(key))))
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.connection = None;
        Ok(())
    }
}

impl<T, F> std::fmt::Debug for SqliteReader<T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteReader").field("query", &self.query).field("keys", &self.keys).finish_non_exhaustive()
    }
}
