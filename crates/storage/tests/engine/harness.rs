//! A node on a database of its own, and the parts that jobs of the tests are made of.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::engine::{Event, EventConsumer, LaunchOptions};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::JobRepository;
use oxbatch_core::repository::{ChunkTransaction, Node};
use oxbatch_core::step::IntoStep;
use oxbatch_core::{
    Engine, EngineConfig, ItemError, ItemReader, ItemWriter, Job, JobExecution, JobRegistry, StepExecution,
};
use oxbatch_storage::SqliteRepository;
use tempfile::TempDir;

/// Long enough for anything that is going to happen; a test that waits this long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Time between two polls.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// The tests are compiled once for each database: the name of the target says for which.
pub(crate) const ON_POSTGRES: bool =
    matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"engine_on_postgres" | b"flow_on_postgres");

/// A folder and a database; nodes are started on it one after the other or side by side.
///
/// Dropped, it checks that each of its nodes was shut down: one that works on would disturb what comes after it.
pub(crate) struct TestStore {
    nodes: Nodes,
    folder: TempDir,
    #[cfg(feature = "postgres")]
    database: Option<oxbatch_test_postgres::TestDatabase>,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Nodes::default(),
            folder: tempfile::tempdir().unwrap(),
            #[cfg(feature = "postgres")]
            database: ON_POSTGRES.then(oxbatch_test_postgres::TestDatabase::new),
        }
    }

    /// Runs statements in the database, beside the nodes.
    pub(crate) fn execute(&self, statements: &str) {
        #[cfg(feature = "postgres")]
        if let Some(database) = &self.database {
            return database.execute(statements);
        }
        let connection = rusqlite::Connection::open(self.path("oxbatch.db")).unwrap();
        connection.busy_timeout(LONG).unwrap();
        connection.execute_batch(statements).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn repository(&self) -> Arc<dyn JobRepository> {
        #[cfg(feature = "postgres")]
        if let Some(database) = &self.database {
            let settings = oxbatch_storage::PostgresSettings::from_url(database.url()).unwrap();
            return Arc::new(oxbatch_storage::PostgresRepository::open(settings).await.unwrap());
        }
        Arc::new(SqliteRepository::open(&self.path("oxbatch.db")).unwrap())
    }

    pub(crate) async fn node(&self, jobs: impl IntoIterator<Item = Job>) -> Engine {
        self.node_with(jobs, |_| {}).await
    }

    pub(crate) async fn node_with(
        &self,
        jobs: impl IntoIterator<Item = Job>,
        set: impl FnOnce(&mut EngineConfig),
    ) -> Engine {
        let engine = Self::start(self.repository().await, jobs, set).await;
        self.nodes.add(&engine);
        engine
    }

    pub(crate) async fn start(
        repository: Arc<dyn JobRepository>,
        jobs: impl IntoIterator<Item = Job>,
        set: impl FnOnce(&mut EngineConfig),
    ) -> Engine {
        let mut config = EngineConfig::new(Node::new("test"));
        set(&mut config);
        Engine::start(JobRegistry::new(jobs).unwrap(), repository, config).await.unwrap()
    }

    /// The nodes that must be shut down.
    pub(crate) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn database(&self) -> Option<&oxbatch_test_postgres::TestDatabase> {
        self.database.as_ref()
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.nodes.check();
        }
    }
}

/// The nodes of a test that live.
#[derive(Clone, Default)]
pub(crate) struct Nodes {
    living: Arc<Mutex<Vec<Engine>>>,
}

impl Nodes {
    fn add(&self, engine: &Engine) {
        self.living.lock().unwrap().push(engine.clone());
    }

    /// A node that has died is never shut down.
    pub(crate) fn has_died(&self, engine: &Engine) {
        let boot_id = engine.config().node.boot_id;
        self.living.lock().unwrap().retain(|engine| engine.config().node.boot_id != boot_id);
    }

    fn check(&self) {
        let left = self.living.lock().unwrap().iter().filter(|engine| !engine.is_shutting_down()).count();
        assert_eq!(left, 0, "{left} nodes were not shut down");
    }
}

/// The end of a job with one step.
pub(crate) struct Ended {
    pub(crate) execution: JobExecution,
    pub(crate) step: StepExecution,
}

impl Ended {
    /// The exit message of the step.
    pub(crate) fn message(&self) -> &str {
        self.step.exit_message.as_deref().unwrap_or_default()
    }
}

/// Runs a job with this step alone, on a database of its own, to its end.
pub(crate) async fn run(step: impl IntoStep) -> Ended {
    let place = TestStore::new();
    let engine = place.node([Job::builder("Job").step(step).build().unwrap()]).await;
    let execution = launch(&engine, "Job").await;
    let step = steps(&engine, execution.id).await.remove(0);
    engine.shutdown().await;
    Ended { execution, step }
}

pub(crate) async fn launch(engine: &Engine, job: &str) -> JobExecution {
    launch_with(engine, job, false).await
}

pub(crate) async fn force(engine: &Engine, job: &str) -> JobExecution {
    launch_with(engine, job, true).await
}

/// Launches and waits for the end.
async fn launch_with(engine: &Engine, job: &str, force: bool) -> JobExecution {
    let options = LaunchOptions { force, ..LaunchOptions::default() };
    let launched = engine.launch(job, GivenParameters::default(), options).await.unwrap();
    ended(engine, launched.execution.id).await
}

pub(crate) async fn begin(engine: &Engine, job: &str) -> ExecutionId {
    engine.launch(job, GivenParameters::default(), LaunchOptions::default()).await.unwrap().execution.id
}

pub(crate) async fn ended(engine: &Engine, id: ExecutionId) -> JobExecution {
    let execution = engine.wait(id, LONG).await.unwrap();
    assert!(!execution.status.is_running(), "{execution:?}");
    execution
}

pub(crate) async fn steps(engine: &Engine, id: ExecutionId) -> Vec<StepExecution> {
    engine.repository().steps(id).await.unwrap()
}

/// The names of the steps that an execution ran, with their statuses.
pub(crate) async fn ran(engine: &Engine, id: ExecutionId) -> Vec<String> {
    steps(engine, id).await.iter().map(|step| format!("{} {}", step.step_name, step.status)).collect()
}

/// Polls until something holds, within a bound: what a test waits for may be passed over, or never come.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !holds().await {
            tokio::time::sleep(POLL_EVERY).await;
        }
    });
    // Elapsed: what is waited for does not come.
    waited.await.unwrap();
}

/// Polls until a step of an execution is as it should be; fails with all that there is when it has ended otherwise.
pub(crate) async fn until_step(engine: &Engine, id: ExecutionId, is_there: impl Fn(&StepExecution) -> bool) {
    until(async || {
        // The execution before its steps: once it has ended they do not change any more.
        let execution = engine.execution(id).await.unwrap();
        let steps = steps(engine, id).await;
        let is_there = steps.iter().any(&is_there);
        assert!(is_there || execution.status.is_running(), "it has ended otherwise: {execution:?} {steps:?}");
        is_there
    })
    .await;
}

pub(crate) type Shared<T> = Arc<Mutex<Vec<T>>>;

pub(crate) fn list<T>() -> Shared<T> {
    Arc::default()
}

pub(crate) fn contents<T: Clone>(list: &Shared<T>) -> Vec<T> {
    list.lock().unwrap().clone()
}

/// Keeps the names of the events that a test waits for.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) seen: Mutex<Vec<String>>,
}

impl EventConsumer for Events {
    fn on_event(&self, event: &Event<'_>) {
        let name = format!("{event:?}").split([' ', '{']).next().unwrap().to_owned();
        self.seen.lock().unwrap().push(name);
    }
}

/// Calls a function for each number that is read; the function may fail or block.
pub(crate) struct Numbers<F> {
    next: u64,
    end: u64,
    on_read: F,
}

impl<F: FnMut(u64) -> Result<(), ItemError>> Numbers<F> {
    pub(crate) fn new(end: u64, on_read: F) -> Self {
        Self { next: 0, end, on_read }
    }
}

impl<F: FnMut(u64) -> Result<(), ItemError> + Send> ItemReader for Numbers<F> {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&oxbatch_core::item::Checkpoint>) -> Result<(), ItemError> {
        if let Some(checkpoint) = checkpoint {
            self.next = checkpoint.read()?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        if self.next == self.end {
            return Ok(None);
        }
        (self.on_read)(self.next)?;
        self.next += 1;
        Ok(Some(self.next - 1))
    }

    fn checkpoint(&mut self) -> Result<Option<oxbatch_core::item::Checkpoint>, ItemError> {
        oxbatch_core::item::Checkpoint::new(&self.next).map(Some)
    }
}

/// A writer that fails where it is reported to.
pub(crate) struct FailingWriter {
    pub(crate) at: &'static str,
}

impl FailingWriter {
    fn point(&self, name: &str) -> Result<(), ItemError> {
        if self.at == name { Err(ItemError::other(format!("no {name} today"))) } else { Ok(()) }
    }
}

impl ItemWriter<u64> for FailingWriter {
    async fn open(&mut self, _: Option<&oxbatch_core::item::Checkpoint>) -> Result<(), ItemError> {
        self.point("open")
    }

    async fn write(&mut self, _: &[u64], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.point("write")
    }

    async fn flush(&mut self) -> Result<Option<oxbatch_core::item::Checkpoint>, ItemError> {
        self.point("flush").map(|()| None)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        self.point("sync")
    }

    async fn finish(&mut self, _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.point("finish")
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        self.point("publish")
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.point("close")
    }
}

type OnRead = Box<dyn FnMut(u64) -> Result<(), ItemError> + Send>;

impl Numbers<OnRead> {
    /// Some numbers cannot be read; the reader is behind them then.
    pub(crate) fn skipping(end: u64, unreadable: fn(u64) -> bool) -> Skipping {
        Skipping { inner: Numbers::new(end, Box::new(|_| Ok(()))), unreadable }
    }
}

/// A reader whose parse errors leave it behind the bad number.
pub(crate) struct Skipping {
    inner: Numbers<OnRead>,
    unreadable: fn(u64) -> bool,
}

impl ItemReader for Skipping {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&oxbatch_core::item::Checkpoint>) -> Result<(), ItemError> {
        self.inner.open(checkpoint).await
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        match self.inner.read().await? {
            Some(n) if (self.unreadable)(n) => {
                Err(ItemError::parse("no number").at(format!("line {n}")).with_raw(format!("<{n}>")))
            }
            read => Ok(read),
        }
    }

    fn checkpoint(&mut self) -> Result<Option<oxbatch_core::item::Checkpoint>, ItemError> {
        self.inner.checkpoint()
    }
}
