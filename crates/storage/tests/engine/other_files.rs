//! Files of SQLite that are not the repository's: from one to PostgreSQL and back, and errors between the two commits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oxbatch_core::item::{Checkpoint, ErrorKind};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::{ChunkStep, ItemError, ItemWriter, Job, RetryPolicy, SkipPolicy, Status};
use oxbatch_storage::rusqlite::{self, Connection};
use oxbatch_storage::{SqliteCursorReader, SqliteReader, SqliteWriter};
use serde::{Deserialize, Serialize};

use super::harness::{LONG, ON_POSTGRES, TestStore, force, launch, steps};

const ROWS: i64 = 95;
const CREATE: &str = "CREATE TABLE IF NOT EXISTS strikes (id INTEGER, species TEXT, speed REAL) STRICT";
const QUERY: &str = "SELECT id, species, speed FROM strikes";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Strike {
    id: i64,
    species: Option<String>,
    speed: f64,
}

fn strike(id: i64) -> Strike {
    Strike {
        id,
        species: (id % 3 != 0).then(|| format!("Möwe {id}")),
        speed: 0.1 * f64::from(u8::try_from(id).unwrap()),
    }
}

fn strike_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Strike> {
    Ok(Strike { id: row.get(0)?, species: row.get(1)?, speed: row.get(2)? })
}

fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(LONG).unwrap();
    connection
}

/// A file with rows to read.
fn source(place: &TestStore) -> PathBuf {
    let path = place.path("source.db");
    let connection = connect(&path);
    connection.execute_batch(CREATE).unwrap();
    for Strike { id, species, speed } in (0..ROWS).map(strike) {
        connection.execute("INSERT INTO strikes VALUES (?1, ?2, ?3)", (id, species, speed)).unwrap();
    }
    path
}

fn stored(path: &Path) -> Vec<Strike> {
    let connection = connect(path);
    let mut statement = connection.prepare(&format!("{QUERY} ORDER BY id, rowid")).unwrap();
    statement.query_map([], strike_of).unwrap().map(Result::unwrap).collect()
}

fn ids(path: &Path) -> Vec<i64> {
    stored(path).iter().map(|strike| strike.id).collect()
}

fn marks(path: &Path) -> i64 {
    connect(path).query_row("SELECT count(*) FROM oxbatch_checkpoint", [], |row| row.get(0)).unwrap()
}

/// The fate of a writer at the number of a call, counted over all attempts.
#[derive(Clone, Default)]
struct Faults {
    /// The target has committed, and the repository never hears of it.
    between_the_commits: Vec<usize>,
    /// The step may join the saves of its chunks, and a death is a panic then: what waits for a save is lost with it.
    joins_saves: bool,
    /// The rows are in the target's transaction when the chunk fails for a moment.
    after_a_write: Vec<usize>,
    /// Statements that somebody else runs in the target before a chunk.
    before_a_write: Option<(usize, PathBuf, &'static str)>,
    writes: Arc<AtomicUsize>,
    flushes: Arc<AtomicUsize>,
}

struct Faulty<W> {
    writer: W,
    faults: Faults,
}

impl<W: ItemWriter<Strike>> ItemWriter<Strike> for Faulty<W> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.writer.open(checkpoint).await
    }

    async fn write(&mut self, outputs: &[Strike], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let number = self.faults.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some((at, path, statements)) = &self.faults.before_a_write
            && *at == number
        {
            connect(path).execute_batch(statements)?;
        }
        self.writer.write(outputs, transaction).await?;
        if self.faults.after_a_write.contains(&number) { Err(ItemError::transient("not now")) } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let flushed = self.writer.flush().await?;
        let number = self.faults.flushes.fetch_add(1, Ordering::SeqCst) + 1;
        if self.faults.between_the_commits.contains(&number) {
            assert!(!self.faults.joins_saves, "the machine is gone");
            return Err(ItemError::other("the machine is gone"));
        }
        Ok(flushed)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        self.writer.sync().await
    }

    fn can_roll_back(&self) -> bool {
        self.writer.can_roll_back()
    }

    fn save_interval(&self) -> Option<std::time::Duration> {
        self.writer.save_interval()
    }

    fn committed(&mut self) {
        self.writer.committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.writer.rolled_back().await
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.writer.finish(transaction).await
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        self.writer.publish().await
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.writer.close().await
    }
}

/// Copies one file into another, ten rows a chunk.
fn copy(source: PathBuf, target: PathBuf, exactly_once: bool, faults: Faults) -> Job {
    let joins_saves = faults.joins_saves;
    let step = ChunkStep::builder("Copy")
        .reader(move |_| Ok(SqliteReader::from_file(&source, QUERY, ["id"], strike_of)))
        .writer(move |context| {
            let writer = SqliteWriter::<Strike>::to_file(&target, "strikes").create(CREATE);
            let writer = if exactly_once { writer.exactly_once(context) } else { writer };
            Ok(Faulty { writer, faults: faults.clone() })
        })
        .retry(RetryPolicy::new(2).retry_on([ErrorKind::Transient]))
        .skip(SkipPolicy::new(1))
        .chunk_size(10);
    // For longer than anything lasts, where that is asked for.
    let step = if joins_saves { step.commit_every(Duration::from_secs(3600)) } else { step };
    Job::builder("Copy").step(step).build().unwrap()
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn rows_go_from_a_file_to_postgresql_and_back_under_either_repository() {
    use oxbatch_storage::{PostgresReader, PostgresSettings, PostgresWriter};

    let place = TestStore::new();
    let (source, back, copied) = (source(&place), place.path("back.db"), place.path("copied.db"));
    let database = oxbatch_test_postgres::TestDatabase::new();
    let settings = PostgresSettings::from_url(database.url()).unwrap();
    let (from, to, to_read, cursor, last) =
        (source.clone(), settings.clone(), back.clone(), back.clone(), copied.clone());
    let out = ChunkStep::builder("ToPostgres")
        .reader(move |_| Ok(SqliteReader::from_file(&from, QUERY, ["id"], strike_of)))
        .writer(move |context| {
            let create = "CREATE TABLE IF NOT EXISTS strikes (id int8 PRIMARY KEY, species text, speed float8)";
            Ok(PostgresWriter::<Strike>::to(&to, "strikes").create(create).exactly_once(context))
        })
        .chunk_size(10);
    let home = ChunkStep::builder("ToFile")
        .reader(move |_| Ok(PostgresReader::<Strike>::from(&settings, QUERY, ["id"])))
        .writer(move |context| {
            Ok(SqliteWriter::<Strike>::to_file(&to_read, "strikes").create(CREATE).exactly_once(context))
        })
        .chunk_size(10);
    let again = ChunkStep::builder("Again")
        .reader(move |_| Ok(SqliteCursorReader::from_file(&cursor, format!("{QUERY} ORDER BY species, id"), strike_of)))
        .writer(move |_| Ok(SqliteWriter::<Strike>::to_file(&last, "strikes").create(CREATE)))
        .chunk_size(10);
    let engine = place.node([Job::builder("Both").step(out).step(home).step(again).build().unwrap()]).await;
    let execution = launch(&engine, "Both").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let expected: Vec<Strike> = (0..ROWS).map(strike).collect();
    assert_eq!(stored(&source), expected);
    assert_eq!(stored(&back), expected);
    assert_eq!(stored(&copied), expected);
    assert_eq!(database.query("SELECT count(*) FROM strikes"), [ROWS.to_string()]);
    // It stays until the next run of the step, which finds this one complete.
    assert_eq!(marks(&back), 1);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_death_between_the_two_commits_repeats_a_chunk_unless_the_file_keeps_a_checkpoint() {
    for exactly_once in [false, true] {
        let place = TestStore::new();
        let (source, target) = (source(&place), place.path("target.db"));
        // The first chunk, one in the middle, the same again, and the one that closes the output (the eleventh, and three repeated).
        let faults = Faults { between_the_commits: vec![1, 4, 5, 14], ..Faults::default() };
        let engine = place.node([copy(source, target.clone(), exactly_once, faults)]).await;
        let mut failed = 0;
        let execution = loop {
            let execution = launch(&engine, "Copy").await;
            if execution.status != Status::Failed {
                break execution;
            }
            failed += 1;
            assert!(execution.exit_message.unwrap().contains("the machine is gone"));
        };
        assert_eq!((execution.status, failed), (Status::Completed, 4));
        if exactly_once {
            assert_eq!(stored(&target), (0..ROWS).map(strike).collect::<Vec<_>>());
            assert_eq!(marks(&target), 1);
        } else {
            let (ids, mut once) = (ids(&target), ids(&target));
            once.dedup();
            assert_eq!(once, (0..ROWS).collect::<Vec<_>>());
            // Three chunks had rows.
            assert_eq!(ids.len(), once.len() + 30);
        }
        engine.shutdown().await;
    }
}

/// The file knows of one chunk that the repository may not know of, so each chunk is saved although saves may be
/// joined.
#[tokio::test]
async fn a_file_is_exactly_once_although_the_saves_of_its_chunks_may_be_joined() {
    let place = TestStore::new();
    let (source, target) = (source(&place), place.path("target.db"));
    let faults = Faults { between_the_commits: vec![4, 8, 9, 13], joins_saves: true, ..Faults::default() };
    let engine = place.node([copy(source, target.clone(), true, faults)]).await;
    let mut saved = Vec::new();
    let execution = loop {
        let execution = launch(&engine, "Copy").await;
        saved.push(steps(&engine, execution.id).await[0].counters.read);
        if execution.status != Status::Failed {
            break execution;
        }
        let message = execution.exit_message.unwrap();
        assert!(message.contains("the machine is gone"), "{message}");
    };
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(saved, [30, 30, 0, 30, 5]);
    assert_eq!(stored(&target), (0..ROWS).map(strike).collect::<Vec<_>>());
    assert_eq!(marks(&target), 1);
    engine.shutdown().await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_death_between_the_commits_of_a_file_s_rows_in_postgresql_repeats_nothing() {
    use oxbatch_storage::{PostgresSettings, PostgresWriter};

    let place = TestStore::new();
    let source = source(&place);
    let database = oxbatch_test_postgres::TestDatabase::new();
    let settings = PostgresSettings::from_url(database.url()).unwrap();
    let faults = Faults { between_the_commits: vec![1, 4, 5], ..Faults::default() };
    let step = ChunkStep::builder("Copy")
        .reader(move |_| Ok(SqliteReader::from_file(&source, QUERY, ["id"], strike_of)))
        .writer(move |context| {
            let create = "CREATE TABLE IF NOT EXISTS strikes (id int8, species text, speed float8)";
            let writer = PostgresWriter::<Strike>::to(&settings, "strikes").create(create).exactly_once(context);
            Ok(Faulty { writer, faults: faults.clone() })
        })
        .chunk_size(10);
    let engine = place.node([Job::builder("Copy").step(step).build().unwrap()]).await;
    for _ in 0..3 {
        assert_eq!(launch(&engine, "Copy").await.status, Status::Failed);
    }
    let execution = launch(&engine, "Copy").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let expected: Vec<String> = (0..ROWS).map(|id| id.to_string()).collect();
    assert_eq!(database.query("SELECT id FROM strikes ORDER BY id"), expected);
    assert_eq!(database.query("SELECT count(*) FROM oxbatch_checkpoint"), ["1"]);
    engine.shutdown().await;
}

#[tokio::test]
async fn rows_of_a_chunk_that_fails_are_not_in_the_file_and_one_that_it_refuses_is_skipped() {
    for exactly_once in [false, true] {
        let place = TestStore::new();
        let (source, target) = (source(&place), place.path("target.db"));
        let create = "CREATE TABLE strikes (id INTEGER CHECK (id <> 42), species TEXT, speed REAL) STRICT";
        connect(&target).execute_batch(create).unwrap();
        let faults = Faults { after_a_write: vec![2, 7], ..Faults::default() };
        let engine = place.node([copy(source, target.clone(), exactly_once, faults)]).await;
        let execution = launch(&engine, "Copy").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        assert_eq!(ids(&target), (0..ROWS).filter(|id| *id != 42).collect::<Vec<_>>());
        let counters = steps(&engine, execution.id).await[0].counters;
        assert_eq!((counters.write, counters.write_skip), (94, 1));
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn whoever_has_lost_the_file_to_a_later_execution_commits_nothing_there() {
    let place = TestStore::new();
    let (source, target) = (source(&place), place.path("target.db"));
    let stolen = (3, target.clone(), "UPDATE oxbatch_checkpoint SET execution_id = execution_id + 1");
    let faults = Faults { before_a_write: Some(stolen), ..Faults::default() };
    let engine = place.node([copy(source, target.clone(), true, faults)]).await;
    let execution = launch(&engine, "Copy").await;
    assert_eq!(execution.status, Status::Failed);
    let message = execution.exit_message.unwrap();
    assert!(message.contains("a later execution writes to the target"), "{message}");
    assert_eq!(ids(&target), (0..20).collect::<Vec<_>>());
    assert_eq!(launch(&engine, "Copy").await.status, Status::Completed);
    assert_eq!(ids(&target), (0..ROWS).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn an_input_that_has_changed_under_a_chunk_that_the_file_holds_is_told() {
    let place = TestStore::new();
    let (source, target) = (source(&place), place.path("target.db"));
    let faults = Faults { between_the_commits: vec![2], ..Faults::default() };
    let engine = place.node([copy(source.clone(), target.clone(), true, faults)]).await;
    assert_eq!(launch(&engine, "Copy").await.status, Status::Failed);
    connect(&source).execute_batch("DELETE FROM strikes WHERE id = 15").unwrap();
    let execution = launch(&engine, "Copy").await;
    assert_eq!(execution.status, Status::Failed);
    let message = execution.exit_message.unwrap();
    assert!(message.contains("do not come again"), "{message}");
    connect(&target).execute_batch("DELETE FROM strikes").unwrap();
    assert_eq!(force(&engine, "Copy").await.status, Status::Completed);
    assert_eq!(ids(&target), (0..ROWS).filter(|id| *id != 15).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn files_that_cannot_serve_are_told_by_their_names_and_nothing_is_made() {
    let place = TestStore::new();
    let source = source(&place);
    let text = place.path("text.db");
    std::fs::write(&text, "a file of text, which is long enough to have been a database's first page".repeat(9))
        .unwrap();
    let (missing, nowhere, own) = (place.path("missing.db"), place.path("no/where.db"), place.path("oxbatch.db"));
    let mut cases = vec![
        (missing.clone(), place.path("target.db"), "missing.db' does not exist"),
        (text.clone(), place.path("target.db"), "text.db' is no SQLite database"),
        (source.clone(), text, "text.db' is no SQLite database"),
        (source.clone(), nowhere, "where.db' cannot be used"),
    ];
    if !ON_POSTGRES {
        cases.push((source, own, "oxbatch.db' is the repository's own"));
    }
    for (source, target, said) in cases {
        let engine = place.node([copy(source, target, false, Faults::default())]).await;
        let execution = force(&engine, "Copy").await;
        assert_eq!(execution.status, Status::Failed);
        let message = execution.exit_message.unwrap();
        assert!(message.contains(said), "{message}");
        engine.shutdown().await;
    }
    assert!(!missing.exists());
}
