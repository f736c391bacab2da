//! Launching over HTTP: what is accepted, what is refused, and that a repeated launch is the same launch.

use axum::body::Body;
use serde_json::json;

use crate::harness::{Service, Settings, request};

#[tokio::test]
async fn a_launch_is_answered_with_the_path_of_its_execution() {
    let service = Service::start().await;
    let answer = service.post_json("/jobs/Sample/launch", "{}").await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("location"), Some("/executions/1"));
    let expected = json!({
        "message": "Job submitted", "job_name": "Sample", "execution_id": 1, "instance_id": 1, "status": "STARTING",
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.header("idempotency-replayed"), None);
}

#[tokio::test]
async fn a_launch_needs_no_body_whatever_content_type_it_announces() {
    let service = Service::idle().await;
    assert_eq!(service.post("/jobs/Sample/launch").await.status, 202);
    let empty = request("POST", "/jobs/Chunky/launch").header("content-type", "text/plain").body(Body::empty());
    assert_eq!(service.send(empty.unwrap()).await.status, 202);
}

#[tokio::test]
async fn an_unknown_job_is_told_in_the_words_of_the_original() {
    let service = Service::idle().await;
    assert_eq!(service.post_json("/jobs/Nope/launch", "{}").await.problem(404), "Job not found");
    assert_eq!(service.post_json("/jobs/%2e%2e%2f/launch", "{}").await.problem(404), "Job not found");
    assert_eq!(service.get("/executions").await.json(), json!([]));
}

#[tokio::test]
async fn a_name_that_is_not_utf_8_is_refused() {
    let service = Service::idle().await;
    assert!(service.post("/jobs/%ff/launch").await.problem(400).contains("UTF-8"));
}

#[tokio::test]
async fn a_job_may_have_any_name_that_a_path_can_carry() {
    let service = Service::start().await;
    let execution = service.run("n%C3%A4me%20%26%20co", "{}").await;
    assert_eq!((&execution["job_name"], &execution["status"]), (&json!("näme & co"), &json!("COMPLETED")));
}

#[tokio::test]
async fn a_second_launch_of_a_running_instance_is_refused_and_names_the_running_one() {
    let service = Service::idle().await;
    service.post_json("/jobs/Sample/launch", r#"{"a":1}"#).await;
    for path in ["/jobs/Sample/launch", "/jobs/Sample/launch?force=true"] {
        let answer = service.post_json(path, r#"{"a":1}"#).await;
        assert!(answer.problem(409).contains("execution 1"));
        assert_eq!(answer.json()["execution_id"], 1);
        assert_eq!(answer.json()["type"], "urn:oxbatch:problem:already-running");
    }
    assert_eq!(service.post_json("/jobs/Sample/launch", r#"{"a":2}"#).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_concurrent_launches_of_one_instance_one_is_accepted() {
    let service = std::sync::Arc::new(Service::idle().await);
    let launches: Vec<_> = (0..64)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { service.post_json("/jobs/Sample/launch", "{}").await })
        })
        .collect();
    let mut accepted = 0;
    for launch in launches {
        let answer = launch.await.unwrap();
        match answer.status.as_u16() {
            202 => accepted += 1,
            _ => {
                answer.problem(409);
                assert_eq!(answer.json()["execution_id"], 1);
            }
        }
    }
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_come_back() {
    let service = Service::with(Settings { idle: true, queue_limit: Some(2), ..Settings::default() }).await;
    for n in 0..2 {
        assert_eq!(service.post_json("/jobs/Sample/launch", &format!(r#"{{"n":{n}}}"#)).await.status, 202);
    }
    let answer = service.post_json("/jobs/Sample/launch", r#"{"n":2}"#).await;
    assert!(answer.problem(429).contains("queue is full"));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn force_runs_again_what_is_complete() {
    let service = Service::start().await;
    service.run("Sample", "{}").await;
    let again = service.run("Sample", "{}").await;
    assert_eq!(again["forced"], false);
    assert_eq!(service.get("/executions/2/steps").await.json(), json!([]));
    let answer = service.post("/jobs/Sample/launch?force=true&wait=1m").await;
    assert_eq!(answer.json()["status"], "COMPLETED");
    assert_eq!(service.get("/executions/3").await.json()["forced"], true);
    assert_eq!(service.get("/executions/3/steps").await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_launch_that_waits_is_answered_with_the_final_status() {
    let service = Service::start().await;
    assert_eq!(service.post("/jobs/Failing/launch?wait=1m").await.json()["status"], "FAILED");
}

#[tokio::test]
async fn a_wait_that_is_over_is_answered_with_the_status_then() {
    let service = Service::idle().await;
    assert_eq!(service.post("/jobs/Sample/launch?wait=1ms").await.json()["status"], "STARTING");
}

#[tokio::test]
async fn a_wait_ends_when_the_service_shuts_down() {
    let service = Service::idle().await;
    service.shutdown.cancel();
    assert_eq!(service.post("/jobs/Sample/launch?wait=5m").await.json()["status"], "STARTING");
}

#[tokio::test]
async fn without_a_free_place_to_wait_the_answer_comes_at_once() {
    let mut settings = Settings { idle: true, ..Settings::default() };
    settings.server.limits.max_waiting = 0;
    let service = Service::with(settings).await;
    assert_eq!(service.post("/jobs/Sample/launch?wait=5m").await.json()["status"], "STARTING");
}

#[tokio::test]
async fn waits_and_flags_that_do_not_fit_are_refused_by_name() {
    let service = Service::idle().await;
    for query in ["wait=", "wait=30", "wait=-1s", "wait=6m", "wait=301s", "wait=1h", "wait=99999999999s", "wait=1.5s"] {
        let answer = service.post(&format!("/jobs/Sample/launch?{query}")).await;
        assert!(answer.problem(400).contains("'wait' must be a time such as 500ms, 30s or 2m"), "{}", answer.text);
        assert_eq!(answer.json()["parameter"], "wait");
    }
    for query in ["force=1", "force=", "force=True"] {
        let answer = service.post(&format!("/jobs/Sample/launch?{query}")).await;
        assert!(answer.problem(400).contains("'force' must be true or false"));
    }
    let twice = service.post("/jobs/Sample/launch?force=true&force=true").await;
    assert_eq!(twice.problem(400), "parameter 'force' is given more than once");
    assert_eq!(service.get("/executions").await.json(), json!([]));
}

#[tokio::test]
async fn the_same_key_with_the_same_launch_gets_the_first_answer_again() {
    let service = Service::start().await;
    let send = async |body: &str, path: &str| {
        let request = request("POST", path).header("content-type", "application/json").header("idempotency-key", "k-1");
        service.send(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    let first = send(r#"{"a":1}"#, "/jobs/Sample/launch").await;
    service.engine.wait(oxbatch_core::execution::ExecutionId(1), std::time::Duration::from_secs(60)).await.unwrap();
    let again = send(r#"{"a":1}"#, "/jobs/Sample/launch").await;
    assert_eq!((again.status.as_u16(), again.json()), (202, first.json()));
    assert_eq!(again.header("location"), Some("/executions/1"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let waited = send(r#"{"a":1}"#, "/jobs/Sample/launch?wait=1s").await;
    assert_eq!(waited.json()["status"], "COMPLETED");
    for (body, path) in [
        (r#"{"a":2}"#, "/jobs/Sample/launch"),
        (r#"{"a":1}"#, "/jobs/Sample/launch?force=true"),
        (r#"{"a":1}"#, "/jobs/Chunky/launch"),
    ] {
        let other = send(body, path).await;
        assert!(other.problem(422).contains("'k-1'"));
        assert_eq!(other.json()["execution_id"], 1);
    }
    assert_eq!(service.get("/executions").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_is_empty_too_long_or_not_visible_is_refused() {
    let service = Service::idle().await;
    let long = "k".repeat(256);
    for key in ["", "a b", "ä", long.as_str()] {
        let request = request("POST", "/jobs/Sample/launch").header("idempotency-key", key.as_bytes());
        assert!(service.send(request.body(Body::empty()).unwrap()).await.problem(400).contains("idempotency-key"));
    }
    let twice = request("POST", "/jobs/Sample/launch").header("idempotency-key", "a").header("idempotency-key", "b");
    assert!(service.send(twice.body(Body::empty()).unwrap()).await.problem(400).contains("more than once"));
    let fits = request("POST", "/jobs/Sample/launch").header("idempotency-key", "k".repeat(255));
    assert_eq!(service.send(fits.body(Body::empty()).unwrap()).await.status, 202);
}

#[tokio::test]
async fn a_service_that_shuts_down_refuses_launches_and_says_so() {
    let service = Service::idle().await;
    service.engine.shutdown().await;
    let answer = service.post("/jobs/Sample/launch").await;
    assert!(answer.problem(503).contains("shutting down"));
    assert!(answer.header("retry-after").is_some());
}
