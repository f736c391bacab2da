//! A kit for tests of jobs: a job, or one step of it, runs in a test as it runs in the service.
//!
//! Feature `testing`, for the `dev-dependencies` of a service. Nothing is imitated: the engine is the real one, on
//! a repository of SQLite in a folder of the test's own. Each run is a process as it were: launched again, a job
//! resumes.
//!
//! ```
//! use oxbatch::item::{FunctionWriter, ListReader};
//! use oxbatch::testing::TestJob;
//! use oxbatch::{ChunkStep, Job, SkipPolicy, Status, TaskStep};
//!
//! # fn main() -> Result<(), oxbatch::BuildError> {
//! let job = Job::builder("Import")
//!     .step(
//!         ChunkStep::builder("Load")
//!             .reader(|_| ListReader::new(1..=5))
//!             .writer(|_| FunctionWriter::new(|_: &[i32]| Ok(())))
//!             .chunk_size(2),
//!     )
//!     .step(TaskStep::builder("Publish", |context| {
//!         let folder = context.parameters().string("folder")?;
//!         context.put_into_job("published", folder)?;
//!         Ok(())
//!     }))
//!     .build()?;
//!
//! // The whole job, whose process dies when its second chunk is about to be written.
//! let mut test = TestJob::new(&job).parameter("folder", "shop").kill_at_chunk("Load", 2);
//! let run = test.run();
//! assert_eq!(run.status(), Status::Completed);
//! assert_eq!(run.step("Load").counters.write, 5, "over both attempts, nothing twice");
//! assert_eq!(run.entry::<String>("published").as_deref(), Some("shop"));
//!
//! // One of its steps.
//! let run = TestJob::step_of(&job, "Publish").parameter("folder", "depot").run();
//! assert_eq!(run.ran(), ["Publish"]);
//! # Ok(())
//! # }
//! ```

mod hooks;
mod run;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::engine::{Clock, DEFAULT_MAX_RECOVERIES, LaunchOptions};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::listener::ListenerFactory;
use oxbatch_core::repository::{Executions, JobRepository, Node, PageRequest, RecoverPolicy, RecoverRequest};
use oxbatch_core::secret::Secrets;
use oxbatch_core::step::IntoStep;
use oxbatch_core::{Engine, EngineConfig, Job, JobExecution, JobRegistry, ParameterValue};
use oxbatch_storage::SqliteRepository;
use tempfile::TempDir;

use self::hooks::{Fate, Hooks, Moment};
pub use self::run::TestRun;

/// The time after which a run has hung, unless [`at_most`](TestJob::at_most) is set.
pub const DEFAULT_AT_MOST: Duration = Duration::from_secs(60);
/// Executions that a test can read.
const MOST_EXECUTIONS: u32 = 1_000;

/// A job, or one step of it, in a test.
///
/// # Panics
/// All methods panic with a sentence when the test itself is wrong: an unknown step, a parameter that the job refuses,
/// a run that does not end.
#[derive(Debug)]
pub struct TestJob {
    job: Job,
    folder: TempDir,
    given: GivenParameters,
    hooks: Hooks,
    now: Option<Timestamp>,
    at_most: Duration,
    /// With a key of the test's own, so that secret parameters are given as they are.
    secrets: Secrets,
}

impl TestJob {
    /// A whole job.
    pub fn new(job: &Job) -> Self {
        let folder = tempfile::Builder::new().prefix("oxbatch-test-").tempdir();
        let folder = folder.unwrap_or_else(|error| panic!("no folder for the test can be made: {error}"));
        Self {
            job: job.clone(),
            folder,
            given: GivenParameters::default(),
            hooks: Hooks::default(),
            now: None,
            at_most: DEFAULT_AT_MOST,
            secrets: Secrets::ephemeral().unwrap_or_else(|error| panic!("no key for the test can be made: {error}")),
        }
    }

    /// One step of a job alone; one of a flow is called `flow/step`.
    pub fn step_of(job: &Job, step: &str) -> Self {
        match job.only_step(step) {
            Some(job) => Self::new(&job),
            None => panic!("job '{}' has no step '{step}'", job.name()),
        }
    }

    /// A step of no job: `Test` is the name of the job that it gets.
    pub fn step(step: impl IntoStep) -> Self {
        match Job::builder("Test").step(step).build() {
            Ok(job) => Self::new(&job),
            Err(error) => panic!("the step cannot be built: {error}"),
        }
    }

    /// A path in the folder of the test, which is removed with it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives a parameter to the launches.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<ParameterValue>) -> Self {
        self.given = self.given.with(name, value);
        self
    }

    /// Gives the path of a file in the folder of the test as a parameter.
    #[must_use]
    pub fn path_parameter(self, name: &str, file: &str) -> Self {
        let path = self.path(file).display().to_string();
        self.parameter(name, path)
    }

    /// An entry of the job's context that an earlier step would have put there. It is there from the first step on; a
    /// decider before that does not see it.
    #[must_use]
    pub fn job_entry(mut self, key: &str, value: impl serde::Serialize) -> Self {
        self.hooks.give_to_job(key, &value);
        self
    }

    /// An entry of the own context of a step that an earlier attempt would have put there.
    #[must_use]
    pub fn step_entry(mut self, step: &str, key: &str, value: impl serde::Serialize) -> Self {
        self.hooks.give_to_step(self.known(step), key, &value);
        self
    }

    /// The time of the clock that launches see: `today` and `now` of default expressions. It stands still.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// The longest time for a run; [`DEFAULT_AT_MOST`] when it is not set.
    #[must_use]
    pub fn at_most(mut self, time: Duration) -> Self {
        self.at_most = time;
        self
    }

    /// A failure of the first attempt of a step, before it does anything.
    #[must_use]
    pub fn fail_step(self, step: &str) -> Self {
        self.plan(Fate::Failure, Moment::BeforeStep, step)
    }

    /// A failure of the write of a chunk: the n-th that the step is about to write, over all its attempts. Nothing of
    /// it is committed, and policies do not repeat it.
    #[must_use]
    pub fn fail_chunk(self, step: &str, number: u32) -> Self {
        self.plan(Fate::Failure, |step| Moment::Chunk(step, number), step)
    }

    /// A death of the process before a step does anything.
    ///
    /// A dead process is recovered as by the start of a service, and the run goes on to its end: it is to come to the
    /// same as a run that nothing disturbed.
    #[must_use]
    pub fn kill_before(self, step: &str) -> Self {
        self.plan(Fate::Death, Moment::BeforeStep, step)
    }

    /// A death of the process when a step is about to write its n-th chunk, over all its attempts.
    #[must_use]
    pub fn kill_at_chunk(self, step: &str, number: u32) -> Self {
        self.plan(Fate::Death, |step| Moment::Chunk(step, number), step)
    }

    /// A death of the process when a step has done all its work and its end is not recorded: a task is run again.
    #[must_use]
    pub fn kill_after(self, step: &str) -> Self {
        self.plan(Fate::Death, Moment::AfterStep, step)
    }

    /// A death of the process before the end of the execution is recorded.
    #[must_use]
    pub fn kill_at_end(mut self) -> Self {
        self.hooks.plan(Moment::AfterJob, Fate::Death);
        self
    }

    fn plan(mut self, fate: Fate, moment: impl FnOnce(String) -> Moment, step: &str) -> Self {
        self.hooks.plan(moment(self.known(step)), fate);
        self
    }

    fn known(&self, step: &str) -> String {
        let is_known = self.job.steps().iter().any(|known| known.name() == step);
        assert!(is_known, "job '{}' has no step '{step}'", self.job.name());
        step.to_owned()
    }

    /// Launches the job and waits for its end. After a run that was not COMPLETED the next one resumes it.
    pub fn run(&mut self) -> TestRun {
        self.launch(LaunchOptions::default())
    }

    /// Launches the job by force: all of its steps begin anew.
    pub fn run_anew(&mut self) -> TestRun {
        self.launch(LaunchOptions { force: true, ..LaunchOptions::default() })
    }

    /// Runs on a thread and a runtime of its own, so that tests with a runtime may call it too.
    fn launch(&mut self, options: LaunchOptions) -> TestRun {
        let this = &*self;
        let ran = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let mut runtime = tokio::runtime::Builder::new_multi_thread();
                    let runtime = runtime.worker_threads(2).enable_all().build();
                    let runtime =
                        runtime.unwrap_or_else(|error| panic!("no runtime for the test can be made: {error}"));
                    let ran = runtime.block_on(this.run_to_the_end(options));
                    // What a process that died was about to record is recorded by nobody.
                    runtime.shutdown_background();
                    ran
                })
                .join()
        });
        ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    async fn run_to_the_end(&self, options: LaunchOptions) -> TestRun {
        let name = self.job.name();
        let mut engine = self.start(self.open()).await;
        let before = executions(engine.repository().as_ref()).await.len();
        let launched = engine.launch(name, self.given.clone(), options).await;
        let mut id = launched.unwrap_or_else(|error| panic!("job '{name}' cannot be launched: {error}")).execution.id;
        let ended = loop {
            tokio::select! {
                biased;
                () = self.hooks.death() => {
                    // A process whose repository is closed records nothing more: to the next one it is dead.
                    let closed = engine.repository().close().await;
                    closed.unwrap_or_else(|error| panic!("the repository of the test cannot be closed: {error}"));
                    let repository = self.open();
                    // It has lost what it had before it may end: nothing that it still writes is taken.
                    self.recover(repository.as_ref()).await;
                    self.hooks.bury().await;
                    engine = self.start(repository).await;
                    id = executions(engine.repository().as_ref()).await.last().map_or(id, |newest| newest.id);
                }
                ended = self.end(&engine, id) => break ended,
            }
        };
        let run = TestRun::of(engine.repository().as_ref(), ended, before).await;
        engine.shutdown().await;
        run
    }

    async fn end(&self, engine: &Engine, id: ExecutionId) -> JobExecution {
        let ended = engine.wait(id, self.at_most).await;
        let ended = ended.unwrap_or_else(|error| panic!("execution {id} cannot be read: {error}"));
        assert!(!ended.status.is_running(), "job '{}' has not ended within {:?}", self.job.name(), self.at_most);
        ended
    }

    fn open(&self) -> Arc<SqliteRepository> {
        let repository = SqliteRepository::open(&self.path("oxbatch.db"));
        Arc::new(repository.unwrap_or_else(|error| panic!("no repository for the test can be made: {error}")))
    }

    /// Ends what a dead process has left, and launches what resumes it, as a service does when it starts.
    async fn recover(&self, repository: &SqliteRepository) {
        let request = RecoverRequest {
            node: Node::new("test"),
            held: Vec::new(),
            policy: RecoverPolicy::Restart,
            max_recoveries: DEFAULT_MAX_RECOVERIES,
            time: self.now.unwrap_or_else(Timestamp::now),
            only: None,
        };
        let recovered = repository.recover(request).await;
        recovered.unwrap_or_else(|error| panic!("what the dead process left cannot be recovered: {error}"));
    }

    async fn start(&self, repository: Arc<SqliteRepository>) -> Engine {
        let registry = JobRegistry::new([self.job.clone()]);
        let registry = registry.unwrap_or_else(|error| panic!("the job cannot be registered: {error}"));
        let mut config = EngineConfig::new(Node::new("test"));
        // What is dead takes no work.
        config.concurrency = 1;
        config.secrets = self.secrets.clone();
        config.listeners.push(self.listeners());
        if let Some(now) = self.now {
            config.clock = Arc::new(Still(now));
        }
        let engine = Engine::start(registry, repository, config).await;
        engine.unwrap_or_else(|error| panic!("the engine of the test cannot be started: {error}"))
    }

    fn listeners(&self) -> ListenerFactory {
        let hooks = self.hooks.clone();
        ListenerFactory::new(move |_| Ok(hooks.listeners()))
    }
}

/// All executions of the test, oldest first.
async fn executions(repository: &dyn JobRepository) -> Vec<JobExecution> {
    let page = PageRequest { before: None, limit: MOST_EXECUTIONS };
    let found = repository.executions(Default::default(), page).await;
    let mut all = found.unwrap_or_else(|error| panic!("the executions cannot be listed: {error}")).executions;
    all.reverse();
    all
}

/// A clock that stands still.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}
