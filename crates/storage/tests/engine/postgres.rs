//! Steps that write to PostgreSQL: into the repository's database and into another one, through errors and deaths.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use oxbatch_core::engine::{Engine, EngineConfig};
use oxbatch_core::item::{Checkpoint, ListReader};
use oxbatch_core::repository::{ChunkTransaction, JobRepository, Node};
use oxbatch_core::{ChunkStep, ItemError, ItemWriter, Job, JobRegistry, SkipPolicy, Status};
use oxbatch_storage::{PostgresRepository, PostgresSettings, PostgresWriter, WriteForm};
use oxbatch_test_postgres::TestDatabase;
use serde::{Deserialize, Serialize};

use crate::harness::{TestStore, force, launch, steps};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    id: i64,
    text: String,
}

fn lines(count: i64) -> Vec<Line> {
    (1..=count).map(|id| Line { id, text: format!("line {id}") }).collect()
}

fn settings(database: &TestDatabase) -> PostgresSettings {
    PostgresSettings::from_url(database.url()).unwrap()
}

fn database() -> TestDatabase {
    let database = TestDatabase::new();
    // A table in which nothing keeps a row from being there twice.
    database.execute("CREATE TABLE lines (id int8 NOT NULL CHECK (id <> 666), text varchar(20))");
    database
}

/// Rows, different rows, and their sum.
fn stored(database: &TestDatabase) -> String {
    database.query("SELECT concat_ws(' ', count(*), count(DISTINCT id), sum(id)) FROM lines").remove(0)
}

async fn node(repository: Arc<dyn JobRepository>, jobs: impl IntoIterator<Item = Job>) -> Engine {
    Engine::start(JobRegistry::new(jobs).unwrap(), repository, EngineConfig::new(Node::new("test"))).await.unwrap()
}

/// A writer that is a PostgreSQL one, and fails or is counted where a test wants it.
struct Watched<F> {
    inner: PostgresWriter<Line>,
    on_flushed: F,
    writes: Arc<AtomicUsize>,
}

impl<F: FnMut() -> Result<(), ItemError> + Send> ItemWriter<Line> for Watched<F> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        ItemWriter::<Line>::open(&mut self.inner, checkpoint).await
    }

    async fn write(&mut self, outputs: &[Line], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.inner.write(outputs, transaction).await
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let checkpoint = self.inner.flush().await?;
        (self.on_flushed)()?;
        Ok(checkpoint)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        ItemWriter::<Line>::sync(&mut self.inner).await
    }

    fn committed(&mut self) {
        self.inner.committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.inner.rolled_back().await
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.inner.finish(transaction).await
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        self.inner.publish().await
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.inner.close().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_bad_row_of_a_thousand_is_skipped_in_at_most_twenty_two_writes() {
    let database = database();
    let repository = PostgresRepository::open(settings(&database)).await.unwrap();
    let writes = Arc::new(AtomicUsize::new(0));
    let job = |form, name: &str| {
        let writes = Arc::clone(&writes);
        Job::builder(name)
            .step(
                ChunkStep::builder("Copy")
                    .reader(|_| Ok(ListReader::new(lines(1_000))))
                    .writer(move |context| {
                        let inner = PostgresWriter::new(context, "lines").form(form);
                        Ok(Watched { inner, on_flushed: || Ok(()), writes: Arc::clone(&writes) })
                    })
                    .chunk_size(1_000)
                    .skip(SkipPolicy::new(1)),
            )
            .build()
            .unwrap()
    };
    let engine = node(Arc::new(repository), [job(WriteForm::Copy, "Copied"), job(WriteForm::Arrays, "Sent")]).await;
    for name in ["Copied", "Sent"] {
        writes.store(0, Ordering::Relaxed);
        let execution = launch(&engine, name).await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        assert_eq!(stored(&database), format!("999 999 {}", 500_500 - 666));
        let step = steps(&engine, execution.id).await.remove(0);
        assert_eq!((step.counters.write, step.counters.write_skip), (999, 1));
        let skip = engine.repository().skips(step.id, None, 10).await.unwrap().skips.remove(0);
        assert!(skip.item.error.contains("lines_id_check"), "{skip:?}");
        assert!(writes.load(Ordering::Relaxed) <= 22, "{writes:?}");
        database.execute("TRUNCATE lines");
    }
    engine.shutdown().await;
}

/// Fails, or panics, behind each flush whose number is in the list: the target has committed then, the repository has
/// not.
fn breaking(at: &'static [usize], panic: bool) -> impl FnMut(Arc<AtomicUsize>) -> Result<(), ItemError> + Clone {
    move |flushes| {
        let flush = flushes.fetch_add(1, Ordering::Relaxed) + 1;
        if !at.contains(&flush) {
            return Ok(());
        }
        assert!(!panic, "dies between the commits");
        Err(ItemError::other("fails between the commits"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_death_between_the_two_commits_doubles_nothing_in_another_database() {
    for (chunk, at, panic) in [
        (10, &[1][..], true),
        (10, &[3], true),
        (7, &[1, 2, 4, 15], false),
        (100, &[1], true),
        (1, &[1, 2, 100], false),
    ] {
        let (place, database) = (TestStore::new(), database());
        let flushes = Arc::new(AtomicUsize::new(0));
        let (counted, target, on_flush) = (Arc::clone(&flushes), settings(&database), breaking(at, panic));
        let sizes = Arc::new(Mutex::new(chunk));
        let late = Arc::clone(&sizes);
        let job = Job::builder("Copy")
            .step(
                ChunkStep::builder("Copy")
                    .reader(|_| Ok(ListReader::new(lines(100))))
                    .writer(move |context| {
                        let (counted, mut on_flush) = (Arc::clone(&counted), on_flush.clone());
                        Ok(Watched {
                            inner: PostgresWriter::to(&target, "lines").exactly_once(context),
                            on_flushed: move || on_flush(Arc::clone(&counted)),
                            writes: Arc::default(),
                        })
                    })
                    .chunk_size_from(move |_| Ok(*late.lock().unwrap())),
            )
            .build()
            .unwrap();
        let engine = place.node([job]).await;
        let mut failures = 0;
        loop {
            let execution = launch(&engine, "Copy").await;
            if execution.status == Status::Completed {
                break;
            }
            failures += 1;
            assert!(failures < 10, "{execution:?}");
            // The chunks of the next attempt have another size.
            *sizes.lock().unwrap() += 3;
        }
        assert!(failures > 0);
        assert_eq!(stored(&database), "100 100 5050", "{chunk} {at:?}");
        assert_eq!(database.query("SELECT count(*) FROM oxbatch_checkpoint"), ["1"]);
        // A forced run writes everything again, also when it dies on its way.
        flushes.store(0, Ordering::Relaxed);
        assert_eq!(force(&engine, "Copy").await.status, Status::Failed);
        flushes.store(1_000, Ordering::Relaxed);
        assert_eq!(launch(&engine, "Copy").await.status, Status::Completed);
        assert_eq!(stored(&database), "200 100 10100", "{chunk} {at:?}");
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn rows_that_do_not_come_again_are_told() {
    let (place, database) = (TestStore::new(), database());
    let (flushes, first) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let target = settings(&database);
    let on_flush = breaking(&[1], false);
    let job = Job::builder("Copy")
        .step(
            ChunkStep::builder("Copy")
                .reader(move |_| {
                    let again = first.fetch_add(1, Ordering::Relaxed) > 0;
                    Ok(ListReader::new(lines(20).into_iter().filter(move |line| !again || line.id != 3)))
                })
                .writer(move |context| {
                    let flushes = Arc::clone(&flushes);
                    let mut on_flush = on_flush.clone();
                    Ok(Watched {
                        inner: PostgresWriter::to(&target, "lines").exactly_once(context),
                        on_flushed: move || on_flush(Arc::clone(&flushes)),
                        writes: Arc::default(),
                    })
                })
                .chunk_size(10),
        )
        .build()
        .unwrap();
    let engine = place.node([job]).await;
    assert_eq!(launch(&engine, "Copy").await.status, Status::Failed);
    let message = launch(&engine, "Copy").await.exit_message.unwrap();
    assert!(message.contains("do not come again: the input has changed"), "{message}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_chunk_that_another_database_keeps_a_checkpoint_of_waits_for_no_joined_save() {
    let (place, database) = (TestStore::new(), database());
    let (flushes, target) = (Arc::new(AtomicUsize::new(0)), settings(&database));
    // Four chunks are committed on both sides, the fifth in the target alone.
    let on_flush = breaking(&[5], true);
    let job = Job::builder("Copy")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(ListReader::new(lines(100))))
                .writer(move |context| {
                    let (flushes, mut on_flush) = (Arc::clone(&flushes), on_flush.clone());
                    Ok(Watched {
                        inner: PostgresWriter::to(&target, "lines").exactly_once(context),
                        on_flushed: move || on_flush(Arc::clone(&flushes)),
                        writes: Arc::default(),
                    })
                })
                .chunk_size(10)
                .commit_every(std::time::Duration::from_secs(3600)),
        )
        .build()
        .unwrap();
    let engine = place.node([job]).await;
    let died = launch(&engine, "Copy").await;
    assert_eq!(died.status, Status::Failed);
    assert_eq!(stored(&database), "50 50 1275");
    let resumed = launch(&engine, "Copy").await;
    assert_eq!((resumed.status, resumed.exit_message), (Status::Completed, None));
    assert_eq!(stored(&database), "100 100 5050");
    assert_eq!(steps(&engine, died.id).await[0].counters.read, 40);
    engine.shutdown().await;
}
