//! The server goes away in the middle of a step and comes back: nothing is lost, doubled or left running.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::item::IteratorReader;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::{ChunkTransaction, JobRepository, Node};
use oxbatch_core::{ChunkStep, Engine, EngineConfig, ItemError, ItemWriter, Job, JobRegistry, Status};
use oxbatch_storage::{PostgresChunkTransaction, PostgresRepository, PostgresSettings};
use oxbatch_test_postgres::{TestDatabase, TestServer};

use crate::harness::{LONG, ended};

/// The event that strikes the server at some of the chunks.
type Strike = Arc<dyn Fn(u32) + Send + Sync>;

/// Writes numbers into a table by the chunk's own transaction; the strike comes between its rows and the commit.
struct Rows {
    chunks: Arc<AtomicU32>,
    strike: Strike,
}

impl ItemWriter<i64> for Rows {
    async fn write(&mut self, outputs: &[i64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let fault = |error: tokio_postgres::Error| ItemError::transient(error);
        let client = PostgresChunkTransaction::of(transaction)?.client().await.map_err(ItemError::transient)?;
        let sql = "INSERT INTO own (value) SELECT unnest($1::bigint[])";
        client.execute(sql, &[&outputs]).await.map_err(fault)?;
        (self.strike)(self.chunks.fetch_add(1, Ordering::SeqCst));
        Ok(())
    }
}

/// Copies 200 numbers in chunks of 10, without any policy of retries.
fn job(strike: Strike) -> Job {
    let chunks = Arc::new(AtomicU32::new(0));
    Job::builder("Outage")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(IteratorReader::new(0..200_i64)))
                .writer(move |_| Ok(Rows { chunks: Arc::clone(&chunks), strike: Arc::clone(&strike) }))
                .chunk_size(10),
        )
        .build()
        .unwrap()
}

async fn run(database: &TestDatabase, strike: Strike, retry_time: Duration) -> (Engine, oxbatch_core::JobExecution) {
    let settings = PostgresSettings::from_url(database.url()).unwrap().with_retry_time(retry_time);
    let repository = PostgresRepository::open(settings).await.unwrap();
    database.execute("CREATE TABLE IF NOT EXISTS own (value BIGINT)");
    let registry = JobRegistry::new([job(strike)]).unwrap();
    let config = EngineConfig::new(Node::new("test"));
    let engine = Engine::start(registry, Arc::new(repository), config).await.unwrap();
    let launched = engine.launch("Outage", GivenParameters::default(), LaunchOptions::default()).await.unwrap();
    let execution = ended(&engine, launched.execution.id).await;
    (engine, execution)
}

fn rows(database: &TestDatabase) -> (String, String) {
    let counted = database.query("SELECT count(*) || ' ' || count(DISTINCT value) FROM own").remove(0);
    let running = "SELECT count(*) FROM oxbatch_step_execution WHERE status IN ('STARTED', 'STOPPING')";
    (counted, database.query(running).remove(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_in_the_middle_of_a_step_costs_nothing() {
    let server = TestServer::start();
    let database = TestDatabase::on(server.url());
    let server = Mutex::new(server);
    let strike: Strike = Arc::new(move |chunk| {
        if [3, 9, 15].contains(&chunk) {
            ["stop", "start"].iter().for_each(|word| server.lock().unwrap().tell(word));
        }
    });
    let (engine, execution) = run(&database, Arc::clone(&strike), LONG).await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(rows(&database), ("200 200".to_owned(), "0".to_owned()));
    let steps = engine.repository().steps(execution.id).await.unwrap();
    let counters = steps[0].counters;
    assert_eq!((counters.read, counters.write, counters.commit, counters.rollback), (200, 200, 20, 3));
    engine.shutdown().await;
    drop(database);
}

/// Chunks do not wait for the disk: a crash of the server takes the last of them, while the step lives on behind them.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_loses_chunks_and_the_step_goes_on_from_what_was_kept() {
    let server = TestServer::start_with(&[("OXBATCH_POSTGRES_SETTINGS", "fsync=off wal_writer_delay=10s")]);
    let database = TestDatabase::on(server.url());
    let server = Mutex::new(server);
    let strike: Strike = Arc::new(move |chunk| {
        if [9, 25].contains(&chunk) {
            ["crash", "start"].iter().for_each(|word| server.lock().unwrap().tell(word));
        }
    });
    let (engine, execution) = run(&database, strike, LONG).await;
    assert_eq!(execution.status, Status::Failed, "{execution:?}");
    let message = execution.exit_message.unwrap();
    assert!(message.contains("lost the last chunks"), "{message}");
    // What the ended attempt counts is what is there of it.
    let kept = rows(&database).0;
    let counted = engine.repository().steps(execution.id).await.unwrap()[0].counters.write;
    assert_eq!(kept, format!("{counted} {counted}"));
    let mut status = Status::Failed;
    while status == Status::Failed {
        let again = engine.launch("Outage", GivenParameters::default(), LaunchOptions::default()).await.unwrap();
        status = ended(&engine, again.execution.id).await.status;
    }
    assert_eq!((status, rows(&database)), (Status::Completed, ("200 200".to_owned(), "0".to_owned())));
    let written = database.query("SELECT sum(write_count) || ' ' || sum(read_count) FROM oxbatch_step_execution");
    assert_eq!(written, ["200 200"]);
    engine.shutdown().await;
    drop(database);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_an_operator_ends_are_opened_again() {
    let database = TestDatabase::new();
    let url = database.url().to_owned();
    let strike: Strike = Arc::new(move |chunk| {
        if chunk % 5 == 2 {
            let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()";
            TestDatabase::at(&url).execute(ended);
        }
    });
    let (engine, execution) = run(&database, strike, LONG).await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(rows(&database), ("200 200".to_owned(), "0".to_owned()));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_away_fails_the_step_which_a_restart_resumes() {
    let server = Arc::new(Mutex::new(TestServer::start()));
    let database = TestDatabase::on(server.lock().unwrap().url());
    let settings = PostgresSettings::from_url(database.url()).unwrap().with_retry_time(Duration::from_millis(200));
    let repository: Arc<dyn JobRepository> = Arc::new(PostgresRepository::open(settings).await.unwrap());
    database.execute("CREATE TABLE own (value BIGINT)");
    let striking = Arc::clone(&server);
    let strike: Strike = Arc::new(move |chunk| {
        if chunk == 5 {
            striking.lock().unwrap().tell("crash");
        }
    });
    let (trouble, troubled) = std::sync::mpsc::channel();
    let mut config = EngineConfig::new(Node::new("test"));
    config.consumers.push(Arc::new(Recording { trouble: Mutex::new(trouble) }));
    let engine = Engine::start(JobRegistry::new([job(strike)]).unwrap(), repository, config).await.unwrap();
    let launched = engine.launch("Outage", GivenParameters::default(), LaunchOptions::default()).await.unwrap();
    // The step has failed once the record of its end is tried.
    tokio::task::block_in_place(|| troubled.recv_timeout(LONG).unwrap());
    server.lock().unwrap().tell("start");
    let failed = ended(&engine, launched.execution.id).await;
    assert_eq!(failed.status, Status::Failed);
    let again = engine.launch("Outage", GivenParameters::default(), LaunchOptions::default()).await.unwrap();
    assert_eq!(ended(&engine, again.execution.id).await.status, Status::Completed);
    assert_eq!(rows(&database), ("200 200".to_owned(), "0".to_owned()));
    engine.shutdown().await;
    drop(database);
}

/// Tells when the end of a step cannot be recorded.
struct Recording {
    trouble: Mutex<std::sync::mpsc::Sender<()>>,
}

impl oxbatch_core::engine::EventConsumer for Recording {
    fn on_event(&self, event: &oxbatch_core::engine::Event<'_>) {
        if matches!(event, oxbatch_core::engine::Event::RepositoryTrouble { doing: "record the end of a step", .. }) {
            // Nobody may listen any more.
            let _ = self.trouble.lock().unwrap().send(());
        }
    }
}
