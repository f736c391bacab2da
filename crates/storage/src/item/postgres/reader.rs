//! `PostgresReader`: the rows of a query on PostgreSQL as any serde type, resumed behind the last key.

use std::marker::PhantomData;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::StreamExt;
use oxbatch_core::StepContext;
use oxbatch_core::item::{Checkpoint, ErrorKind, ItemError, ItemReader};
use serde::de::DeserializeOwned;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, CopyOutStream, Row};

use super::apart::Apart;
use super::database::Database;
use super::decode::{OutputColumn, Wire, decode, take_value};
use super::error::item_error;
use super::send::Raw;
use super::source::{Key, SavedKey, Source, setting};
use crate::postgres::PostgresSettings;

/// Rows that are fetched at once. [`PostgresReader::pages`]
const DEFAULT_PAGE_SIZE: u32 = 1_000;

/// Signature, flags, length of the extension.
const COPY_HEADER: usize = 19;

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
    source: Option<Source>,
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

    /// The connection and the query's columns, found out when they are not known.
    async fn ready(&mut self) -> Result<(), ItemError> {
        if self.connection.as_ref().is_none_or(|connection| connection.client.is_closed()) {
            self.rows = Rows::None;
            self.connection = Some(Apart::connect(&self.database).await?);
        }
        if self.source.is_some() {
            return Ok(());
        }
        let client = client(self.connection.as_ref())?;
        let source = Source::look_up(client, &self.query, &self.keys).await?;
        let values: Vec<&(dyn ToSql + Sync)> = self.parameters.iter().map(|value| value.as_ref() as _).collect();
        let row = client.query_one(&source.without_key(), &values).await.map_err(failed)?;
        if row.get(0) {
            let keys = self.keys.join(", ");
            return Err(ItemError::validation(format!(
                "the query has rows whose key ({keys}) is NULL: they could not be read; leave them out, or choose another key"
            )));
        }
        if let Some(sql) = source.loose_collations()
            && let Some(row) = client.query_opt(&sql, &values).await.map_err(failed)?
        {
            let (number, collation): (i32, String) = (row.get(0), row.get(1));
            return Err(source.loosely_collated(usize::try_from(number).unwrap_or_default(), &collation));
        }
        self.source = Some(source);
        Ok(())
    }

    /// Fetches rows, or begins the COPY.
    async fn fetch(&mut self) -> Result<(), ItemError> {
        self.ready().await?;
        let client = client(self.connection.as_ref())?;
        let source = source(self.source.as_ref())?;
        let key: Vec<Raw> = self.returned.iter().flatten().map(|value| Raw::from(value.as_slice())).collect();
        let mut values: Vec<&(dyn ToSql + Sync)> = self.parameters.iter().map(|value| value.as_ref() as _).collect();
        values.extend(key.iter().map(|value| value as &(dyn ToSql + Sync)));
        let behind = self.returned.as_ref().map(|_| source.placeholders(self.parameters.len()));
        match self.way {
            Way::Pages(size) => {
                // One row more than the page: whether its key is that of the last one would not be seen otherwise.
                let limit = i64::from(size) + 1;
                let sql = format!("{} LIMIT ${}::int8", source.ordered(behind), values.len() + 1);
                values.push(&limit);
                let mut rows = client.query(&sql, &values).await.map_err(failed)?;
                let last = rows.len() <= size as usize;
                if !last
                    && let Some(next) = rows.pop()
                    && let Some(end) = rows.last()
                    && let key = key_of(source, &next)?
                    && source.same(&key, &key_of(source, end)?)
                {
                    return Err(not_unique(source, &key));
                }
                self.rows = Rows::Fetched { rows: rows.into_iter(), last };
            }
            Way::Cursor(size) => {
                if matches!(self.rows, Rows::None) {
                    // What a lost fetch has left open is undone; outside of a transaction that says nothing.
                    client.batch_execute("ROLLBACK; BEGIN READ ONLY").await.map_err(failed)?;
                    let sql = format!("DECLARE oxbatch_rows NO SCROLL CURSOR FOR {}", source.ordered(behind));
                    client.execute(&sql, &values).await.map_err(failed)?;
                }
                let sql = format!("FETCH FORWARD {size} FROM oxbatch_rows");
                let rows = client.query(&sql, &[]).await.map_err(failed)?;
                let last = rows.len() < size as usize;
                if last {
                    client.batch_execute("COMMIT").await.map_err(failed)?;
                }
                self.rows = Rows::Fetched { rows: rows.into_iter(), last };
            }
            Way::Copy => {
                let behind = match &self.returned {
                    Some(key) => {
                        for (number, text) in source.settings_texts(key)?.iter().enumerate() {
                            let name = setting(number);
                            let values: [&(dyn ToSql + Sync); 2] = [&name, text];
                            client.execute("SELECT set_config($1, $2, false)", &values).await.map_err(failed)?;
                        }
                        Some(source.settings())
                    }
                    None => None,
                };
                let sql = format!("COPY ({}) TO STDOUT (FORMAT binary)", source.ordered(behind));
                let stream = client.copy_out(&sql).await.map_err(failed)?;
                self.rows = Rows::Copied { stream: Box::pin(stream), begun: false };
            }
        }
        Ok(())
    }
}

fn failed(error: tokio_postgres::Error) -> ItemError {
    item_error("read the rows of the query", error)
}

fn closed() -> ItemError {
    ItemError::other("the reader is not open")
}

fn client(connection: Option<&Apart>) -> Result<&Client, ItemError> {
    connection.map(|connection| &connection.client).ok_or_else(closed)
}

fn source(source: Option<&Source>) -> Result<&Source, ItemError> {
    source.ok_or_else(closed)
}

fn key_of(source: &Source, row: &impl Wire) -> Result<Key, ItemError> {
    let value = |index: &usize| {
        let column: &OutputColumn = &source.columns[*index];
        let value = row.value(*index).map(<[u8]>::to_vec);
        value.ok_or_else(|| ItemError::validation(format!("the key column '{}' is NULL", column.name)))
    };
    source.keys.iter().map(value).collect()
}

fn shown(source: &Source, key: &Key) -> String {
    source.texts(key).map_or_else(|_| "?".to_owned(), |texts| texts.join(", "))
}

fn not_unique(source: &Source, key: &Key) -> ItemError {
    ItemError::validation(format!("the key ({}) is not unique: two rows have it", shown(source, key)))
}

/// The bytes of a column, whatever its type.
struct RawColumn<'a>(&'a [u8]);

impl<'a> FromSql<'a> for RawColumn<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(bytes))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Wire for Row {
    #[inline]
    fn value(&self, number: usize) -> Option<&[u8]> {
        self.try_get::<_, Option<RawColumn<'_>>>(number).ok().flatten().map(|column| column.0)
    }
}

/// A row of a binary COPY.
struct Tuple {
    message: Bytes,
    /// Start and length of each value; none for NULL.
    values: Vec<Option<(usize, usize)>>,
}

impl Tuple {
    /// `None` for the trailer.
    fn of(message: Bytes, columns: usize) -> Option<Result<Self, ItemError>> {
        let damaged = || ItemError::other("the server has sent a damaged row");
        let (count, mut rest) = message.split_first_chunk::<2>()?;
        let count = i16::from_be_bytes(*count);
        if count < 0 {
            return None;
        }
        if usize::try_from(count) != Ok(columns) {
            return Some(Err(damaged()));
        }
        let mut values = Vec::with_capacity(columns);
        for _ in 0..columns {
            let Some(value) = take_value(&mut rest) else { return Some(Err(damaged())) };
            values.push(value.map(|value| (message.len() - rest.len() - value.len(), value.len())));
        }
        Some(Ok(Self { message, values }))
    }
}

impl Wire for Tuple {
    #[inline]
    fn value(&self, number: usize) -> Option<&[u8]> {
        let (start, length) = (*self.values.get(number)?)?;
        self.message.get(start..start + length)
    }
}

impl<T: DeserializeOwned> PostgresReader<T> {
    /// The item of a row, which is the last one that was returned from now on.
    fn item(&mut self, row: &impl Wire) -> Result<T, ItemError> {
        let source = source(self.source.as_ref())?;
        let key = key_of(source, row)?;
        if let Some(last) = &self.returned
            && source.same(last, &key)
        {
            return Err(not_unique(source, &key));
        }
        let item = decode(&source.columns, row)
            .map_err(|error| ItemError::parse(error).at(format!("row with key ({})", shown(source, &key))));
        self.returned = Some(key);
        item
    }

    async fn next(&mut self) -> Result<Option<T>, ItemError> {
        loop {
            match &mut self.rows {
                Rows::Ended => return Ok(None),
                Rows::None => self.fetch().await?,
                Rows::Fetched { rows, last } => match rows.next() {
                    Some(row) => return self.item(&row).map(Some),
                    None if *last => self.rows = Rows::Ended,
                    None => {
                        if matches!(self.way, Way::Pages(_)) {
                            self.rows = Rows::None;
                        }
                        self.fetch().await?;
                    }
                },
                Rows::Copied { stream, begun } => {
                    let mut message = match stream.next().await {
                        Some(message) => message.map_err(failed)?,
                        None => {
                            self.rows = Rows::Ended;
                            continue;
                        }
                    };
                    if !std::mem::replace(begun, true) {
                        message = message.slice(COPY_HEADER.min(message.len())..);
                    }
                    if message.is_empty() {
                        continue;
                    }
                    let columns = source(self.source.as_ref())?.columns.len();
                    if let Some(tuple) = Tuple::of(message, columns) {
                        return self.item(&tuple?).map(Some);
                    }
                }
            }
        }
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
        let source = source(self.source.as_ref())?;
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

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let source = source(self.source.as_ref())?;
        let saved = self.returned.as_ref().map(|key| source.saved(key)).transpose()?;
        Checkpoint::new(&saved).map(Some)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.rows = Rows::Ended;
        self.connection = None;
        Ok(())
    }
}

impl<T> std::fmt::Debug for PostgresReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresReader").field("query", &self.query).field("keys", &self.keys).finish_non_exhaustive()
    }
}
