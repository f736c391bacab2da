//! The repository on PostgreSQL: many nodes, one truth.

mod access;
mod bulk;
mod changes;
mod chunk;
mod claim;
mod connect;
mod context;
mod error;
mod finish;
mod flow;
mod launch;
mod launch_pauses;
mod logs;
mod migrate;
mod node;
mod notifications;
mod pool;
mod purge;
mod query;
mod recover;
mod repository;
mod rerun;
mod rows;
mod run_number;
mod saves;
mod session;
mod settings;
mod shared;
mod sql;
mod step;
mod surroundings;
mod tls;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oxbatch_core::repository::{JobRepository, RepositoryError};
use tokio_postgres::Client;

use crate::presence::{Absent, Presence};
use crate::upgrade::Upgrade;
pub(crate) use chunk::CopyStream;
pub use chunk::PostgresChunkTransaction;
use connect::{Connector, Purpose, unusable};
use notifications::Bulletin;
use pool::Connections;
use saves::Saves;
use session::Session;
pub use settings::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_CONNECTIONS, DEFAULT_RETRY_TIME, MIN_CONNECTIONS, PostgresSettings,
    PostgresSettingsError,
};

/// A job repository in a PostgreSQL database. Cheap to clone; all clones are one.
///
/// Its tables begin with `oxbatch_` and stand in the first schema of the user's search path. Many processes on many
/// machines may share it.
#[derive(Clone)]
pub struct PostgresRepository {
    store: Arc<Store>,
}

/// The state that the clones of a repository and its chunk transactions share.
struct Store {
    connections: Connections,
    presence: Arc<Presence>,
    bulletin: Bulletin,
    saves: Saves,
    /// Closed: the marks of its nodes are free.
    closed: AtomicBool,
}

impl PostgresRepository {
    /// Connects and brings the tables up to date; of several nodes that do so at once, one migrates and the others
    /// wait.
    ///
    /// The repository's own connections live on the runtime on which this is called.
    ///
    /// # Errors
    /// [`RepositoryError::Unusable`] with one sentence: no server, wrong password, no such database, no privilege, a
    /// standby, a server or a database that is too old or too new, or nodes of an older version that work on it.
    pub async fn open(settings: PostgresSettings) -> Result<Self, RepositoryError> {
        Self::open_with(settings, Upgrade::default()).await
    }

    /// As [`open`](Self::open), with a say in whether a migration waits for nodes of older versions.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(settings: PostgresSettings, upgrade: Upgrade) -> Result<Self, RepositoryError> {
        let settings = Arc::new(settings);
        let connections = Connections::new(Connector::new(Arc::clone(&settings))?)?;
        let mut session = connections.session().await.map_err(|error| unusable(&settings, error))?;
        surroundings::check(&connections, &session, &settings).await?;
        migrate::migrate(&mut session, &settings, upgrade).await?;
        Self::start(connections, session, &settings).await
    }

    /// Opens the database to read it: it takes no right to write, and what would write fails. One of an older version
    /// is brought up to date, where that is allowed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_for_reading(settings: PostgresSettings) -> Result<Self, RepositoryError> {
        let shared = Arc::new(settings.clone());
        let connections = Connections::new(Connector::new(Arc::clone(&shared))?)?;
        let session = connections.session().await.map_err(|error| unusable(&shared, error))?;
        if !migrate::is_current(&session).await.map_err(|error| unusable(&shared, error))? {
            return Self::open(settings).await;
        }
        Self::start(connections, session, &shared).await
    }

    async fn start(
        connections: Connections,
        session: Session,
        settings: &PostgresSettings,
    ) -> Result<Self, RepositoryError> {
        let identity = migrate::identity(&session).await.map_err(|error| unusable(settings, error))?;
        drop(session);
        // Nodes of one machine see each other's death by these marks; those of others by the lease.
        let marks = std::env::temp_dir().join(format!("oxbatch-{identity}"));
        let presence = Arc::new(Presence::new(marks, Absent::Unknown));
        let (bulletin, saves) = (Bulletin::new(), Saves::default());
        Ok(Self { store: Arc::new(Store { connections, presence, bulletin, saves, closed: AtomicBool::new(false) }) })
    }

    /// The repository behind a contract, when it is this one: for readers and writers that use its database.
    pub fn of(repository: &dyn JobRepository) -> Option<&Self> {
        repository.as_any().downcast_ref()
    }

    /// Returns whether executions are kept in a database already. It is not changed.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn is_kept_in(settings: PostgresSettings) -> Result<bool, RepositoryError> {
        let settings = Arc::new(settings);
        let connections = Connections::new(Connector::new(Arc::clone(&settings))?)?;
        let session = connections.session().await.map_err(|error| unusable(&settings, error))?;
        let applied = migrate::applied(&session).await.map_err(|error| unusable(&settings, error))?;
        Ok(applied > 0)
    }

    /// A connection of one's own, on the runtime of the caller, outside of every chunk's transaction: for readers, and
    /// for who listens to notifications. It ends when it is dropped, and is not counted among the repository's.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn connect(&self) -> Result<Client, RepositoryError> {
        let connected = self.store.connections.connector.connect_patiently(Purpose::Own).await;
        connected.map(|(client, _)| client).map_err(|error| error.into_repository("connect to the database"))
    }
}

impl std::fmt::Debug for PostgresRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresRepository").field("settings", self.store.connections.connector.settings()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use oxbatch_core::conformance::fixture::{LONG, admitted, launch_of, outcome, step_of, step_outcome};
    use oxbatch_core::execution::StatusEvent;
    use oxbatch_core::repository::{Executions, NewStep, Node, StepStart};
    use oxbatch_test_postgres::TestDatabase;

    use super::*;

    thread_local! {
        static STATEMENTS: Cell<u32> = const { Cell::new(0) };
    }

    /// Called for each statement that a session runs.
    pub(super) fn count_statement() {
        STATEMENTS.set(STATEMENTS.get() + 1);
    }

    /// The statements that this thread has run since the last call.
    fn statements() -> u32 {
        STATEMENTS.replace(0)
    }

    #[tokio::test]
    async fn a_launch_and_a_step_cost_as_many_statements_after_50_executions_as_after_one() {
        let database = TestDatabase::new();
        let settings = PostgresSettings::from_url(database.url()).unwrap();
        let repository = PostgresRepository::open(settings).await.unwrap();
        let request = admitted(launch_of(1), |admission| admission.claim = Some((Node::new("node"), LONG)));
        // What is reported to other nodes is sent next to the work, several at a time: a sum over ten hides its
        // moment.
        let mut costs = Vec::new();
        for _ in 0..6 {
            statements();
            for _ in 0..10 {
                let lease = repository.launch(request.clone()).await.unwrap().lease.unwrap();
                let again = NewStep { rerun_if_complete: true, ..step_of("Step") };
                let StepStart::Run(step) = repository.start_step(&lease, again).await.unwrap() else {
                    panic!("it runs")
                };
                repository.finish_step(&step.fence, step_outcome(StatusEvent::Complete)).await.unwrap();
                repository.finish_execution(&lease, outcome(StatusEvent::Fail, false)).await.unwrap();
            }
            costs.push(statements());
        }
        let (least, most) = (costs.iter().min().unwrap(), costs.iter().max().unwrap());
        assert!(most - least <= 15 && *most <= 160, "{costs:?}");
    }
}
