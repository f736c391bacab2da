//! A service on a port of its own, with jobs that fail, skip, wait and go on when a test says so.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use oxbatch_core::access::{Credential, CredentialKind, Grant, NewToken, Role};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::item::{FunctionProcessor, FunctionWriter, ListReader};
use oxbatch_core::job::{DateTime, GivenParameters};
use oxbatch_core::notice::{Notice, NoticeChannel, NoticeSender};
use oxbatch_core::repository::{JobRepository, Node};
use oxbatch_core::schedule::Schedule;
use oxbatch_core::{
    ChunkStep, Engine, EngineConfig, ItemError, Job, JobRegistry, ParameterDeclaration, SkipPolicy, StepContext,
    TaskStep,
};
use oxbatch_server::{ServerConfig, bind, serve};
use oxbatch_storage::{PostgresRepository, PostgresSettings, SqliteRepository};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Items that the job Slow may still process.
#[derive(Default)]
pub(crate) struct Gate {
    open: Mutex<u32>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn open(&self, items: u32) {
        *self.open.lock().unwrap() += items;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap();
        let (mut open, waited) =
            self.changed.wait_timeout_while(open, Duration::from_secs(600), |open| *open == 0).unwrap();
        assert!(!waited.timed_out(), "no test has opened the gate");
        *open -= 1;
    }
}

/// A channel that takes trials, and one that takes nothing.
struct Channels;

impl NoticeSender for Channels {
    fn channels(&self) -> Vec<NoticeChannel> {
        let channel = |name: &str| NoticeChannel { name: name.to_owned(), kinds: Vec::new(), skips_over: None };
        vec![channel("ops-mail"), channel("pager")]
    }

    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
        let takes = notice.channel == "ops-mail";
        async move { if takes { Ok(()) } else { Err("it answered 503 Service Unavailable".to_owned()) } }.boxed()
    }
}

pub(crate) struct Place {
    pub(crate) engine: Engine,
    pub(crate) gate: Arc<Gate>,
    listen: String,
    config: ServerConfig,
    shutdown: CancellationToken,
    serving: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(ServerConfig::new("127.0.0.1:0")).await
    }

    pub(crate) async fn with(config: ServerConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Arc::new(SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap());
        Self::on(repository, folder, config).await
    }

    /// A place on a database of PostgreSQL.
    pub(crate) async fn on_postgres(url: &str) -> Self {
        let settings = PostgresSettings::from_url(url).unwrap().with_retry_time(Duration::from_secs(1));
        let repository = Arc::new(PostgresRepository::open(settings).await.unwrap());
        Self::on(repository, tempfile::tempdir().unwrap(), ServerConfig::new("127.0.0.1:0")).await
    }

    async fn on(repository: Arc<dyn JobRepository>, folder: TempDir, config: ServerConfig) -> Self {
        let gate = Arc::new(Gate::default());
        let jobs = JobRegistry::new(jobs(&gate)).unwrap();
        let mut settings = EngineConfig::new(Node::new("node-a"));
        settings.notices = Some(Arc::new(Channels));
        let engine = Engine::start(jobs, repository, settings).await.unwrap();
        let (listen, shutdown) = (String::new(), CancellationToken::new());
        let mut place = Self { engine, gate, listen, config, shutdown, serving: None, _folder: folder };
        place.serve().await;
        place
    }

    /// Answers, on the port of before where there was one.
    pub(crate) async fn serve(&mut self) {
        if !self.listen.is_empty() {
            self.config.listen.clone_from(&self.listen);
        }
        let bound = bind(&self.config).await.unwrap();
        self.listen = bound.address().to_string();
        self.shutdown = CancellationToken::new();
        self.serving = Some(tokio::spawn(serve(bound, self.engine.clone(), self.shutdown.clone())));
    }

    /// Answers no more.
    pub(crate) async fn silence(&mut self) {
        self.shutdown.cancel();
        self.serving.take().unwrap().await.unwrap();
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Launches a job and gives the id of the execution.
    pub(crate) async fn launch(&self, job: &str, parameters: &str) -> i64 {
        let given = GivenParameters::from_json(parameters.as_bytes()).unwrap();
        self.engine.launch(job, given, Default::default()).await.unwrap().execution.id.0
    }

    /// The same, and waits for its end.
    pub(crate) async fn run(&self, job: &str, parameters: &str) -> i64 {
        let id = self.launch(job, parameters).await;
        self.engine.wait(ExecutionId(id), Duration::from_secs(60)).await.unwrap();
        id
    }

    /// The text of a new token.
    pub(crate) async fn token(&self, role: Role, name: &str) -> String {
        let token = Credential::new(CredentialKind::Token).unwrap();
        let (grant, time) = (Grant { role, data: false }, Timestamp::now());
        let new = NewToken { hash: token.hash(), name: name.to_owned(), grant, time, expire_time: None };
        self.engine.repository().create_token(new).await.unwrap();
        token.text().to_owned()
    }
}

/// A trade.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Trade {
    id: i64,
    account: String,
    amount: i64,
}

fn trades(count: i64) -> impl Iterator<Item = Trade> {
    (1..=count).map(|id| Trade { id, account: format!("DE{:04}", id * 37 % 9_999), amount: id * 125 % 7_000 - 900 })
}

fn import(
    context: &StepContext,
) -> FunctionProcessor<impl FnMut(Trade) -> Result<Option<Trade>, ItemError> + Send + use<>> {
    let fault = context.parameters().optional_string("fault").ok().flatten().unwrap_or("none").to_owned();
    FunctionProcessor::new(move |trade: Trade| {
        if fault == "amount" && trade.id == 4_211 {
            return Err(ItemError::validation("column 'amount': '12,5O' is no number, since it has the letter O")
                .in_file(Path::new("in/trades-2026-11-29.csv"))
                .at("line 4212")
                .with_raw("4211;DE5807;12,5O"));
        }
        Ok((trade.amount > -700).then_some(trade))
    })
}

/// Leaves what it has fetched in both contexts.
fn fetch(context: &StepContext) -> Result<(), oxbatch_core::BoxError> {
    context.put("etag", "\"9f2c-6e1\"")?;
    context.put("checked", ["in/trades-2026-11-29.csv", "in/trades-2026-11-29.csv.sha256"])?;
    context.put_into_job("fetched", serde_json::json!({"file": "in/trades-2026-11-29.csv", "bytes": 418_220}))?;
    Ok(context.put_into_job("accounts", (0..80).map(|n| format!("DE{:04}", n * 37)).collect::<Vec<_>>())?)
}

fn trades_job() -> Job {
    let step = ChunkStep::builder("Import")
        .reader(|_| Ok(ListReader::new(trades(6_000).collect::<Vec<_>>())))
        .processor(|context| Ok(import(context)))
        .writer(|_| {
            Ok(FunctionWriter::new(|trades: &[Trade]| {
                tracing::info!(count = trades.len(), "trades were booked");
                Ok(())
            }))
        })
        .control_total("amount", |trade: &Trade| trade.amount)
        .chunk_size(500)
        .preview();
    Job::builder("BookTrades")
        .description("Fetches the trades of a day, imports them and reports on them")
        .parameter(
            ParameterDeclaration::date_time("day")
                .default_value(DateTime::parse("2026-11-29").unwrap())
                .description("day of the trades"),
        )
        .parameter(
            ParameterDeclaration::string("fault")
                .allowed(["none", "amount"])
                .default_value("none")
                .non_identifying()
                .description("plans a failure, to see a restart"),
        )
        .parameter(
            ParameterDeclaration::integer("limit").between(1, 100_000).non_identifying().description("most trades"),
        )
        .parameter(ParameterDeclaration::string("password").secret().non_identifying())
        .schedule(
            Schedule::cron("30 2 * * *")
                .named("book-trades")
                .zone("Europe/Berlin")
                .expression("day", "fire date - 1 day"),
        )
        .step(TaskStep::builder("Fetch", fetch))
        .step(step)
        .step(TaskStep::builder("Report", |_| Ok(())))
        .build()
        .unwrap()
}

fn skipping_job() -> Job {
    let step = ChunkStep::builder("Check")
        .reader(|_| Ok(ListReader::new(trades(40).collect::<Vec<_>>())))
        .skip(SkipPolicy::new(100))
        .processor(|_| {
            Ok(FunctionProcessor::new(|trade: Trade| match trade.id % 4 {
                0 => Err(ItemError::validation(format!("account \"{}\" is closed", trade.account))
                    .at(format!("line {}", trade.id + 1))),
                _ => Ok(Some(trade)),
            }))
        })
        .writer(|_| Ok(FunctionWriter::new(|_: &[Trade]| Ok(()))))
        .control_total("amount", |trade: &Trade| trade.amount)
        .rerun_skips()
        .preview();
    Job::builder("CheckAccounts").description("Skips trades of closed accounts").step(step).build().unwrap()
}

fn slow_job(gate: &Arc<Gate>) -> Job {
    let gate = Arc::clone(gate);
    let step = ChunkStep::builder("Count")
        .reader(|_| Ok(ListReader::new(1..=100_i64)))
        .processor(move |_| {
            let gate = Arc::clone(&gate);
            Ok(FunctionProcessor::new(move |n: i64| {
                gate.pass();
                Ok(Some(n))
            }))
        })
        .writer(|_| Ok(FunctionWriter::new(|_: &[i64]| Ok(()))))
        .chunk_size(1);
    Job::builder("Slow").description("Counts to a hundred when it is let").step(step).build().unwrap()
}

fn jobs(gate: &Arc<Gate>) -> Vec<Job> {
    let flow = Job::builder("NightlyFlow")
        .description("Decides by the result of its check")
        .step(TaskStep::builder("Check", |_| Ok(())))
        .on("COMPLETED_WITH_SKIPS")
        .to("Review")
        .then("Publish")
        .step(TaskStep::builder("Review", |_| Ok(())))
        .step(TaskStep::builder("Publish", |_| Ok(())))
        .finally(TaskStep::builder("Tidy", |_| Ok(())));
    vec![trades_job(), skipping_job(), slow_job(gate), flow.build().unwrap()]
}
