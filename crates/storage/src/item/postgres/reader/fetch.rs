//! The ways in which a reader fetches its rows: by pages, through a cursor, by COPY.

use std::sync::Arc;

use futures_util::StreamExt;
use oxbatch_core::item::ItemError;
use serde::de::DeserializeOwned;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::rows::{COPY_HEADER, Tuple};
use super::{PostgresReader, Rows, Way};
use crate::item::postgres::apart::Apart;
use crate::item::postgres::decode::{OutputColumn, Wire, decode};
use crate::item::postgres::error::item_error;
use crate::item::postgres::send::Raw;
use crate::item::postgres::source::{Key, Source, setting};

impl<T> PostgresReader<T> {
    /// The connection and the query's columns, found out when they are not known.
    pub(super) async fn ready(&mut self) -> Result<(), ItemError> {
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
        self.source = Some(Arc::new(source));
        Ok(())
    }

    /// Fetches rows, or begins the COPY.
    async fn fetch(&mut self) -> Result<(), ItemError> {
        self.ready().await?;
        let client = client(self.connection.as_ref())?;
        let source = source(self.source.as_deref())?;
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

impl<T: DeserializeOwned> PostgresReader<T> {
    /// The item of a row, which is the last one that was returned from now on.
    fn item(&mut self, row: &impl Wire) -> Result<T, ItemError> {
        let source = source(self.source.as_deref())?;
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

    pub(super) async fn next(&mut self) -> Result<Option<T>, ItemError> {
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
                    let columns = source(self.source.as_deref())?.columns.len();
                    if let Some(tuple) = Tuple::of(message, columns) {
                        return self.item(&tuple?).map(Some);
                    }
                }
            }
        }
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

pub(super) fn source(source: Option<&Source>) -> Result<&Source, ItemError> {
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

pub(super) fn shown(source: &Source, key: &Key) -> String {
    source.texts(key).map_or_else(|_| "?".to_owned(), |texts| texts.join(", "))
}

fn not_unique(source: &Source, key: &Key) -> ItemError {
    ItemError::validation(format!("the key ({}) is not unique: two rows have it", shown(source, key)))
}
