//! Real trouble of a server under a writer: a deadlock, a time-out, a full disk.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oxbatch_core::item::{Checkpoint, ListReader};
use oxbatch_core::repository::{ChunkTransaction, Node};
use oxbatch_core::step::Backoff;
use oxbatch_core::{ChunkStep, Engine, EngineConfig, ItemError, ItemWriter, Job, JobRegistry, RetryPolicy, Status};
use oxbatch_storage::{PostgresRepository, PostgresSettings, PostgresWriter};
use oxbatch_test_postgres::{TestDatabase, TestServer};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::unbounded_channel;

use crate::harness::{launch, steps};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    id: i64,
    text: String,
}

fn line(id: i64) -> Line {
    Line { id, text: format!("line {id}") }
}

fn settings(database: &TestDatabase) -> PostgresSettings {
    PostgresSettings::from_url(database.url()).unwrap()
}

async fn node(database: &TestDatabase, job: Job) -> (Engine, PostgresRepository) {
    let repository = PostgresRepository::open(settings(database)).await.unwrap();
    let registry = JobRegistry::new([job]).unwrap();
    let config = EngineConfig::new(Node::new("test"));
    (Engine::start(registry, Arc::new(repository.clone()), config).await.unwrap(), repository)
}

/// Rows, different rows, and their sum.
fn stored(database: &TestDatabase) -> String {
    database.query("SELECT concat_ws(' ', count(*), count(DISTINCT id), sum(id)) FROM lines").remove(0)
}

/// Called between the rows of a chunk; the answer comes when the trouble is there.
type Between = Arc<dyn Fn() -> futures_util::future::BoxFuture<'static, ()> + Send + Sync>;

/// Writes each chunk in two halves, within one transaction.
struct Halved {
    inner: PostgresWriter<Line>,
    between: Between,
}

impl ItemWriter<Line> for Halved {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        ItemWriter::<Line>::open(&mut self.inner, checkpoint).await
    }

    async fn write(&mut self, outputs: &[Line], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let (first, second) = outputs.split_at(outputs.len() / 2);
        self.inner.write(first, transaction).await?;
        (self.between)().await;
        self.inner.write(second, transaction).await
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.inner.flush().await
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
}

/// Another transaction holds row 15 and waits for row 5, which the chunk has; then the chunk wants row 15.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_the_victim_of_a_deadlock_is_written_again() {
    let database = TestDatabase::new();
    // The chunk finds the deadlock out, the other never does.
    database.execute("CREATE TABLE lines (id int8 PRIMARY KEY, text text)");
    database.execute("INSERT INTO lines SELECT id, 'before' FROM generate_series(1, 20) AS id");
    database.execute(&format!("ALTER DATABASE {} SET deadlock_timeout = '20ms'", database.name()));
    let repository = PostgresRepository::open(settings(&database)).await.unwrap();
    let other = Arc::new(repository.connect().await.unwrap());
    other
        .batch_execute("SET deadlock_timeout = '1h'; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        .await
        .unwrap();
    other.batch_execute("BEGIN; UPDATE lines SET text = text || '!' WHERE id = 15").await.unwrap();
    let (struck, url) = (Arc::new(AtomicBool::new(false)), database.url().to_owned());
    let (tell, mut told) = unbounded_channel();
    let (client, once) = (Arc::clone(&other), Arc::clone(&struck));
    let between: Between = Arc::new(move || {
        let (client, url, tell, first) =
            (Arc::clone(&client), url.clone(), tell.clone(), !once.swap(true, Ordering::SeqCst));
        Box::pin(async move {
            if !first {
                return;
            }
            tokio::spawn(async move {
                let waited = client.batch_execute("UPDATE lines SET text = text || '?' WHERE id = 5; COMMIT").await;
                let _ = tell.send(waited.is_ok());
            });
            tokio::task::spawn_blocking(move || {
                let waits = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
                while TestDatabase::at(&url).query(waits) != ["1"] {}
            })
            .await
            .unwrap();
        })
    });
    let job = Job::builder("Copy")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(ListReader::new((1..=20).map(line))))
                .writer(move |context| {
                    let inner = PostgresWriter::new(context, "lines").upsert(["id"]);
                    Ok(Halved { inner, between: Arc::clone(&between) })
                })
                .chunk_size(20)
                // On a busy machine the chunk may take row 5 again before the other has woken: another deadlock.
                .retry(RetryPolicy::new(50).backoff(Backoff::Fixed(Duration::from_millis(1)))),
        )
        .build()
        .unwrap();
    let (engine, _) = node(&database, job).await;
    let execution = launch(&engine, "Copy").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let counters = steps(&engine, execution.id).await[0].counters;
    assert_eq!((counters.write, counters.rollback), (20, counters.retry));
    assert!(counters.retry >= 1, "{counters:?}");
    assert_eq!(told.recv().await, Some(true), "the other transaction has committed");
    assert_eq!(stored(&database), "20 20 210");
    // The other was first, and the chunk as a whole came behind it.
    assert_eq!(database.query("SELECT count(*) FROM lines WHERE text = 'line ' || id"), ["20"]);
    engine.shutdown().await;
}

/// A trigger that keeps the server busy at one row, as an index or a lock of somebody's might.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_repeated_and_told_and_loses_nothing() {
    let (database, target) = (TestDatabase::new(), TestDatabase::new());
    target.execute("CREATE TABLE lines (id int8, text text)");
    target.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.id = 15 THEN PERFORM pg_sleep(3600); END IF; RETURN NEW; END $$;
         CREATE TRIGGER dawdle BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION dawdle()",
    );
    target.execute(&format!("ALTER DATABASE {} SET statement_timeout = '2s'", target.name()));
    let to = settings(&target);
    let job = Job::builder("Copy")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(ListReader::new((1..=30).map(line))))
                .writer(move |context| Ok(PostgresWriter::to(&to, "lines").exactly_once(context)))
                .chunk_size(10)
                .retry(RetryPolicy::new(1).backoff(Backoff::Fixed(Duration::ZERO))),
        )
        .build()
        .unwrap();
    let (engine, _) = node(&database, job).await;
    let failed = launch(&engine, "Copy").await;
    assert_eq!(failed.status, Status::Failed);
    let message = failed.exit_message.unwrap();
    for said in ["failed to write to table 'lines'", "the statement took longer than the server allows"] {
        assert!(message.contains(said), "{message}");
    }
    let counters = steps(&engine, failed.id).await[0].counters;
    assert_eq!((counters.write, counters.retry), (10, 1));
    assert_eq!(stored(&target), "10 10 55");
    target.execute("DROP TRIGGER dawdle ON lines");
    assert_eq!(launch(&engine, "Copy").await.status, Status::Completed);
    assert_eq!(stored(&target), "30 30 465");
    engine.shutdown().await;
}

/// A disk of a server's own that is soon full.
struct SmallDisk {
    path: PathBuf,
    mounted: bool,
}

impl SmallDisk {
    /// Mounts one for the user that the server runs as; where that is not allowed, the reason is printed.
    fn mount(server: &TestServer) -> Self {
        use std::os::unix::fs::MetadataExt;
        let folder = server.url().split_once('@').unwrap().1.rsplit_once(':').unwrap().0.replace("%2F", "/");
        let owner = std::fs::metadata(folder).unwrap().uid();
        let path = std::env::temp_dir().join(format!("oxbatch-small-disk-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).unwrap();
        let options = format!("size=4m,mode=700,uid={owner}");
        let mounted = privileged(&["mount", "-t", "tmpfs", "-o", &options, "tmpfs", path.to_str().unwrap()]);
        Self { path, mounted }
    }

    fn grow(&self) {
        assert!(privileged(&["mount", "-o", "remount,size=64m", self.path.to_str().unwrap()]));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: in a test that has failed the server still runs.
        if self.mounted {
            privileged(&["umount", "-l", self.path.to_str().unwrap()]);
        }
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Runs a command as root, directly or through a sudo that asks nothing. Whether it has succeeded.
fn privileged(command: &[&str]) -> bool {
    let succeeds = |command: &[&str]| {
        let run = Command::new(command[0]).args(&command[1..]).output();
        run.is_ok_and(|run| run.status.success())
    };
    succeeds(command) || succeeds(&[&["sudo", "-n"], command].concat())
}

/// A disk that is full is reported, and costs nothing but the time until there is room again.
///
/// Where no disk may be mounted a trigger says what a server with a full disk says; the test prints that it did so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_server_fails_the_step_which_goes_on_when_there_is_room() {
    const ROWS: i64 = 8_000;
    let server = TestServer::start();
    let disk = SmallDisk::mount(&server);
    let database = TestDatabase::on(server.url());
    if disk.mounted {
        database.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.path.display()));
        database.execute("CREATE TABLE lines (id int8, text text) TABLESPACE small");
    } else {
        eprintln!("no small disk can be mounted here: a trigger tells of a full disk, which no disk is");
        database.execute("CREATE TABLE lines (id int8, text text)");
        database.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 5000 THEN
                 RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END IF;
                 RETURN NEW; END $$;
             CREATE TRIGGER full_disk BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION full_disk()",
        );
    }
    let job = Job::builder("Copy")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| {
                    // Too short to be compressed, and more in all than fits.
                    Ok(ListReader::new((1..=ROWS).map(|id| Line { id, text: format!("{id:>1000}") })))
                })
                .writer(|context| Ok(PostgresWriter::new(context, "lines")))
                .chunk_size(100),
        )
        .build()
        .unwrap();
    let (engine, _) = node(&database, job).await;
    let failed = launch(&engine, "Copy").await;
    assert_eq!(failed.status, Status::Failed);
    let message = failed.exit_message.unwrap();
    assert!(message.contains("no space is left on the server's disk"), "{message}");
    // What is counted is there, and nothing else.
    let written = steps(&engine, failed.id).await[0].counters.write;
    assert!(written > 0 && written < ROWS, "{written}");
    assert_eq!(stored(&database), format!("{written} {written} {}", written * (written + 1) / 2));
    if disk.mounted {
        disk.grow();
    } else {
        database.execute("DROP TRIGGER full_disk ON lines");
    }
    let again = launch(&engine, "Copy").await;
    assert_eq!(again.status, Status::Completed, "{again:?}");
    assert_eq!(stored(&database), format!("{ROWS} {ROWS} {}", ROWS * (ROWS + 1) / 2));
    assert_eq!(steps(&engine, again.id).await[0].counters.read, ROWS - written);
    engine.shutdown().await;
    // The disk is free once its server has ended.
    drop((database, server));
}

/// `IF NOT EXISTS` does not see what another transaction is creating: the second of two failed with a unique violation.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_create_one_table_at_the_same_moment_all_write_to_it() {
    let database = TestDatabase::new();
    let jobs = (0..6).map(|job| {
        let step =
            ChunkStep::builder("Write").reader(move |_| Ok(ListReader::new(vec![line(job)]))).writer(|context| {
                Ok(PostgresWriter::<Line>::new(context, "lines")
                    .create("CREATE TABLE IF NOT EXISTS lines (id BIGINT PRIMARY KEY, text TEXT NOT NULL)"))
            });
        Job::builder(format!("Job{job}")).step(step).build().unwrap()
    });
    let repository = PostgresRepository::open(settings(&database)).await.unwrap();
    let registry = JobRegistry::new(jobs).unwrap();
    let engine = Engine::start(registry, Arc::new(repository), EngineConfig::new(Node::new("test"))).await.unwrap();
    for round in 0..5 {
        database.execute("DROP TABLE IF EXISTS lines");
        let names: Vec<String> = (0..6).map(|job| format!("Job{job}")).collect();
        let runs = names.iter().map(|name| crate::harness::force(&engine, name));
        for execution in futures_util::future::join_all(runs).await {
            assert_eq!(execution.status, Status::Completed, "round {round}: {:?}", execution.exit_message);
        }
        assert_eq!(stored(&database), "6 6 15");
    }
    engine.shutdown().await;
}
