//! The databases of rows: the repository's own, or another one.

use oxbatch_core::StepContext;
use oxbatch_core::item::ItemError;
use oxbatch_core::repository::RepositoryError;
use tokio_postgres::Client;

use super::error::item_error;
use crate::postgres::{PostgresRepository, PostgresSettings};

/// A database of PostgreSQL.
#[derive(Debug, Clone)]
pub(super) enum Database {
    /// The one in which the repository keeps its executions; none when it is another kind.
    Repository(Option<PostgresRepository>),
    /// Another one.
    Other(Box<PostgresSettings>),
}

impl Database {
    /// The repository's own database.
    pub(super) fn of(context: &StepContext) -> Self {
        Self::Repository(PostgresRepository::of(context.repository().as_ref()).cloned())
    }

    /// A connection of the caller's own. It lives on the caller's runtime and ends with its drop.
    ///
    /// # Errors
    /// When the server cannot be reached, or the service keeps its executions elsewhere.
    pub(super) async fn connect(&self, what: &str) -> Result<Client, ItemError> {
        let connected = match self {
            Self::Repository(Some(repository)) => repository.connect().await,
            Self::Other(settings) => settings.connect().await,
            Self::Repository(None) => {
                return Err(ItemError::other(format!(
                    "the step {what} the PostgreSQL repository, but the service keeps its executions in another one; \
                     name the database"
                )));
            }
        };
        connected.map_err(RepositoryError::into_item_error)
    }
}

/// Rows that the repository counts must not be forgotten by their own server, whatever its default is.
const WAITS_FOR_DISK: &str = "SELECT set_config('synchronous_commit', 'on', false)
     WHERE current_setting('synchronous_commit') = 'off'";

/// The connection of a writer to a database that is not the repository's, with a transaction for each chunk.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) database: Database,
    client: Option<Client>,
    in_transaction: bool,
}

impl Remote {
    pub(super) fn new(settings: PostgresSettings) -> Self {
        Self { database: Database::Other(Box::new(settings)), client: None, in_transaction: false }
    }

    /// The connection, outside of a transaction as long as none has begun. The answer says whether it is a new one.
    pub(super) async fn connected(&mut self) -> Result<(&Client, bool), ItemError> {
        let usable = self.client.as_ref().is_some_and(|client| !client.is_closed());
        if !usable {
            self.in_transaction = false;
            let client = self.database.connect("writes to").await?;
            client
                .batch_execute(WAITS_FOR_DISK)
                .await
                .map_err(|error| item_error("prepare the target's session", error))?;
            self.client = Some(client);
        }
        match &self.client {
            Some(client) => Ok((client, !usable)),
            None => Err(ItemError::transient("the connection is closed")),
        }
    }

    /// The connection inside of the chunk's transaction.
    pub(super) async fn begun(&mut self) -> Result<&Client, ItemError> {
        if !self.in_transaction {
            let (client, _) = self.connected().await?;
            client.batch_execute("BEGIN").await.map_err(|error| item_error("begin a chunk", error))?;
            self.in_transaction = true;
        }
        self.client.as_ref().ok_or_else(|| ItemError::transient("the connection is closed"))
    }

    /// The connection of a transaction that has begun.
    pub(super) fn in_transaction(&self) -> Option<&Client> {
        self.client.as_ref().filter(|_| self.in_transaction)
    }

    /// Commits, and waits for the target's disk.
    pub(super) async fn commit(&mut self) -> Result<(), ItemError> {
        let Some(client) = self.client.as_ref().filter(|_| self.in_transaction) else { return Ok(()) };
        let committed = client.batch_execute("COMMIT").await;
        self.in_transaction = false;
        committed.map_err(|error| {
            self.client = None;
            item_error("commit to the target", error)
        })
    }

    /// Undoes what has begun; a connection on which that fails is closed, which undoes it too.
    pub(super) async fn roll_back(&mut self) {
        if !std::mem::take(&mut self.in_transaction) {
            return;
        }
        if let Some(client) = &self.client
            && client.batch_execute("ROLLBACK").await.is_err()
        {
            self.client = None;
        }
    }

    pub(super) fn close(&mut self) {
        self.client = None;
        self.in_transaction = false;
    }
}
