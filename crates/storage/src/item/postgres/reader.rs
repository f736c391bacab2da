//! `PostgresReader`: the rows of a query on PostgreSQL as any serde type, resumed behind the last key.

mod fetch;
mod rows;

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use oxbatch_core::StepContext;
use oxbatch_core::item::{Checkpoint, ErrorKind, ItemError, ItemReader, Origin, Position};
use serde::de::DeserializeOwned;
use tokio_postgres::types::ToSql;
use tokio_postgres::{CopyOutStream, Row};

use super::apart::Apart;
use super::database::Database;
use super::source::{Key, SavedKey, Source};
use crate::postgres::PostgresSettings;
use fetch::{shown, source};

/// Rows that are fetched at once. [`PostgresReader::pages`]
const DEFAULT_PAGE_SIZE: u32 = 1_000;

/// Reads the rows of a query in the ascending order of a unique key, and resumes behind the last key by seeking.
///
/// The query is wrapped as a sub-select: it may have a WHERE, a GROUP BY and parameters `$1` …, and needs no ORDER BY.
/// The key columns must be among its columns, never NULL, and unique together: a breach is an error, never a lost row.
/// An index over them makes a resume, and each page, as fast as the first. A text key whose collation is not
/// deterministic is refused when the step opens: to it different texts are the same, and those behind the first would
/// be lost.
///
/// An item is a struct or map by the names of the columns, a tuple by their order, or the value of a single column. All
/// types of [`PostgresWriter`](crate::PostgresWriter) come back as they went: `numeric` as its exact text, or as a
/// number where one is wanted; dates, times and timestamps as ISO 8601 text; `uuid` as text; `json` and `jsonb` as
/// whatever they hold; types that it does not know as text.
///
/// It has a connection of its own, outside of the chunk's transaction. How the rows come is up to the author:
///
/// - [`pages`](Self::pages), which is what it does unless set otherwise: each page is a query of its own, so no
///   transaction stays open while the step works, and rows that are added behind the current key are read too.
/// - [`cursor`](Self::cursor): one query behind a server-side cursor in one long read-only transaction; all rows are of
///   one moment. The transaction keeps the server from clearing away dead rows as long as the step reads.
/// - [`copy`](Self::copy): one `COPY (query) TO STDOUT`, the fastest; as a cursor, and without parameters.
///
/// ```
/// # fn build(context: &oxbatch::StepContext) {
/// use oxbatch::postgres::PostgresReader;
///
/// #[derive(serde::Deserialize)]
/// struct Strike { id: i64, species: Option<String> }
///
/// let reader = PostgresReader::<Strike>::new(
///     context,
///     "SELECT id, species FROM strikes WHERE cost > $1::numeric",
///     ["id"],
/// )
/// .parameters(["1000"]);
/// # }
/// ```
pub struct PostgresReader<T> {
    database: Database,
    query: String,
    keys: Vec<String>,
    parameters: Vec<Box<dyn ToSql + Sync + Send>>,
    way: Way,
    connection: Option<Apart>,
    source: Option<Arc<Source>>,
    rows: Rows,
    /// Key of the last item that was returned.
    returned: Option<Key>,
    items: PhantomData<fn() -> T>,
}

/// The way in which rows are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Pages(u32),
    Cursor(u32),
    Copy,
}

/// The source of the next rows.
enum Rows {
    /// Nothing is under way: the query begins behind the last key.
    None,
    /// Rows that were fetched; `last` when there are no more behind them.
    Fetched { rows: std::vec::IntoIter<Row>, last: bool },
    /// A COPY that is under way.
    Copied { stream: Pin<Box<CopyOutStream>>, begun: bool },
    /// The end.
    Ended,
}

impl<T> PostgresReader<T> {
    /// Reads the rows of `query` on the repository's own database, ordered by the columns `keys`.
    pub fn new<K: Into<String>>(
        context: &StepContext,
        query: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        Self::build(Database::of(context), query.into(), keys)
    }

    /// As [`new`](Self::new), on another database.
    pub fn from<K: Into<String>>(
        database: &PostgresSettings,
        query: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        Self::build(Database::Other(Box::new(database.clone())), query.into(), keys)
    }

    fn build<K: Into<String>>(database: Database, query: String, keys: impl IntoIterator<Item = K>) -> Self {
        Self {
            database,
            query,
            keys: keys.into_iter().map(Into::into).collect(),
            parameters: Vec::new(),
            way: Way::Pages(DEFAULT_PAGE_SIZE),
            connection: None,
            source: None,
            rows: Rows::None,
            returned: None,
            items: PhantomData,
        }
    }

    /// The values of the query's parameters `$1`, `$2` …. A cast in the query says what type they have: `$1::int8`.
    #[must_use]
    pub fn parameters<V: ToSql + Sync + Send + 'static>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.parameters = values.into_iter().map(|value| Box::new(value) as _).collect();
        self
    }

    /// Reads page by page, so many rows at once, at least 1; 1,000 when nothing is set.
    #[must_use]
    pub fn pages(mut self, rows: u32) -> Self {
        self.way = Way::Pages(rows.max(1));
        self
    }

    /// Reads through a server-side cursor, so many rows at once, at least 1.
    #[must_use]
    pub fn cursor(mut self, rows: u32) -> Self {
        self.way = Way::Cursor(rows.max(1));
        self
    }

    /// Reads by `COPY (query) TO STDOUT`. The query can have no parameters then.
    #[must_use]
    pub fn copy(mut self) -> Self {
        self.way = Way::Copy;
        self
    }
}

/// The position of a row, as it is shown.
#[derive(Debug)]
struct KeyPosition {
    source: Arc<Source>,
    key: Key,
}

impl fmt::Display for KeyPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row with key ({})", shown(&self.source, &self.key))
    }
}

impl<T: DeserializeOwned + Send> ItemReader for PostgresReader<T> {
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        if self.way == Way::Copy && !self.parameters.is_empty() {
            return Err(ItemError::other("COPY takes no parameters; read the query by pages or through a cursor"));
        }
        self.ready().await?;
        let saved: Option<SavedKey> = checkpoint.map(Checkpoint::read).transpose()?.flatten();
        let source = source(self.source.as_deref())?;
        self.returned = saved.map(|saved| source.restored(&saved)).transpose()?;
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        let read = self.next().await;
        if read.as_ref().is_err_and(|error| error.kind() == ErrorKind::Transient) {
            // The next attempt begins behind the last key, on a new connection where this one is gone.
            self.rows = Rows::None;
        }
        read
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        let saved: SavedKey = checkpoint.read::<Option<_>>().ok()??;
        Some(Origin::behind_key(saved.key()))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let source = source(self.source.as_deref())?;
        let saved = self.returned.as_ref().map(|key| source.saved(key)).transpose()?;
        Checkpoint::new(&saved).map(Some)
    }

    fn origin(&self) -> Option<Origin> {
        let (source, key) = (Arc::clone(self.source.as_ref()?), self.returned.clone()?);
        Some(Origin::at(Position::shown(KeyPosition { source, key })))
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.rows = Rows::Ended;
        self.connection = None;
        Ok(())
    }
}

impl<T> fmt::Debug for PostgresReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresReader").field("query", &self.query).field("keys", &self.keys).finish_non_exhaustive()
    }
}
