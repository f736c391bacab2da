//! Loss of power between a step's database and another one that its rows go to: the repository forgets the chunks that
//! did not wait for the disk, and the other database forgets nothing.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::item::{Checkpoint, ErrorKind, FunctionWriter};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::{ChunkAck, ChunkSave, ChunkTransaction, RecoverPolicy, RepositoryFuture};
use oxbatch_core::{ChunkStep, Engine, ItemError, ItemReader, ItemWriter, Job, SkipPolicy, Status};
use oxbatch_storage::SqliteWriter;
use oxbatch_storage::rusqlite::Connection;
use serde::Serialize;

use super::harness::{Numbers, ON_POSTGRES, TestStore, begin, ended, launch, steps};

/// Rows of the input, one of which every target refuses.
const ROWS: u64 = 405;
const REFUSED: u64 = 42;
const CHUNK: u32 = 10;
/// Chunks of the input, and the flush that closes the output.
const FLUSHES: usize = 42;

#[derive(Debug, Clone, Serialize)]
struct Line {
    id: u64,
    text: String,
}

/// Where the rows go.
#[derive(Clone)]
enum Target {
    File(PathBuf),
    /// The same, behind a table of the repository's own database.
    Both(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Arc<oxbatch_test_postgres::TestDatabase>),
}

impl Target {
    fn all(place: &TestStore) -> Vec<Self> {
        let mut all = vec![Self::File(place.path("target.db"))];
        if !ON_POSTGRES {
            all.push(Self::Both(place.path("target.db")));
        }
        #[cfg(feature = "postgres")]
        all.push(Self::Postgres(Arc::new(oxbatch_test_postgres::TestDatabase::new())));
        all
    }

    /// The rows' numbers, in their order.
    fn stored(&self) -> Vec<u64> {
        const ALL: &str = "SELECT id FROM lines ORDER BY id";
        match self {
            Self::File(path) | Self::Both(path) => numbers(path, ALL),
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.query(ALL).iter().map(|id| id.parse().unwrap()).collect(),
        }
    }

    /// Number of runs that have left a row in the target.
    fn marks(&self) -> u64 {
        const COUNT: &str = "SELECT count(*) FROM oxbatch_checkpoint";
        match self {
            Self::File(path) | Self::Both(path) => numbers(path, COUNT)[0],
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.query(COUNT)[0].parse().unwrap(),
        }
    }
}

fn numbers(path: &Path, query: &str) -> Vec<u64> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    statement.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(|id| id.unwrap().unsigned_abs()).collect()
}

/// When the power goes, and what is on the repository's disk by then.
struct Power {
    /// The flush behind which it goes: the target has committed, the repository has not. One more than there are is the
    /// moment after the output was published.
    goes_at: usize,
    flushes: AtomicUsize,
    /// The save of the chunk in hand was asked to wait for the disk.
    waits: AtomicBool,
    place: Arc<TestStore>,
    saved: Mutex<Option<PathBuf>>,
}

const COUNTERS: [&str; 11] = [
    "state",
    "progress",
    "read_count",
    "write_count",
    "filter_count",
    "commit_count",
    "rollback_count",
    "read_skip_count",
    "process_skip_count",
    "write_skip_count",
    "retry_count",
];

impl Power {
    /// Marks all that is in the repository now as being on the disk.
    fn sync(&self) {
        if ON_POSTGRES {
            self.place.execute(
                "DROP TABLE IF EXISTS synced_step, synced_skip;
                 CREATE TABLE synced_step AS SELECT * FROM oxbatch_step_execution;
                 CREATE TABLE synced_skip AS SELECT id FROM oxbatch_skipped_item",
            );
            return;
        }
        let number = self.flushes.load(Ordering::SeqCst);
        let path = self.place.path(&format!("synced-{number}.db"));
        let _ = std::fs::remove_file(&path);
        self.place.execute(&format!("VACUUM INTO '{}'", path.display()));
        *self.saved.lock().unwrap() = Some(path);
    }

    /// The repository is what was on the disk.
    fn cut(&self) {
        if ON_POSTGRES {
            let columns: Vec<String> = COUNTERS.iter().map(|column| format!("{column} = s.{column}")).collect();
            let columns = columns.join(", ");
            return self.place.execute(&format!(
                "UPDATE oxbatch_step_execution AS e SET {columns} FROM synced_step AS s WHERE s.id = e.id;
                 DELETE FROM oxbatch_skipped_item WHERE id NOT IN (SELECT id FROM synced_skip)"
            ));
        }
        for name in ["oxbatch.db", "oxbatch.db-wal", "oxbatch.db-shm"] {
            let _ = std::fs::remove_file(self.place.path(name));
        }
        let saved = self.saved.lock().unwrap().take().unwrap();
        std::fs::copy(saved, self.place.path("oxbatch.db")).unwrap();
    }
}

/// Knows of each save whether it was asked to wait for the disk.
struct Seen<'a> {
    inner: &'a mut dyn ChunkTransaction,
    power: &'a Power,
}

impl ChunkTransaction for Seen<'_> {
    fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
        self.inner.as_any_mut()
    }

    fn has_begun(&self) -> bool {
        self.inner.has_begun()
    }

    fn make_next_durable(&mut self) {
        self.power.waits.store(true, Ordering::SeqCst);
        self.inner.make_next_durable();
    }

    fn was_lost(&self) -> bool {
        self.inner.was_lost()
    }

    fn commit<'a>(&'a mut self, save: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck> {
        self.inner.commit(save)
    }

    fn rollback(&mut self) -> RepositoryFuture<'_, ()> {
        self.inner.rollback()
    }
}

/// A writer on a machine whose power goes.
struct Powered<W> {
    writer: W,
    power: Arc<Power>,
    /// Only the first attempt is cut off.
    first: bool,
}

impl<W> Powered<W> {
    fn gone(&self, at: usize) -> Result<(), ItemError> {
        if self.first && self.power.goes_at == at { Err(ItemError::other("the power is gone")) } else { Ok(()) }
    }
}

impl<W: ItemWriter<Line>> ItemWriter<Line> for Powered<W> {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        if self.first {
            self.power.sync();
        }
        self.writer.open(checkpoint).await
    }

    async fn write(&mut self, outputs: &[Line], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if outputs.iter().any(|line| line.id == REFUSED) {
            return Err(ItemError::new(ErrorKind::Constraint, "not this one").at("line 42"));
        }
        let mut transaction = Seen { inner: transaction, power: &self.power };
        self.writer.write(outputs, &mut transaction).await
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let flushed = self.writer.flush().await?;
        self.gone(self.power.flushes.fetch_add(1, Ordering::SeqCst) + 1)?;
        Ok(flushed)
    }

    fn committed(&mut self) {
        self.writer.committed();
        if self.first && self.power.waits.swap(false, Ordering::SeqCst) {
            self.power.sync();
        }
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.writer.rolled_back().await
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        // The engine makes the last save wait.
        self.power.waits.store(true, Ordering::SeqCst);
        self.writer.finish(transaction).await
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        self.writer.publish().await?;
        self.gone(FLUSHES + 1)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.writer.close().await
    }
}

fn copy(target: &Target, power: &Arc<Power>) -> Job {
    let builder = ChunkStep::builder("Copy").reader(|_| Ok(Numbers::new(ROWS, |_| Ok(())))).processor(|_| {
        Ok(oxbatch_core::item::FunctionProcessor::new(|id: u64| Ok(Some(Line { id, text: format!("line {id}") }))))
    });
    let power = Arc::clone(power);
    let chunk = |context: &oxbatch_core::StepContext| Ok(if context.execution_id().0 == 1 { CHUNK } else { 7 });
    let file = |path: &Path| {
        SqliteWriter::<Line>::to_file(path, "lines").create("CREATE TABLE IF NOT EXISTS lines (id INTEGER, text TEXT)")
    };
    macro_rules! step {
        ($writer:expr) => {
            builder
                .writer(move |context| {
                    let (power, first) = (Arc::clone(&power), context.execution_id().0 == 1);
                    Ok(Powered { writer: $writer(context), power, first })
                })
                .chunk_size_from(chunk)
                .skip(SkipPolicy::new(1))
        };
    }
    let job = Job::builder("Copy");
    let job = match target.clone() {
        Target::File(path) => job.step(step!(|context| file(&path).exactly_once(context))),
        Target::Both(path) => job.step(step!(|context| {
            let own = SqliteWriter::<Line>::new("own").create("CREATE TABLE IF NOT EXISTS own (id INTEGER, text TEXT)");
            oxbatch_core::item::TeeWriter::new(own, file(&path).exactly_once(context))
        })),
        #[cfg(feature = "postgres")]
        Target::Postgres(database) => {
            let settings = oxbatch_storage::PostgresSettings::from_url(database.url()).unwrap();
            job.step(step!(|context| {
                oxbatch_storage::PostgresWriter::<Line>::to(&settings, "lines")
                    .create("CREATE TABLE IF NOT EXISTS lines (id int8, text text)")
                    .exactly_once(context)
            }))
        }
    };
    job.build().unwrap()
}

fn power(place: &Arc<TestStore>, goes_at: usize) -> Arc<Power> {
    Arc::new(Power {
        goes_at,
        flushes: AtomicUsize::new(0),
        waits: AtomicBool::new(false),
        place: Arc::clone(place),
        saved: Mutex::default(),
    })
}

async fn node(place: &TestStore, target: &Target, power: &Arc<Power>) -> Engine {
    place.node_with([copy(target, power)], |config| config.recover = RecoverPolicy::Fail).await
}

#[tokio::test]
async fn what_the_repository_forgets_is_not_doubled_in_another_database_and_nothing_fails() {
    // The first chunk, those around the saves that wait, the last one, the one that closes the output, and after all.
    for goes_at in [1, 16, 33, 41, FLUSHES, FLUSHES + 1] {
        let targets = Target::all(&TestStore::new()).len();
        for number in 0..targets {
            let place = Arc::new(TestStore::new());
            let target = Target::all(&place).swap_remove(number);
            let power = power(&place, goes_at);
            let engine = node(&place, &target, &power).await;
            let execution = launch(&engine, "Copy").await;
            assert_eq!(execution.status, Status::Failed, "{goes_at} {number}: {execution:?}");
            engine.shutdown().await;
            power.cut();
            let engine = node(&place, &target, &power).await;
            let known = steps(&engine, execution.id).await[0].counters;
            let execution = launch(&engine, "Copy").await;
            assert_eq!(execution.status, Status::Completed, "{goes_at} {number}: {execution:?}");
            let expected: Vec<u64> = (0..ROWS).filter(|id| *id != REFUSED).collect();
            assert_eq!(target.stored(), expected, "{goes_at} {number}");
            if let Target::Both(_) = target {
                assert_eq!(numbers(&place.path("oxbatch.db"), "SELECT id FROM own ORDER BY id"), expected);
            }
            let counters = steps(&engine, execution.id).await[0].counters;
            assert_eq!(known.read + counters.read, i64::try_from(ROWS).unwrap(), "{goes_at} {number}");
            assert_eq!(known.write_skip + counters.write_skip, 1, "{goes_at} {number}");
            // The target forgets a run only after its end is on the repository's disk: when the next one begins.
            assert_eq!(target.marks(), 1);
            engine.shutdown().await;
        }
    }
}

#[tokio::test]
async fn the_next_run_of_a_step_clears_away_what_the_target_knows_of_complete_ones() {
    let launch = async |engine: &Engine, day: u32| {
        let given = GivenParameters::from_json(format!("{{\"day\":{day}}}").as_bytes()).unwrap();
        let launched = engine.launch("Copy", given, LaunchOptions::default()).await.unwrap();
        ended(engine, launched.execution.id).await
    };
    let targets = Target::all(&TestStore::new()).len();
    for number in 0..targets {
        let place = Arc::new(TestStore::new());
        let target = Target::all(&place).swap_remove(number);
        let power = power(&place, 7);
        let engine = node(&place, &target, &power).await;
        // The first one is cut off, and its row is needed.
        assert_eq!(launch(&engine, 1).await.status, Status::Failed);
        assert_eq!(launch(&engine, 2).await.status, Status::Completed);
        assert_eq!(target.marks(), 2);
        assert_eq!(launch(&engine, 3).await.status, Status::Completed);
        assert_eq!(target.marks(), 2);
        assert_eq!(launch(&engine, 1).await.status, Status::Completed);
        assert_eq!(target.marks(), 1);
        assert_eq!(launch(&engine, 4).await.status, Status::Completed);
        assert_eq!(target.marks(), 1);
        assert_eq!(target.stored().len(), 4 * 404);
        engine.shutdown().await;
    }
}

/// A reader that has told all of its progress before the step ends, so that the last save has nothing new to say.
struct Told(Numbers<fn(u64) -> Result<(), ItemError>>);

impl ItemReader for Told {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.0.open(checkpoint).await
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        self.0.read().await
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.0.checkpoint()
    }

    fn progress(&self) -> Option<f64> {
        Some(1.0)
    }
}

/// A function that takes outputs and does nothing.
type WriteNothing = fn(&[u64]) -> Result<(), ItemError>;

/// Compares SQLite's log before the last save of a step and behind it.
struct LogWatch {
    log: PathBuf,
    before: Vec<u8>,
    inner: FunctionWriter<WriteNothing>,
    grown: Arc<AtomicUsize>,
}

impl ItemWriter<u64> for LogWatch {
    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.inner.write(outputs, transaction).await
    }

    async fn finish(&mut self, _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.before = std::fs::read(&self.log)?;
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        let after = std::fs::read(&self.log)?;
        assert!(after.starts_with(&self.before), "the log was begun anew");
        self.grown.store(after.len() - self.before.len(), Ordering::SeqCst);
        Ok(())
    }
}

/// SQLite writes and syncs the log for changed pages alone: without one, "wait for the disk" waits for nothing.
#[tokio::test]
async fn the_last_save_of_a_step_reaches_the_log_although_it_changes_nothing() {
    if ON_POSTGRES {
        return;
    }
    let place = TestStore::new();
    let (log, grown) = (place.path("oxbatch.db-wal"), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&grown);
    let step = ChunkStep::builder("Count")
        .reader(|_| Ok(Told(Numbers::new(20, |_| Ok(())))))
        .writer(move |_| {
            let inner: FunctionWriter<WriteNothing> = FunctionWriter::new(|_| Ok(()));
            Ok(LogWatch { log: log.clone(), before: Vec::new(), inner, grown: Arc::clone(&count) })
        })
        .chunk_size(10);
    let job = Job::builder("Count").step(step).build().unwrap();
    // Nothing else writes meanwhile.
    let quiet = std::time::Duration::from_secs(3600);
    let engine = place.node_with([job], |config| (config.renew_every, config.heartbeat_every) = (quiet, quiet)).await;
    let id = begin(&engine, "Count").await;
    assert_eq!(ended(&engine, id).await.status, Status::Completed);
    assert!(grown.load(Ordering::SeqCst) > 0);
    engine.shutdown().await;
}
