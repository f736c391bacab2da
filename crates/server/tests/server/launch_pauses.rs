//! Pauses of launches: accepted, waiting with the reason, run when the pause has ended.

use serde_json::json;

use crate::harness::{Service, until};

#[tokio::test]
async fn what_is_launched_in_a_pause_waits_and_says_why() {
    let service = Service::start().await;
    let paused = service.post_json("/jobs/Sample/launches/pause", r#"{"reason": "release"}"#).await;
    assert_eq!((paused.status.as_u16(), &paused.json()["job"]), (200, &json!("Sample")));
    assert_eq!(service.post("/jobs/Sample/launch").await.status, 202);
    let shown = service.get("/executions/1").await.json();
    assert_eq!(shown["status"], "STARTING");
    let reason = shown["held_up_by"].as_str().unwrap();
    assert!(
        reason.starts_with("launches of job 'Sample' are paused since ") && reason.ends_with(": release"),
        "{reason}"
    );
    assert_eq!(service.get("/executions").await.json()[0]["held_up_by"], reason);
    // Another job runs meanwhile.
    assert_eq!(service.run("Failing", "{}").await["status"], "FAILED");
    assert_eq!(service.get("/launches/pauses").await.json()[0]["reason"], "release");
    assert_eq!(service.post("/jobs/Sample/launches/resume").await.status, 204);
    until(async || service.get("/executions/1").await.json()["status"] == "COMPLETED").await;
    assert!(service.get("/executions/1").await.json().get("held_up_by").is_none());
}

#[tokio::test]
async fn a_pause_that_does_not_fit_is_refused() {
    let service = Service::idle().await;
    let paused = service.post_json("/launches/pause", r#"{"reason": "all"}"#).await;
    assert_eq!((paused.status.as_u16(), &paused.json()["job"]), (200, &json!(null)));
    assert_eq!(service.post("/launches/resume").await.status, 204);
    assert!(service.post("/launches/resume").await.problem(409).contains("are not paused"));
    assert!(service.post("/jobs/Sample/launches/resume").await.problem(409).contains("are not paused"));
    assert!(service.post_json("/launches/pause", r#"{"reason": " "}"#).await.problem(409).contains("has a reason"));
    assert_eq!(service.post("/jobs/No/launches/resume").await.problem(404), "Job not found");
    service.post_json("/launches/pause", "{}").await.problem(422);
    assert_eq!(service.post_json("/jobs/No/launches/pause", r#"{"reason": "x"}"#).await.problem(404), "Job not found");
}
