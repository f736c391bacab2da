//! One COPY over several chunks, in the transaction that they share: through errors of the server, and its loss.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::item::{FunctionProcessor, ListReader};
use oxbatch_core::repository::Node;
use oxbatch_core::step::Backoff;
use oxbatch_core::{ChunkStep, Engine, EngineConfig, Job, JobRegistry, RetryPolicy, SkipPolicy, Status};
use oxbatch_storage::{PostgresRepository, PostgresSettings, PostgresWriter};
use oxbatch_test_postgres::{Cut, Proxy, TestDatabase};
use serde::{Deserialize, Serialize};

use crate::harness::{launch, steps};

const NEVER: Duration = Duration::from_secs(3600);
/// Items of a step, in chunks of forty: so many are written by COPY.
const ITEMS: i64 = 400;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    id: i64,
}

/// A table in which nothing keeps a row from being there twice.
fn database() -> TestDatabase {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE lines (id int8)");
    database
}

/// Rows, different rows, their sum, and the transactions that have written them.
fn stored(database: &TestDatabase) -> String {
    let sql = "SELECT concat_ws(' ', count(*), count(DISTINCT id), sum(id), count(DISTINCT xmin::text)) FROM lines";
    database.query(sql).remove(0)
}

/// A trigger that refuses a row, as often as a sequence says: no roll-back sets it back.
fn refuse(database: &TestDatabase, id: i64, times: i64, code: &str) {
    database.execute(&format!(
        "CREATE SEQUENCE refused;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.id = {id} AND nextval('refused') <= {times} THEN
                 RAISE 'not now' USING ERRCODE = '{code}';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
}

/// Copies lines in chunks of forty that are saved with the last of them; each of the lines named is met once by `meet`.
fn copying(meet: impl Fn(i64) + Send + Sync + 'static, met: impl IntoIterator<Item = i64>, retries: u32) -> Job {
    let (meet, left) = (Arc::new(meet), Arc::new(Mutex::new(met.into_iter().collect::<BTreeSet<_>>())));
    let step = ChunkStep::builder("Copy")
        .reader(|_| Ok(ListReader::new((1..=ITEMS).map(|id| Line { id }))))
        .processor(move |_| {
            let (meet, left) = (Arc::clone(&meet), Arc::clone(&left));
            Ok(FunctionProcessor::new(move |line: Line| {
                if left.lock().unwrap().remove(&line.id) {
                    meet(line.id);
                }
                Ok(Some(line))
            }))
        })
        .writer(|context| Ok(PostgresWriter::<Line>::new(context, "lines")))
        .chunk_size(40)
        .skip(SkipPolicy::new(1))
        .retry(RetryPolicy::new(retries).backoff(Backoff::Fixed(Duration::ZERO)))
        .commit_every(NEVER);
    Job::builder("Copy").step(step).build().unwrap()
}

async fn node(url: &str, job: Job) -> Engine {
    let repository = PostgresRepository::open(PostgresSettings::from_url(url).unwrap()).await.unwrap();
    let config = EngineConfig::new(Node::new("test"));
    Engine::start(JobRegistry::new([job]).unwrap(), Arc::new(repository), config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_that_are_saved_together_are_one_transaction() {
    let database = database();
    let engine = node(database.url(), copying(|_| {}, [], 0)).await;
    let execution = launch(&engine, "Copy").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(stored(&database), "400 400 80200 1");
    let step = steps(&engine, execution.id).await.remove(0);
    assert_eq!((step.counters.read, step.counters.commit, step.counters.rollback), (ITEMS, 10, 0));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_passes_is_repeated_by_the_policy_once_its_chunk_is_alone() {
    // Once: the chunks by themselves meet it no more. Twice: the chunk asks the policy.
    for (times, retries) in [(1, 0), (2, 1)] {
        for id in [1, 41, 220, ITEMS] {
            let database = database();
            refuse(&database, id, times, "40001");
            let engine = node(database.url(), copying(|_| {}, [], 3)).await;
            let execution = launch(&engine, "Copy").await;
            assert_eq!(execution.status, Status::Completed, "{id}: {execution:?}");
            let step = steps(&engine, execution.id).await.remove(0);
            // The first chunk of a step waits for its answer, and is no part of a span yet.
            let retries = if id <= 40 { times } else { retries };
            assert_eq!((step.counters.retry, step.counters.rollback), (retries, times), "{id} {times}");
            assert!(stored(&database).starts_with("400 400 80200 "), "{id}");
            engine.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_only_the_commit_refuses_costs_the_other_chunks_nothing() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE known (id int8 PRIMARY KEY);
         INSERT INTO known SELECT generate_series(1, 400) EXCEPT SELECT 222;
         CREATE TABLE lines (id int8 REFERENCES known DEFERRABLE INITIALLY DEFERRED)",
    );
    let engine = node(database.url(), copying(|_| {}, [], 0)).await;
    let execution = launch(&engine, "Copy").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let step = steps(&engine, execution.id).await.remove(0);
    assert_eq!((step.counters.write, step.counters.write_skip, step.counters.commit), (399, 1, 10));
    assert!(stored(&database).starts_with("399 399 79978 "), "{}", stored(&database));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_whose_connection_is_lost_are_written_again_and_once() {
    // The begin, what is on its way in the middle, and the last row of all.
    for id in [41, 215, ITEMS] {
        let database = database();
        let url = database.url().to_owned();
        let strike = move |_| {
            let url = url.clone();
            std::thread::spawn(move || {
                TestDatabase::at(&url).query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                )
            })
            .join()
            .unwrap();
        };
        let engine = node(database.url(), copying(strike, [id], 0)).await;
        let execution = launch(&engine, "Copy").await;
        assert_eq!(execution.status, Status::Completed, "{id}: {execution:?}");
        assert!(stored(&database).starts_with("400 400 80200 "), "{id}: {}", stored(&database));
        let step = steps(&engine, execution.id).await.remove(0);
        assert_eq!((step.counters.write, step.counters.commit, step.counters.retry), (ITEMS, 10, 0), "{id}");
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_whose_commit_is_not_answered_are_there_once() {
    for (cut, rollbacks) in [(Cut::Behind("COMMIT"), 0), (Cut::Before("COMMIT"), 1)] {
        // The commit of a poll may come first, which is lost and done again without a word.
        let mut counted = Vec::new();
        while counted.len() < 5 && counted.last() != Some(&rollbacks) {
            counted.push(rollbacks_after(cut).await);
        }
        assert_eq!(counted.last(), Some(&rollbacks), "{cut:?}: {counted:?}");
    }
}

/// Cuts a connection at the next commit, and counts what was rolled back; whatever was cut, all is there once.
async fn rollbacks_after(cut: Cut) -> i64 {
    let database = database();
    let proxy = Arc::new(Proxy::before(database.url()));
    let cutting = Arc::clone(&proxy);
    let job = copying(move |_| cutting.cut(cut), [390], 0);
    let engine = node(proxy.url(), job).await;
    let execution = launch(&engine, "Copy").await;
    assert_eq!(execution.status, Status::Completed, "{cut:?}: {execution:?}");
    assert!(proxy.has_cut());
    assert!(stored(&database).starts_with("400 400 80200 "), "{cut:?}: {}", stored(&database));
    let step = steps(&engine, execution.id).await.remove(0);
    let counters = step.counters;
    assert_eq!((counters.write, counters.commit, counters.retry), (ITEMS, 10, 0), "{cut:?}");
    engine.shutdown().await;
    counters.rollback
}
