//! Bounds on sizes and numbers.

use std::sync::Arc;

use axum::body::Body;
use futures_util::stream;
use oxbatch_core::execution::ExecutionId;

use crate::harness::{Service, Settings, request, until};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused_and_says_what_to_do() {
    let service = Service::idle().await;
    let padded = |size: usize| format!("{{{}}}", " ".repeat(size - 2));
    let answer = service.post_json("/jobs/Sample/launch", &padded(MIB + 1)).await;
    assert!(answer.problem(413).contains("1048576 bytes"));
    assert_eq!(service.post_json("/jobs/Sample/launch", &padded(MIB)).await.status, 202);
}

#[tokio::test]
async fn an_announced_size_is_refused_on_every_path_before_the_body_is_read() {
    let service = Service::idle().await;
    for path in ["/jobs/Sample/launch", "/executions/1/stop", "/executions/1/abandon"] {
        let request =
            request("POST", path).header("content-length", (2 * MIB).to_string()).header("expect", "100-continue");
        service.send(request.body(Body::empty()).unwrap()).await.problem(413);
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused_at_the_limit() {
    let service = Service::idle().await;
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
    let request = request("POST", "/jobs/Sample/launch").header("content-type", "application/json");
    service.send(request.body(Body::from_stream(endless)).unwrap()).await.problem(413);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let service = Service::idle().await;
    let parts = stream::iter([Ok(b"{".to_vec()), Err(std::io::Error::other("gone"))]);
    let request = request("POST", "/jobs/Sample/launch").header("content-type", "application/json");
    let detail = service.send(request.body(Body::from_stream(parts)).unwrap()).await.problem(400);
    assert!(detail.contains("before it was complete"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let mut settings = Settings { idle: true, ..Settings::default() };
    settings.server.limits.body_timeout = std::time::Duration::from_millis(20);
    let service = Service::with(settings).await;
    let silent = stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let request = request("POST", "/jobs/Sample/launch").header("content-type", "application/json");
    assert!(service.send(request.body(Body::from_stream(silent)).unwrap()).await.problem(408).contains("20ms"));
}

#[tokio::test]
async fn a_request_too_many_is_told_to_come_back() {
    let mut settings = Settings::default();
    settings.server.limits.max_requests = 1;
    let service = Arc::new(Service::with(settings).await);
    let busy = {
        let service = service.clone();
        tokio::spawn(async move { service.post("/jobs/Endless/launch?wait=5m").await })
    };
    // Asked behind the router, so that nothing else takes the one place.
    until(async || service.engine.execution(ExecutionId(1)).await.is_ok()).await;
    let answer = service.get("/executions").await;
    assert!(answer.problem(503).contains("too many requests"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(service.get("/health/ready").await.status, 200);
    service.shutdown.cancel();
    assert_eq!(busy.await.unwrap().status, 202);
}
