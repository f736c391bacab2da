//! A connection of the pool in use: prepared statements, and a transaction that never outlives its user.

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, SimpleQueryMessage};

use super::error::{ServerError, StoreError};

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection of the pool. Dropped inside of a transaction it is closed, so that nobody gets it in that state.
pub(super) struct Session {
    connection: Option<Object>,
    in_transaction: bool,
}

/// By what the outcome of a transaction can be found out when the answer to its commit is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) transaction: String,
    pub(super) process: i32,
}

impl Session {
    pub(super) fn new(connection: Object) -> Self {
        Self { connection: Some(connection), in_transaction: false }
    }

    fn connection(&self) -> Result<&Object, StoreError> {
        self.connection.as_ref().ok_or(ServerError::NoAnswer.into())
    }

    pub(super) async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        #[cfg(test)]
        super::tests::count_statement();
        let connection = self.connection()?;
        let statement = connection.prepare_cached(sql).await?;
        Ok(connection.query(&statement, values).await?)
    }

    pub(super) async fn optional(&self, sql: &'static str, values: Values<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// A row that is there for certain.
    pub(super) async fn one(&self, sql: &'static str, values: Values<'_>) -> Result<Row, StoreError> {
        let row = self.optional(sql, values).await?;
        row.ok_or_else(|| {
            let source = "a row that must be there is missing".into();
            StoreError::Repository(oxbatch_core::repository::RepositoryError::Corrupt {
                what: "database".to_owned(),
                source,
            })
        })
    }

    pub(super) async fn execute(&self, sql: &'static str, values: Values<'_>) -> Result<u64, StoreError> {
        #[cfg(test)]
        super::tests::count_statement();
        let connection = self.connection()?;
        let statement = connection.prepare_cached(sql).await?;
        Ok(connection.execute(&statement, values).await?)
    }

    /// Runs a statement that is planned for its values each time: which index serves a list depends on them.
    pub(super) async fn list(
        &self,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), tokio_postgres::types::Type)],
    ) -> Result<Vec<Row>, StoreError> {
        Ok(self.connection()?.query_typed(sql, values).await?)
    }

    /// Runs statements without values.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.connection()?.batch_execute(sql).await?)
    }

    /// The one value of a statement, without preparing it.
    pub(super) async fn text(&self, sql: &str) -> Result<Option<String>, StoreError> {
        let messages = self.connection()?.simple_query(sql).await?;
        Ok(messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// From here on a drop closes the connection.
    pub(super) fn enter_transaction(&mut self) {
        self.in_transaction = true;
    }

    /// Begins a transaction and marks it. What is sent after it, without waiting, is inside.
    pub(super) async fn begin(&self) -> Result<Mark, StoreError> {
        let connection = self.connection()?;
        let mark = async {
            let sql = "SELECT pg_current_xact_id()::text, pg_backend_pid()";
            let statement = connection.prepare_cached(sql).await?;
            connection.query_one(&statement, &[]).await
        };
        let (begun, marked) = futures_util::future::join(connection.batch_execute("BEGIN"), mark).await;
        begun?;
        let marked = marked?;
        Ok(Mark { transaction: marked.try_get(0)?, process: marked.try_get(1)? })
    }

    /// Ends the transaction; the connection is as it was.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        self.batch("COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Undoes the transaction. A connection on which that fails is closed by its drop.
    pub(super) async fn roll_back(&mut self) {
        if self.batch("ROLLBACK").await.is_ok() {
            self.in_transaction = false;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.in_transaction
            && let Some(connection) = self.connection.take()
        {
            // Taken out of the pool and dropped: the server undoes what has begun.
            drop(Object::take(connection));
        }
    }
}
