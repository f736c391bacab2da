//! Streams of events: a status for each change, the steps beside it, and an end.

use axum::body::Body;
use oxbatch_server::ServerConfig;

use crate::harness::{Answer, Service, Settings, request};

/// The events with what they carry.
fn events(answer: &Answer) -> Vec<(String, serde_json::Value)> {
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("text/event-stream")));
    events_of(&answer.text)
}

/// The whole events of a piece of a stream.
pub(crate) fn events_of(text: &str) -> Vec<(String, serde_json::Value)> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|text| text.trim_start().to_owned())
    };
    let blocks = text.split_inclusive("\n\n").filter(|block| block.ends_with("\n\n") && block.contains("data:"));
    blocks
        .map(|block| {
            let data = field(block, "data").unwrap();
            (field(block, "event").unwrap(), serde_json::from_str(&data).unwrap())
        })
        .collect()
}

fn statuses(events: &[(String, serde_json::Value)]) -> Vec<&str> {
    let of = |(name, data): &'_ (String, serde_json::Value)| name == "execution" && data["status"].is_string();
    events.iter().filter(|event| of(event)).map(|(_, data)| data["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_stream_tells_each_status_and_ends_with_the_execution() {
    let service = Service::start().await;
    service.post("/jobs/Endless/launch").await;
    service.until_in_step(1, "Wait").await;
    let (answer, _) = tokio::join!(service.get("/executions/1/events"), async {
        // The stream has told that it runs before it is stopped.
        tokio::task::yield_now().await;
        service.post("/executions/1/stop").await
    });
    let events = events(&answer);
    let statuses = statuses(&events);
    assert_eq!(statuses.last(), Some(&"STOPPED"), "{events:?}");
    assert!(statuses.is_sorted_by(|one, next| one != next), "{statuses:?}");
    let (_, last_step) = events.iter().rev().find(|(name, _)| name == "step").unwrap();
    assert_eq!((&last_step["step_name"], &last_step["status"]), (&"Wait".into(), &"STOPPED".into()));
    assert!(answer.text.contains("id: end"));
}

#[tokio::test]
async fn what_has_ended_is_told_once_and_not_again_to_who_knows_it() {
    let service = Service::start().await;
    service.run("Chunky", "{}").await;
    let answer = service.get("/executions/1/events").await;
    let events = events(&answer);
    assert_eq!(statuses(&events), ["COMPLETED"]);
    let (_, step) = events.iter().find(|(name, _)| name == "step").unwrap();
    assert_eq!(step["read_count"], 50);
    let again = request("GET", "/executions/1/events").header("last-event-id", "end").body(Body::empty()).unwrap();
    assert_eq!(service.send(again).await.status, 204);
    assert_eq!(service.get("/executions/9/events").await.problem(404), "Execution not found");
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_service() {
    let mut server = ServerConfig::default();
    server.limits.max_streams = 1;
    let service = Service::with(Settings { server, ..Settings::default() }).await;
    service.post("/jobs/Endless/launch").await;
    service.until_running(1).await;
    let open = request("GET", "/executions/1/events").body(Body::empty()).unwrap();
    // Answered, it has its place, and keeps it as long as its events can be read.
    let first = tower::ServiceExt::oneshot(service.router.clone(), open).await.unwrap();
    assert_eq!(first.status(), 200);
    assert!(service.get("/executions/1/events").await.problem(503).contains("too many streams"));
    service.shutdown.cancel();
    let text = axum::body::to_bytes(first.into_body(), usize::MAX).await.unwrap();
    let events = events_of(std::str::from_utf8(&text).unwrap());
    assert!(!statuses(&events).contains(&"STOPPED"), "{events:?}");
    service.post("/executions/1/stop").await;
}
