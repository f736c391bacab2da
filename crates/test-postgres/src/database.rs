//! A database of a test's own, removed when the test is over.

use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

use super::shared_server;

/// An empty database of the shared server.
#[derive(Debug)]
pub struct TestDatabase {
    /// Where it is removed again; nowhere for one that somebody else has made.
    server: Option<String>,
    name: String,
    url: String,
}

impl Default for TestDatabase {
    fn default() -> Self {
        Self::new()
    }
}

impl TestDatabase {
    /// Creates one on the server that all tests share.
    pub fn new() -> Self {
        Self::on(shared_server())
    }

    /// Creates one on a server, given by the URL of a database of it.
    ///
    /// # Panics
    /// When the server cannot be used.
    pub fn on(server: &str) -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        execute(server, format!("CREATE DATABASE {name}"));
        let (head, _) = server.rsplit_once('/').unwrap_or((server, ""));
        Self { server: Some(server.to_owned()), url: format!("{head}/{name}"), name }
    }

    /// A database that is there already, and stays.
    pub fn at(url: &str) -> Self {
        let name = url.rsplit_once('/').map_or(url, |(_, name)| name).to_owned();
        Self { server: None, name, url: url.to_owned() }
    }

    /// Its URL, password included.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements in it, from any thread, inside of a runtime or not.
    ///
    /// # Panics
    /// When one fails.
    pub fn execute(&self, statements: &str) {
        execute(&self.url, statements.to_owned());
    }

    /// The first column of the rows of a query, as text; `NULL` is empty.
    ///
    /// # Panics
    /// When it fails.
    pub fn query(&self, statement: &str) -> Vec<String> {
        let statement = statement.to_owned();
        with_client(&self.url, async move |client| {
            let messages = client.simple_query(&statement).await?;
            let rows = messages.iter().filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                _ => None,
            });
            Ok(rows.collect())
        })
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else { return };
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A server that a test has stopped keeps its databases: they go with it.
        let _ = std::panic::catch_unwind(|| execute(&server, statement));
    }
}

fn execute(url: &str, statements: String) {
    with_client(url, async move |client| client.batch_execute(&statements).await);
}

/// Works with a connection on a thread and a runtime of its own, so that it can be called from anywhere.
#[expect(clippy::panic, reason = "a test fails by panicking")]
fn with_client<T: Send + 'static>(
    url: &str,
    work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error> + Send + 'static,
) -> T {
    let url = url.to_owned();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let done: Result<T, Box<dyn std::error::Error + Send + Sync>> = runtime.block_on(async {
            let config: Config = url.parse()?;
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(work(&client).await?)
        });
        done
    });
    match thread.join() {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => panic!("the test's own statement failed: {error}: {:?}", error.source()),
        Err(payload) => std::panic::resume_unwind(payload),
    }
}
