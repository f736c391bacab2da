//! The stream of all executions: what has not ended, then each change wherever it happens, and on from the last id.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures_util::StreamExt;
use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::item::{FunctionWriter, IteratorReader};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::Node;
use oxbatch_core::{ChunkStep, Engine, EngineConfig, Job, JobRegistry, StepContext};
use oxbatch_server::{ServerConfig, bind, serve};
use oxbatch_storage::{PostgresRepository, PostgresSettings};
use oxbatch_test_postgres::TestDatabase;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::events::events_of;
use crate::harness::{Service, Settings, request, sample_jobs};

/// Long enough for anything that is going to happen.
const LONG: Duration = Duration::from_secs(60);

/// A client that reads as much as it needs.
struct Client {
    body: BodyDataStream,
    text: String,
}

impl Client {
    async fn of(service: &Service, last: Option<&str>) -> Self {
        let asked = request("GET", "/events");
        let asked = if let Some(last) = last { asked.header("last-event-id", last) } else { asked };
        let asked: Request<Body> = asked.body(Body::empty()).unwrap();
        let response = service.router.clone().oneshot(asked).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// Reads until what has come satisfies a condition; the events until then.
    async fn until(&mut self, enough: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
        while !enough(&self.text) {
            let piece = timeout(LONG, self.body.next()).await;
            let piece = piece.unwrap_or_else(|_| panic!("no more comes after {}", self.text));
            self.text.push_str(std::str::from_utf8(&piece.expect("the stream has ended").unwrap()).unwrap());
        }
        events_of(&self.text)
    }

    /// Reads until the last id is behind all events.
    async fn settled(&mut self) -> Vec<(String, Value)> {
        self.until(|text| text.ends_with("\n\n") && text.trim_end().rsplit("\n\n").next().unwrap().starts_with("id:"))
            .await
    }

    fn last_id(&self) -> String {
        let line = self.text.lines().rev().find_map(|line| line.strip_prefix("id:")).expect("an id has come");
        line.trim().to_owned()
    }
}

/// The statuses that were reported of an execution.
fn told(text: &str, id: i64) -> Vec<String> {
    let events = events_of(text);
    let of = events.iter().filter(|(name, data)| name == "execution" && data["id"] == id);
    of.map(|(_, data)| data["status"].as_str().unwrap().to_owned()).collect()
}

fn has_ended(text: &str, id: i64) -> bool {
    told(text, id).last().is_some_and(|status| ["COMPLETED", "STOPPED", "FAILED"].contains(&status.as_str()))
}

#[tokio::test]
async fn what_has_not_ended_is_told_first_and_then_each_change() {
    let service = Service::start().await;
    service.run("Sample", "{}").await;
    service.post("/jobs/Endless/launch").await;
    service.until_running(2).await;
    let mut client = Client::of(&service, None).await;
    let first = client.settled().await;
    let executions: Vec<_> = first.iter().filter(|(name, _)| name == "execution").collect();
    assert_eq!(executions.len(), 1, "what has ended is no news: {first:?}");
    assert_eq!((&executions[0].1["id"], &executions[0].1["job_name"]), (&2.into(), &"Endless".into()));
    service.post("/jobs/Chunky/launch").await;
    service.post("/executions/2/stop").await;
    let all = client.until(|text| has_ended(text, 2) && has_ended(text, 3)).await;
    assert_eq!(told(&client.text, 3).last().unwrap(), "COMPLETED");
    assert_eq!(told(&client.text, 2).last().unwrap(), "STOPPED");
    // The end of a step is reported before the end of its execution, also when nobody has seen it run.
    let place = |wanted: &dyn Fn(&str, &Value) -> bool| all.iter().position(|(name, data)| wanted(name, data));
    let step = place(&|name, data| name == "step" && data["step_name"] == "Numbers" && data["status"] == "COMPLETED");
    let end = place(&|name, data| name == "execution" && data["id"] == 3 && data["status"] == "COMPLETED");
    assert!(step.unwrap() < end.unwrap(), "{all:?}");
    assert_eq!(all[step.unwrap()].1["read_count"], 50);
    // One that is given up changes its status once more.
    service.post("/executions/2/abandon").await;
    client.until(|text| told(text, 2).last().is_some_and(|status| status == "ABANDONED")).await;
}

#[tokio::test]
async fn who_comes_back_with_its_last_id_is_told_what_has_changed_meanwhile() {
    let service = Service::start().await;
    let mut client = Client::of(&service, None).await;
    client.settled().await;
    service.run("Sample", "{}").await;
    client.until(|text| has_ended(text, 1)).await;
    client.settled().await;
    let last = client.last_id();
    drop(client);
    service.run("Failing", "{}").await;
    service.run("Chunky", "{}").await;
    let mut again = Client::of(&service, Some(&last)).await;
    let events = again.settled().await;
    assert_eq!((told(&again.text, 2), told(&again.text, 3)), (vec!["FAILED".to_owned()], vec!["COMPLETED".to_owned()]));
    assert!(told(&again.text, 1).is_empty(), "{events:?}");
    // An id of somebody else's is as none.
    let mut foreign = Client::of(&service, Some("end")).await;
    assert!(foreign.settled().await.is_empty());
    assert!(!foreign.last_id().is_empty());
}

#[tokio::test]
async fn many_changes_at_once_reach_a_client_that_reads_slowly() {
    let service = Service::with(Settings { idle: true, queue_limit: Some(1_000), ..Settings::default() }).await;
    let mut client = Client::of(&service, None).await;
    client.settled().await;
    // More than a page, and more than wait in memory for a client.
    for number in 1..=230 {
        let body = format!(r#"{{"day":"2024-01-01","input":"{number}.csv"}}"#);
        let launched = service.post_json("/jobs/Declared/launch", &body).await;
        assert_eq!(launched.status, 202);
    }
    let events = client.until(|text| text.matches("event: execution").count() >= 230).await;
    let mut ids: Vec<_> = events.iter().map(|(_, data)| data["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids, (1..=230).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_twice_a_second_however_much_happens() {
    let step = ChunkStep::builder("Count")
        .reader(|context: &StepContext| {
            let context = context.clone();
            Ok(IteratorReader::new((0_u64..).take_while(move |_| !context.is_stopping())))
        })
        .writer(|_| {
            Ok(FunctionWriter::new(|_: &[u64]| {
                std::thread::yield_now();
                Ok(())
            }))
        })
        .chunk_size(1);
    let jobs = vec![Job::builder("Counting").step(step).build().unwrap()];
    let service = Service::with(Settings { jobs, ..Settings::default() }).await;
    service.post("/jobs/Counting/launch").await;
    service.until_running(1).await;
    let tellings = |text: &str| {
        let events = events_of(text);
        events.iter().filter(|(name, data)| name == "step" && data["step_name"] == "Count").count()
    };
    let start = Instant::now();
    let mut client = Client::of(&service, None).await;
    let busy = async {
        loop {
            service.post("/jobs/Sample/launch?force=true").await;
        }
    };
    tokio::select! {
        _ = client.until(|text| tellings(text) >= 4) => {}
        () = busy => {}
    }
    let between = u32::try_from(tellings(&client.text) - 1).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(500) * between, "{between} in {:?}", start.elapsed());
    service.post("/executions/1/stop").await;
    client.until(|text| has_ended(text, 1)).await;
}

#[tokio::test]
async fn places_for_streams_are_shared_with_those_of_one_execution() {
    let mut server = ServerConfig::default();
    server.limits.max_streams = 1;
    let service = Service::with(Settings { server, ..Settings::default() }).await;
    let mut client = Client::of(&service, None).await;
    client.settled().await;
    assert!(service.get("/events").await.problem(503).contains("too many streams"));
    drop(client);
    // The place becomes free once it is noticed that nobody listens any more.
    let free = async {
        while service
            .router
            .clone()
            .oneshot(request("GET", "/events").body(Body::empty()).unwrap())
            .await
            .unwrap()
            .status()
            == 503
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, free).await.unwrap();
    service.get("/events?job=Sample").await.problem(400);
}

/// A node of its own on a database.
async fn node(database: &TestDatabase, with_news: bool, takes_work: bool) -> Engine {
    let settings = PostgresSettings::from_url(database.url()).unwrap().with_notifications(with_news);
    let repository = Arc::new(PostgresRepository::open(settings).await.unwrap());
    let mut config = EngineConfig::new(Node::new("test"));
    config.take_work = takes_work;
    Engine::start(JobRegistry::new(sample_jobs()).unwrap(), repository, config).await.unwrap()
}

/// Over a real socket, with an execution that another node runs.
async fn another_nodes_work_is_followed(with_news: bool) {
    let database = TestDatabase::new();
    let works = node(&database, with_news, true).await;
    let tells = node(&database, with_news, false).await;
    let bound = bind(&ServerConfig::new("127.0.0.1:0")).await.unwrap();
    let (address, shutdown) = (bound.address(), CancellationToken::new());
    let ended = tokio::spawn(serve(bound, tells.clone(), shutdown.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    // An old client, so that the answer comes without chunks.
    stream.write_all(b"GET /events HTTP/1.0\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut text = String::new();
    let mut until = async |enough: &dyn Fn(&str) -> bool| {
        while !enough(&text) {
            let mut buffer = [0; 4096];
            let count = timeout(LONG, stream.read(&mut buffer)).await.expect("no more comes").unwrap();
            assert_ne!(count, 0, "closed after {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        text.clone()
    };
    until(&|text| text.contains("\nid: ")).await;
    let launch = async |job: &str| {
        let launched = works.launch(job, GivenParameters::default(), LaunchOptions::default()).await.unwrap();
        launched.execution.id
    };
    let endless = launch("Endless").await;
    let runs = |text: &str| {
        told(text, endless.0).contains(&"STARTED".to_owned())
            && events_of(text).iter().any(|(name, data)| name == "step" && data["step_name"] == "Wait")
    };
    until(&runs).await;
    let quick = launch("Chunky").await;
    works.stop(endless).await.unwrap();
    let all = until(&|text| has_ended(text, endless.0) && has_ended(text, quick.0)).await;
    assert_eq!(told(&all, endless.0).last().unwrap(), "STOPPED");
    let events = events_of(&all);
    let mut numbers = events.iter().rev().filter(|(name, data)| name == "step" && data["step_name"] == "Numbers");
    let last = &numbers.next().unwrap().1;
    assert_eq!(
        (&last["status"], &last["read_count"], &last["write_count"]),
        (&"COMPLETED".into(), &50.into(), &25.into())
    );
    shutdown.cancel();
    timeout(LONG, ended).await.unwrap().unwrap();
    for node in [works, tells] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_does_is_told() {
    another_nodes_work_is_followed(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_does_is_told_although_no_news_are_heard() {
    another_nodes_work_is_followed(false).await;
}

#[tokio::test]
async fn forty_streams_that_share_their_polls_hear_of_everything() {
    let service = Service::start().await;
    let mut clients = Vec::new();
    for number in 0..40 {
        let mut client = Client::of(&service, None).await;
        client.settled().await;
        // Some begin between the launches, and stand elsewhere than the others.
        if number % 10 == 0 {
            service.run("Sample", &format!("{{\"run_of\": {number}}}")).await;
        }
        clients.push(client);
    }
    let failed = service.run("Failing", "{}").await["id"].as_i64().unwrap();
    let last = service.run("Sample", "{}").await["id"].as_i64().unwrap();
    for mut client in clients {
        client.until(|text| has_ended(text, failed) && has_ended(text, last)).await;
    }
    // Whoever comes back goes on where it was, beside the others.
    let mut first = Client::of(&service, None).await;
    first.settled().await;
    let again = service.run("Failing", "{}").await["id"].as_i64().unwrap();
    let mut second = Client::of(&service, Some(&first.last_id())).await;
    second.until(|text| has_ended(text, again)).await;
    first.until(|text| has_ended(text, again)).await;
}
