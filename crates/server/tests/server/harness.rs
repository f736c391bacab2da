//! A service on a database of its own, its jobs, and a caller that checks every answer against the OpenAPI document.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use axum::{Router, body};
use oxbatch_core::engine::{Clock, SystemClock};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::item::{FunctionProcessor, FunctionWriter, ListReader};
use oxbatch_core::notice::NoticeSender;
use oxbatch_core::repository::Node;
use oxbatch_core::secret::Secrets;
use oxbatch_core::{
    ChunkStep, DateTime, Decimal, Engine, EngineConfig, ItemError, Job, JobRegistry, ParameterDeclaration, SkipPolicy,
    TaskOutcome, TaskStep,
};
use oxbatch_server::{AppState, ServerConfig, router};
use oxbatch_storage::SqliteRepository;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Long enough for anything that is going to happen; a test that waits this long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Time between two polls.
const POLL_EVERY: Duration = Duration::from_millis(1);

/// A service under test.
pub(crate) struct Service {
    pub(crate) engine: Engine,
    pub(crate) router: Router,
    pub(crate) shutdown: CancellationToken,
    pub(crate) clock: Arc<BrittleClock>,
    pub(crate) folder: TempDir,
}

/// The system's clock, until it is set or breaks.
#[derive(Default)]
pub(crate) struct BrittleClock {
    broken: AtomicBool,
    set: Mutex<Option<jiff::Timestamp>>,
}

impl BrittleClock {
    pub(crate) fn break_it(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Stops it at a moment.
    pub(crate) fn set(&self, moment: &str) {
        *self.set.lock().unwrap() = Some(moment.parse().unwrap());
    }
}

impl Clock for BrittleClock {
    fn now(&self) -> jiff::Timestamp {
        assert!(!self.broken.load(Ordering::Acquire), "the secret spring has snapped");
        self.set.lock().unwrap().unwrap_or_else(|| SystemClock.now())
    }
}

/// The answer of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks that it is a problem of this status and gives its detail.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("x-request-id").unwrap());
        assert!(problem["type"].as_str().unwrap().starts_with("urn:oxbatch:problem:"), "{problem}");
        assert!(!problem["title"].as_str().unwrap().is_empty());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Sets what a test needs to be different.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) server: ServerConfig,
    pub(crate) queue_limit: Option<u32>,
    /// Nothing that is launched is ever run.
    pub(crate) idle: bool,
    /// Jobs besides the sample ones.
    pub(crate) jobs: Vec<Job>,
    /// The channels of notices.
    pub(crate) notices: Option<Arc<dyn NoticeSender>>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    /// A service whose launches wait for ever.
    pub(crate) async fn idle() -> Self {
        Self::with(Settings { idle: true, ..Settings::default() }).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Arc::new(SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap());
        let clock = Arc::new(BrittleClock::default());
        let mut config = EngineConfig::new(Node::new("test-node"));
        config.clock = clock.clone();
        config.take_work = !settings.idle;
        if let Some(limit) = settings.queue_limit {
            config.queue_limit = limit;
        }
        let jobs = JobRegistry::new(sample_jobs().into_iter().chain(settings.jobs)).unwrap();
        config.notices = settings.notices;
        config.secrets = Secrets::ephemeral().unwrap();
        let engine = Engine::start(jobs, repository, config).await.unwrap();
        let shutdown = CancellationToken::new();
        let address: SocketAddr = "127.0.0.1:8000".parse().unwrap();
        let router = router(AppState::new(engine.clone(), &settings.server, address, shutdown.clone()));
        Self { engine, router, shutdown, clock, folder }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(request("POST", path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post_json(&self, path: &str, json: &str) -> Answer {
        let request = request("POST", path).header("content-type", "application/json");
        self.send(request.body(Body::from(json.to_owned())).unwrap()).await
    }

    /// Changes the database behind the service's back.
    pub(crate) fn damage(&self, statements: &str) {
        let connection = oxbatch_storage::rusqlite::Connection::open(self.folder.path().join("oxbatch.db")).unwrap();
        connection.execute_batch(statements).unwrap();
    }

    /// Launches a job, waits for its end, and gives the execution.
    pub(crate) async fn run(&self, job: &str, parameters: &str) -> Value {
        let answer = self.post_json(&format!("/jobs/{job}/launch?wait=1m"), parameters).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        self.get(answer.header("location").unwrap()).await.json()
    }

    /// Waits until a step of an execution runs.
    pub(crate) async fn until_running(&self, id: i64) {
        until(async || !self.engine.live_steps(ExecutionId(id)).is_empty()).await;
    }

    /// Waits until the step of an execution runs that has this name.
    pub(crate) async fn until_in_step(&self, id: i64, name: &str) {
        let runs = || self.engine.live_steps(ExecutionId(id)).last().is_some_and(|step| step.step_name == name);
        until(async || runs()).await;
    }

    /// Sends a request and checks what holds for every answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let answer = Answer { status: parts.status, headers: parts.headers, text };
        check(&method, &uri, &answer);
        answer
    }
}

/// Polls until something holds, within a bound: what a test waits for may never come.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !holds().await {
            tokio::time::sleep(POLL_EVERY).await;
        }
    });
    waited.await.expect("what is waited for does not come");
}

pub(crate) fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header("host", "localhost:8000")
}

/// Documented statuses by method and path.
type Documented = (Method, Vec<String>, BTreeMap<String, Value>);

static DOCUMENTED: LazyLock<Vec<Documented>> = LazyLock::new(|| {
    let document = serde_json::to_value(oxbatch_server::document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let responses = operation["responses"].as_object().unwrap();
            let responses = responses.iter().map(|(status, response)| (status.clone(), response.clone())).collect();
            found.push((method, path.split('/').map(str::to_owned).collect(), responses));
        }
    }
    found
});

fn check(method: &Method, uri: &Uri, answer: &Answer) {
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    // A page with a form has an origin to name.
    let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let referrer = if is_page && !uri.path().starts_with("/docs") { "same-origin" } else { "no-referrer" };
    assert_eq!(answer.header("referrer-policy"), Some(referrer));
    assert!(answer.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    if !is_page && (answer.status.is_client_error() || answer.status.is_server_error()) {
        answer.problem(answer.status.as_u16());
    }
    let parts: Vec<_> = uri.path().split('/').collect();
    let fits = |path: &[String]| {
        path.len() == parts.len()
            && path.iter().zip(&parts).all(|(template, part)| template == part || template.starts_with('{'))
    };
    if let Some((_, path, responses)) = DOCUMENTED.iter().find(|(known, path, _)| known == method && fits(path)) {
        let documented = responses.get(answer.status.as_str());
        let documented = documented.unwrap_or_else(|| panic!("{method} {path:?} does not document {}", answer.status));
        if answer.status == StatusCode::NO_CONTENT {
            return;
        }
        let media_type = answer.header("content-type").unwrap();
        assert!(documented["content"][media_type].is_object(), "{method} {path:?} {}: {media_type}", answer.status);
    }
}

/// Jobs of every kind that the interface shows.
pub(crate) fn sample_jobs() -> Vec<Job> {
    let ready = |builder: oxbatch_core::job::JobBuilder| builder.build().unwrap();
    let day = DateTime::parse("2024-01-01").unwrap();
    vec![
        ready(
            Job::builder("Sample")
                .description("two steps")
                .step(TaskStep::builder("Step1", |_| Ok(())))
                .step(TaskStep::builder("Step2", |_| Ok(()))),
        ),
        ready(
            Job::builder("Failing")
                .step(TaskStep::builder("Step1", |_| Ok(())))
                .step(TaskStep::builder("ErrorStep", |_| -> Result<(), oxbatch_core::BoxError> {
                    Err("no paper".into())
                })),
        ),
        ready(
            Job::builder("Declared")
                .parameter(ParameterDeclaration::string("input").default_value("in.csv").description("file to read"))
                .parameter(ParameterDeclaration::integer("size").allowed([10, 100]))
                .parameter(ParameterDeclaration::float("share").non_identifying())
                .parameter(ParameterDeclaration::date_time("day").required())
                .parameter(ParameterDeclaration::string("token").secret().default_value("hush"))
                .parameter(ParameterDeclaration::integer("pin").secret())
                .parameter(ParameterDeclaration::date_time("since").default_value(day))
                .step(TaskStep::builder("Only", |_| Ok(())).max_retries(3).start_limit(5)),
        ),
        ready(Job::builder("Bare").no_parameters().step(TaskStep::builder("Only", |_| Ok(())))),
        ready(
            Job::builder("Chunky").step(
                ChunkStep::builder("Numbers")
                    .reader(|_| Ok(ListReader::new(1..=50_i64)))
                    .processor(|_| Ok(FunctionProcessor::new(|n: i64| Ok((n % 2 == 0).then_some(n * n)))))
                    .writer(|_| Ok(FunctionWriter::new(|_: &[i64]| Ok(()))))
                    .chunk_size(10)
                    .rerun_if_complete()
                    .preview(),
            ),
        ),
        ready(
            Job::builder("Skipping").step(
                ChunkStep::builder("Numbers")
                    .reader(|_| Ok(ListReader::new(1..=2_000_i64)))
                    .skip(SkipPolicy::new(1_000))
                    .processor(|_| {
                        Ok(FunctionProcessor::new(|n: i64| match n % 2 {
                            0 => Ok(Some(n)),
                            _ => Err(ItemError::validation("odd").at(format!("number {n}"))),
                        }))
                    })
                    .writer(|_| Ok(FunctionWriter::new(|_: &[i64]| Ok(()))))
                    .control_total("sum", |n| *n)
                    .control_total_written("halves", |n| Decimal::new(i128::from(*n) * 5, 1).ok_or("too long"))
                    .rerun_skips()
                    .preview(),
            ),
        ),
        // Runs until it is reported to stop.
        ready(Job::builder("Endless").step(TaskStep::builder("Before", |_| Ok(()))).step(TaskStep::builder_async(
            "Wait",
            async |context: oxbatch_core::StepContext| {
                context.stopping().await;
                Ok(TaskOutcome::Stopped)
            },
        ))),
        ready(Job::builder("näme & co").step(TaskStep::builder("Only", |_| Ok(())))),
    ]
}
