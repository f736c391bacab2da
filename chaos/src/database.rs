//! Questions to the database behind the nodes' backs.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};

/// Time for which a restart of the server is waited out.
const PATIENCE: Duration = Duration::from_secs(30);

/// A caller that connects anew for each question, since the server is restarted all the time.
pub(crate) struct Database {
    runtime: Runtime,
    url: String,
}

impl Database {
    pub(crate) fn new(url: String) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { runtime: runtime.map_err(|error| error.to_string())?, url })
    }

    /// Asks once.
    pub(crate) fn try_query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, String> {
        let asked = self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
            let connection = tokio::spawn(connection);
            let rows = client.query(sql, values).await;
            drop(client);
            let _ = connection.await;
            rows
        });
        asked.map_err(|error| format!("{error:?}"))
    }

    /// Asks until the server answers.
    pub(crate) fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, String> {
        let start = Instant::now();
        loop {
            match self.try_query(sql, values) {
                Err(_) if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(100)),
                answer => return answer,
            }
        }
    }

    /// A number.
    pub(crate) fn number(&self, sql: &str) -> Result<i64, String> {
        let rows = self.query(sql, &[])?;
        rows.first().and_then(|row| row.try_get(0).ok()).ok_or_else(|| format!("no number: {sql}"))
    }

    /// All rows as text, for what a failure has to show.
    pub(crate) fn show(&self, sql: &str) -> String {
        let rows = self.query(&format!("SELECT row_to_json(it)::text FROM ({sql}) AS it"), &[]);
        match rows {
            Ok(rows) => rows.iter().filter_map(|row| row.try_get::<_, String>(0).ok()).collect::<Vec<_>>().join("\n"),
            Err(error) => error,
        }
    }

    pub(crate) fn execute(&self, statements: &str) -> Result<(), String> {
        let done = self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(statements).await
        });
        done.map_err(|error| error.to_string())
    }
}
