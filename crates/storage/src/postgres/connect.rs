//! New connections: on which runtime they live, what is set on them, and one clear sentence when there is none.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Connect;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oxbatch_core::repository::{Lease, RepositoryError};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Said, ServerError, StoreError};
use super::pool::Patience;
use super::settings::PostgresSettings;
use super::sql::chunk_session;
use super::tls;

/// The settings that every connection of the repository relies on, whatever the role or the database has set. That it
/// may only read is obeyed, and refused at the start of whatever has to write.
const FOR_ALL: &str = "SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off; \
     SET client_min_messages = warning";
/// Metadata: commits that wait for the disk, even where the server's own default does not; nobody waits for ever. The
/// compiler of expressions takes longer than any statement of the repository.
const FOR_METADATA: &str = "SELECT set_config('synchronous_commit', 'on', false)
     WHERE current_setting('synchronous_commit') = 'off';
     SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'; SET jit = off";
/// Chunks: they become durable with the end of their step, and may take as long as their writer does.
const FOR_CHUNKS: &str = "SET synchronous_commit = off; SET idle_in_transaction_session_timeout = 0";

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Metadata,
    /// The chunks of a step, under this lease.
    Chunks(Lease),
    /// An author's: nothing is set but what all have.
    Own,
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    settings: Arc<PostgresSettings>,
    tls: MakeRustlsConnect,
}

impl Connector {
    pub(super) fn new(settings: Arc<PostgresSettings>) -> Result<Self, RepositoryError> {
        let tls = tls::connector(&settings.tls)?;
        Ok(Self { settings, tls })
    }

    pub(super) fn settings(&self) -> &PostgresSettings {
        &self.settings
    }

    /// The time that a connection may take in all.
    pub(super) fn timeout(&self) -> Duration {
        self.settings.config.get_connect_timeout().copied().unwrap_or(super::settings::DEFAULT_CONNECT_TIMEOUT)
    }

    /// A connection that lives on the runtime of the caller.
    pub(super) async fn connect(&self, purpose: Purpose) -> Result<(Client, JoinHandle<()>), StoreError> {
        let connected = tokio::time::timeout(self.timeout(), self.open(purpose)).await;
        Ok(connected.map_err(|_| ServerError::NoAnswer)??)
    }

    /// The same, but a server that has no connection left, or is about to begin, is waited for.
    pub(super) async fn connect_patiently(&self, purpose: Purpose) -> Result<(Client, JoinHandle<()>), StoreError> {
        let mut patience = Patience::until(Instant::now() + self.settings.retry_time);
        loop {
            match self.connect(purpose).await {
                Err(error) if error.is_refusal() && patience.wait(&error).await => {}
                connected => return connected,
            }
        }
    }

    async fn open(&self, purpose: Purpose) -> Result<(Client, JoinHandle<()>), Error> {
        let (client, connection) = self.settings.config.connect(self.tls.clone()).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection to the database has ended");
            }
        });
        let special = match purpose {
            Purpose::Metadata => FOR_METADATA.to_owned(),
            Purpose::Chunks(lease) => format!("{FOR_CHUNKS}; {}", chunk_name(lease)),
            Purpose::Own => String::new(),
        };
        let noticing = self.noticing(purpose);
        client.batch_execute(&format!("{FOR_ALL}; {noticing}; {special}")).await?;
        Ok((client, task))
    }
}

impl Connector {
    /// Lets the server notice as soon as the client does that the other side is gone without a word: what a session has
    /// begun holds its locks until then. On a socket of the machine it counts for nothing.
    fn noticing(&self, purpose: Purpose) -> String {
        let config = &self.settings.config;
        let idle = config.get_keepalives_idle().as_secs();
        let interval = config.get_keepalives_interval().map_or(0, |interval| interval.as_secs());
        let count = config.get_keepalives_retries().unwrap_or(0);
        let keepalives = format!(
            "SET tcp_keepalives_idle = {idle}; SET tcp_keepalives_interval = {interval}; \
             SET tcp_keepalives_count = {count}"
        );
        match config.get_tcp_user_timeout() {
            // Rows of an author's own query may lie unread for longer than that.
            Some(unheard) if purpose != Purpose::Own => {
                format!("{keepalives}; SET tcp_user_timeout = {}", unheard.as_millis())
            }
            _ => keepalives,
        }
    }
}

/// Names the session after its lease, so that recovery finds it.
fn chunk_name(lease: Lease) -> String {
    let (execution_id, epoch) = (lease.execution_id(), lease.epoch);
    let values = format!("SELECT {execution_id}::bigint AS execution, {epoch}::bigint AS epoch");
    format!("SELECT set_config('application_name', {}, false) FROM ({values}) AS lease", chunk_session!())
}

/// A connection that hears notifications: whoever polls it drives it.
pub(super) struct Listening {
    client: Client,
    pub(super) connection: Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>,
}

impl Connector {
    /// A connection that hears a channel, whose name needs no quotes.
    pub(super) async fn listen(&self, channel: &'static str) -> Result<Listening, StoreError> {
        let opened = async {
            let (client, connection) = self.settings.config.connect(self.tls.clone()).await?;
            let mut listening = Listening { client, connection };
            let noticing = self.noticing(Purpose::Metadata);
            listening.run(&format!("{FOR_ALL}; {noticing}; LISTEN {channel}"), |_| {}).await?;
            Ok(listening)
        };
        tokio::time::timeout(self.timeout(), opened).await.map_err(|_| ServerError::NoAnswer)?
    }
}

impl Listening {
    /// Asks whether the server is still there; what is heard meanwhile is passed on.
    pub(super) async fn ask(&mut self, at_most: Duration, on_message: impl FnMut(&str)) -> Result<(), StoreError> {
        tokio::time::timeout(at_most, self.run("", on_message)).await.map_err(|_| ServerError::NoAnswer)?
    }

    async fn run(&mut self, statements: &str, mut on_message: impl FnMut(&str)) -> Result<(), StoreError> {
        let mut answer = pin!(self.client.batch_execute(statements));
        loop {
            tokio::select! {
                biased;
                message = poll_fn(|context| self.connection.poll_message(context)) => match message {
                    Some(Ok(AsyncMessage::Notification(message))) => on_message(message.payload()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(ServerError::NoAnswer.into()),
                },
                answered = &mut answer => return Ok(answered?),
            }
        }
    }
}

impl PostgresSettings {
    /// A connection of one's own to the database, for work that is no repository's. It lives on the runtime of the
    /// caller and ends when it is dropped.
    ///
    /// # Errors
    /// [`RepositoryError::Unusable`] with one sentence.
    pub async fn connect(&self) -> Result<Client, RepositoryError> {
        let connector = Connector::new(Arc::new(self.clone()))?;
        let connected = connector.connect_patiently(Purpose::Own).await;
        connected.map(|(client, _)| client).map_err(|error| unusable(self, error))
    }
}

/// Makes the connections of the pool. They live on the runtime on which the repository was opened, whoever asks for
/// one: a step's runtime ends with its step.
pub(super) struct OnRuntime {
    pub(super) connector: Connector,
    pub(super) runtime: Handle,
}

impl Connect for OnRuntime {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        async move {
            let mut connecting = Box::pin(self.connector.open(Purpose::Metadata));
            poll_fn(|context| {
                let _entered = self.runtime.enter();
                connecting.as_mut().poll_unpin(context)
            })
            .await
        }
        .boxed()
    }
}

/// The sentence for a database that cannot be used at all.
pub(super) fn unusable(settings: &PostgresSettings, error: StoreError) -> RepositoryError {
    let address = settings.address();
    let user = settings.user().unwrap_or("the system's user");
    let error = match error {
        StoreError::Database(ServerError::Sql(error)) => error,
        StoreError::Database(ServerError::NoAnswer) => {
            return unusable_for(format!("the PostgreSQL server at {address} does not answer"), None);
        }
        error => return error.into_repository("open the database"),
    };
    let problem = match error.code() {
        Some(code) if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code) => {
            let missing = if settings.has_password() { "" } else { "; no password was given" };
            format!("the PostgreSQL server at {address} does not let '{user}' in{missing}")
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
            format!(
                "the database of {address} does not exist; create it with: createdb {}",
                settings.database().unwrap_or(user)
            )
        }
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
            format!("the PostgreSQL server at {address} has no connection left")
        }
        Some(code) if *code == SqlState::CANNOT_CONNECT_NOW => {
            format!("the PostgreSQL server at {address} is starting or stopping; try again in a moment")
        }
        Some(_) => format!("the PostgreSQL database {address} cannot be used"),
        None => match error.to_string().as_str() {
            "error connecting to server" => format!("no PostgreSQL server can be reached at {address}"),
            text if text.contains("TLS") => format!("no encrypted connection to {address} can be made"),
            text if text.contains("configuration") && !settings.has_password() => {
                format!(
                    "the PostgreSQL server at {address} wants a password of '{user}': set database.password_file, \
                     PGPASSWORD or a line in the password file"
                )
            }
            _ => format!("the PostgreSQL database {address} cannot be used"),
        },
    };
    match error.as_db_error() {
        Some(said) => unusable_for(problem, Some(Box::new(Said::of(said)))),
        None => unusable_for(problem, Some(Box::new(error))),
    }
}

fn unusable_for(problem: String, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> RepositoryError {
    RepositoryError::Unusable { problem, source }
}
