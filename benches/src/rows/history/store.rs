//! A repository with a history, and the engine that launches into it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::item::{FunctionWriter, IteratorReader};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::{JobRepository, Node};
use oxbatch_core::{ChunkStep, Engine, EngineConfig, Job, JobRegistry, Status};
use oxbatch_storage::tokio_postgres::Client;
use oxbatch_storage::{PostgresRepository, PostgresSettings, SqliteRepository};
use rusqlite::Connection;

use super::fill::{self, Dialect};
use crate::BoxError;

/// A filled repository.
pub(crate) struct Store {
    pub(super) engine: Engine,
    /// Executions when it was filled.
    pub(super) size: i64,
    /// When the newest of them was launched.
    newest: Timestamp,
}

impl Store {
    /// A file with so many executions.
    pub(crate) async fn sqlite(path: &Path, size: i64) -> Result<Self, BoxError> {
        let pattern = Self::launch_pattern(Arc::new(SqliteRepository::open(path)?)).await?;
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -500000; BEGIN IMMEDIATE",
        )?;
        for copy in fill::COPIES {
            let columns = fill::columns_query(Dialect::Sqlite, copy.table);
            let columns =
                connection.prepare(&columns)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
            connection.execute(&copy.statement(Dialect::Sqlite, &columns, size)?, [])?;
        }
        connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
        drop(connection);
        Self::filled(Arc::new(SqliteRepository::open(path)?), size, pattern).await
    }

    /// A database of the server with so many executions; one that is there is replaced.
    pub(crate) async fn postgres(url: &str, database: &str, size: i64) -> Result<Self, BoxError> {
        let settings = PostgresSettings::from_url(&Self::database_url(url, database)?)?;
        let server = PostgresSettings::from_url(url)?.connect().await?;
        server.batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await?;
        server.batch_execute(&format!("CREATE DATABASE {database}")).await?;
        let pattern = Self::launch_pattern(Arc::new(PostgresRepository::open(settings.clone()).await?)).await?;
        Self::fill_postgres(&settings.connect().await?, size).await?;
        Self::filled(Arc::new(PostgresRepository::open(settings).await?), size, pattern).await
    }

    /// Adds executions of one instance to a file that is filled.
    pub(crate) fn crowd_sqlite(path: &Path, size: i64) -> Result<(), BoxError> {
        let connection = Connection::open(path)?;
        let columns = fill::columns_query(Dialect::Sqlite, fill::CROWD.table);
        let columns = connection.prepare(&columns)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
        connection.execute(&fill::CROWD.statement(Dialect::Sqlite, &columns, size + 1)?, [])?;
        Ok(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    /// Adds executions of one instance to a database that is filled.
    pub(crate) async fn crowd_postgres(url: &str, database: &str, size: i64) -> Result<(), BoxError> {
        let client = PostgresSettings::from_url(&Self::database_url(url, database)?)?.connect().await?;
        let columns = client.query(&fill::columns_query(Dialect::Postgres, fill::CROWD.table), &[]).await?;
        let columns: Vec<String> = columns.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        client.batch_execute(&fill::CROWD.statement(Dialect::Postgres, &columns, size + 1)?).await?;
        Ok(client.batch_execute("VACUUM ANALYZE").await?)
    }

    /// The URL of another database of the server.
    pub(crate) fn database_url(url: &str, database: &str) -> Result<String, BoxError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (base, _) = base.rsplit_once('/').ok_or("the URL of the server names no database")?;
        Ok(format!("{base}/{database}?{query}"))
    }

    async fn fill_postgres(client: &Client, size: i64) -> Result<(), BoxError> {
        // Without the checks of references, which the copies keep by themselves.
        client.batch_execute("SET session_replication_role = replica").await?;
        for copy in fill::COPIES {
            let columns = client.query(&fill::columns_query(Dialect::Postgres, copy.table), &[]).await?;
            let columns: Vec<String> = columns.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            client.batch_execute(&copy.statement(Dialect::Postgres, &columns, size)?).await?;
            let sequence =
                format!("SELECT setval(pg_get_serial_sequence('{0}', 'id'), (SELECT max(id) FROM {0}))", copy.table);
            client.batch_execute(&sequence).await?;
        }
        // What the server does by itself a minute later.
        Ok(client.batch_execute("VACUUM ANALYZE").await?)
    }

    /// The execution from which the others are copied: the first one of an empty repository.
    async fn launch_pattern(repository: Arc<dyn JobRepository>) -> Result<Timestamp, BoxError> {
        let mut store = Self { engine: engine(repository).await?, size: 0, newest: Timestamp::UNIX_EPOCH };
        store.launch(0).await?;
        let pattern = store.engine.execution(ExecutionId(fill::PATTERN)).await?;
        store.newest = pattern.create_time;
        store.close().await?;
        Ok(pattern.create_time)
    }

    async fn filled(repository: Arc<dyn JobRepository>, size: i64, newest: Timestamp) -> Result<Self, BoxError> {
        Ok(Self { engine: engine(repository).await?, size, newest })
    }

    /// Launches a new instance and waits for its recorded end. The first of a repository is number 0.
    pub(super) async fn launch(&self, turn: i64) -> Result<(), BoxError> {
        let given = GivenParameters::default().with("number", fill::NUMBER - turn).with("region", "north");
        let options = LaunchOptions::default();
        let launched = self.engine.launch_here(&fill::job_name(turn), given, options).await?;
        let execution = self.engine.wait(launched.execution.id, Duration::from_secs(600)).await?;
        match execution.status {
            Status::Completed => Ok(()),
            status => Err(format!("{status}: {}", execution.exit_message.unwrap_or_default()).into()),
        }
    }

    /// An execution of the middle half of the history, another one for each turn.
    pub(super) const fn spread(&self, turn: i64) -> i64 {
        let half = self.size / 2;
        self.size / 4 + (turn * 7_919) % half
    }

    /// When the execution of this number was launched.
    pub(super) fn time(&self, number: i64) -> Result<Timestamp, BoxError> {
        Ok(self.newest.checked_sub(SignedDuration::from_secs(self.size - number))?)
    }

    pub(crate) async fn close(self) -> Result<(), BoxError> {
        self.engine.shutdown().await;
        Ok(self.engine.repository().close().await?)
    }
}

async fn engine(repository: Arc<dyn JobRepository>) -> Result<Engine, BoxError> {
    let mut config = EngineConfig::new(Node::new("bench"));
    config.take_work = false;
    let jobs = (0..fill::JOBS).map(job).collect::<Result<Vec<_>, _>>()?;
    Ok(Engine::start(JobRegistry::new(jobs)?, repository, config).await?)
}

fn job(number: i64) -> Result<Job, BoxError> {
    let step = |name| {
        ChunkStep::builder(name)
            .reader(|_| Ok(IteratorReader::new(0..10_u64)))
            .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))))
            .chunk_size(10)
    };
    Ok(Job::builder(fill::job_name(number)).step(step("Import")).step(step("Report")).build()?)
}
