//! Tables that lack a column, a database that somebody else has locked, and what waits for the disk.

use std::sync::{Arc, Mutex};

use oxbatch_core::engine::{Event, EventConsumer};
use oxbatch_core::item::FunctionProcessor;
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::{ChunkStep, ItemError, ItemWriter, Job, Status};
use oxbatch_storage::rusqlite::Connection;
use oxbatch_storage::{SqliteChunkTransaction, SqliteWriter};
use serde::Serialize;

use crate::harness::{Numbers, Shared, TestStore, contents, launch, list};

#[derive(Serialize)]
struct Strike {
    id: u64,
    speed: f64,
}

const CREATE: &str = "CREATE TABLE IF NOT EXISTS strikes (id INTEGER, speed REAL) STRICT";

fn import(create: &'static str, on_read: impl Fn(u64) + Clone + Send + Sync + 'static) -> Job {
    let step = ChunkStep::builder("Import")
        .reader(move |_| {
            let on_read = on_read.clone();
            Ok(Numbers::new(50, move |n| -> Result<(), ItemError> {
                on_read(n);
                Ok(())
            }))
        })
        .processor(|_| Ok(FunctionProcessor::new(|id: u64| Ok(Some(Strike { id, speed: 0.5 })))))
        .writer(move |_| Ok(SqliteWriter::<Strike>::new("strikes").create(create)))
        .chunk_size(10);
    Job::builder("Import").step(step).build().unwrap()
}

fn open(place: &TestStore) -> Connection {
    Connection::open(place.path("oxbatch.db")).unwrap()
}

fn ids(place: &TestStore) -> Vec<i64> {
    let connection = open(place);
    let mut statement = connection.prepare("SELECT id FROM strikes ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_column_that_the_table_lacks_is_named_and_once_it_is_there_the_restart_goes_on() {
    let place = TestStore::new();
    let engine = place.node([import("CREATE TABLE IF NOT EXISTS strikes (id INTEGER) STRICT", |_| {})]).await;
    // Made by somebody else: what the step makes is rolled back with its chunk.
    open(&place).execute_batch("CREATE TABLE strikes (id INTEGER) STRICT").unwrap();
    let execution = launch(&engine, "Import").await;
    assert_eq!(execution.status, Status::Failed);
    let message = execution.exit_message.unwrap();
    assert!(message.contains("table strikes has no column named speed"), "{message}");
    assert_eq!(ids(&place), [0; 0]);
    open(&place).execute_batch("ALTER TABLE strikes ADD COLUMN speed REAL").unwrap();
    assert_eq!(launch(&engine, "Import").await.status, Status::Completed);
    assert_eq!(ids(&place), (0..50).collect::<Vec<_>>());
    engine.shutdown().await;
}

/// Holds the write lock of the database until the engine tells that it is in trouble.
#[derive(Default)]
struct Lock(Mutex<Option<Connection>>);

impl EventConsumer for Lock {
    fn on_event(&self, event: &Event<'_>) {
        if matches!(event, Event::RepositoryTrouble { .. }) {
            self.0.lock().unwrap().take();
        }
    }
}

#[tokio::test]
async fn a_database_that_somebody_has_locked_loses_nothing_and_is_told() {
    let place = TestStore::new();
    let (lock, path) = (Arc::new(Lock::default()), place.path("oxbatch.db"));
    let once = Arc::new(std::sync::Once::new());
    let holder = Arc::clone(&lock);
    let job = import(CREATE, move |n| {
        if n == 25 {
            once.call_once(|| {
                let connection = Connection::open(&path).unwrap();
                connection.busy_timeout(crate::harness::LONG).unwrap();
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                *holder.0.lock().unwrap() = Some(connection);
            });
        }
    });
    let consumer = Arc::clone(&lock);
    let engine = place.node_with([job], |config| config.consumers.push(consumer)).await;
    let execution = launch(&engine, "Import").await;
    if execution.status == Status::Failed {
        // The chunk had waited for the lock as long as it does before the engine's own writes were in trouble.
        let message = execution.exit_message.unwrap();
        assert!(message.contains("locked"), "{message}");
        assert_eq!(launch(&engine, "Import").await.status, Status::Completed);
    } else {
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
    }
    assert_eq!(ids(&place), (0..50).collect::<Vec<_>>());
    engine.shutdown().await;
}

/// Notes how much the commit that is to come waits for the disk, in SQLite's numbers: 1 is NORMAL, 2 is FULL.
struct Levels(Shared<(&'static str, i64)>);

impl Levels {
    async fn note(&self, what: &'static str, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let connection = SqliteChunkTransaction::of(transaction)?.connection().await?;
        let level = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        self.0.lock().unwrap().push((what, level));
        Ok(())
    }
}

impl ItemWriter<u64> for Levels {
    async fn write(&mut self, _: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.note("write", transaction).await
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.note("finish", transaction).await
    }
}

/// A power loss behind the publication must not forget that the output is complete.
#[tokio::test]
async fn what_is_committed_before_an_output_is_published_waits_for_the_disk() {
    let (place, levels) = (TestStore::new(), list());
    let noted = Arc::clone(&levels);
    let step = ChunkStep::builder("Step")
        .reader(|_| Ok(Numbers::new(20, |_| Ok(()))))
        .writer(move |_| Ok(Levels(Arc::clone(&noted))))
        .chunk_size(10);
    let engine = place.node([Job::builder("Job").step(step).build().unwrap()]).await;
    let execution = launch(&engine, "Job").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(contents(&levels), [("write", 1), ("write", 1), ("finish", 2)]);
    engine.shutdown().await;
}
