//! Conventions of every answer: request ids, problem documents, methods, health.

use axum::body::Body;
use serde_json::json;

use crate::harness::{Service, request};

#[tokio::test]
async fn a_sane_request_id_is_taken_over_and_any_other_is_replaced() {
    let service = Service::idle().await;
    let send = async |id: &[u8]| {
        let request = request("GET", "/executions/9").header("x-request-id", id);
        service.send(request.body(Body::empty()).unwrap()).await
    };
    let answer = send(b"my-id.7").await;
    assert_eq!((answer.header("x-request-id"), &answer.json()["request_id"]), (Some("my-id.7"), &json!("my-id.7")));
    let long = [b'a'; 129];
    for unfit in [&b""[..], b"a b", "ä".as_bytes(), &long] {
        let answer = send(unfit).await;
        let id = answer.header("x-request-id").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_too() {
    let service = Service::idle().await;
    for path in ["/nope", "/jobs/", "/executions/1/steps/", "/docs/nope.js", "/docs/../Cargo.toml"] {
        service.get(path).await.problem(404);
    }
}

#[tokio::test]
async fn a_refused_method_names_those_that_are_taken() {
    let service = Service::idle().await;
    for (method, path, allow) in [
        ("DELETE", "/jobs/Sample/launch", "POST"),
        ("GET", "/jobs/Sample/launch", "POST"),
        ("POST", "/executions", "GET,HEAD"),
        ("TRACE", "/executions/1", "GET,HEAD"),
        ("OPTIONS", "/instances", "GET,HEAD"),
        ("PUT", "/executions/1/stop", "POST"),
    ] {
        let answer = service.send(request(method, path).body(Body::empty()).unwrap()).await;
        answer.problem(405);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[tokio::test]
async fn calls_without_query_parameters_refuse_any() {
    let service = Service::start().await;
    service.run("Sample", "{}").await;
    for path in [
        "/jobs",
        "/jobs/Sample",
        "/executions/1",
        "/executions/1/steps",
        "/instances/1",
        "/instances/1/parameters",
        "/health/live",
        "/health/ready",
    ] {
        let answer = service.get(&format!("{path}?x=1")).await;
        assert_eq!(answer.problem(400), "parameter 'x' is unknown: this call takes none", "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_that_tells_the_caller_nothing_but_the_request_id() {
    let service = Service::idle().await;
    service.clock.break_it();
    let answer = service.post("/jobs/Sample/launch").await;
    answer.problem(500);
    assert!(!answer.text.contains("spring"), "{}", answer.text);
    assert_eq!(service.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn a_store_that_fails_is_told_without_its_internals() {
    let service = Service::idle().await;
    service.damage(
        "DROP TABLE oxbatch_idempotency_key; DROP TABLE oxbatch_step_execution; DROP TABLE oxbatch_job_execution",
    );
    let folder = service.folder.path().display().to_string();
    for answer in [service.get("/executions").await, service.post("/jobs/Sample/launch").await] {
        answer.problem(500);
        for internal in ["sqlite", "SQLite", "oxbatch_", "oxbatch.db", &folder, "table"] {
            assert!(!answer.text.contains(internal), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_store_of_another_version_makes_the_service_not_ready() {
    let service = Service::idle().await;
    service.damage("DELETE FROM oxbatch_migration");
    assert!(service.get("/health/ready").await.problem(503).contains("migration 0"));
    assert_eq!(service.get("/health/live").await.json(), json!({"status": "live"}));
}

#[tokio::test]
async fn a_ready_service_says_so_until_it_shuts_down() {
    let service = Service::idle().await;
    assert_eq!(service.get("/health/ready").await.json(), json!({"status": "ready"}));
    service.shutdown.cancel();
    assert!(service.get("/health/ready").await.problem(503).contains("shutting down"));
}

#[tokio::test]
async fn answers_forbid_caching_framing_and_foreign_use() {
    let service = Service::idle().await;
    for path in ["/jobs", "/nope"] {
        let answer = service.get(path).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}
