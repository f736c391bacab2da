//! New runs and jobs that are not restartable, over HTTP.

use axum::body::Body;
use oxbatch_core::{BoxError, Job, ParameterDeclaration, TaskStep};
use serde_json::json;

use crate::harness::{Service, Settings, request};

fn once() -> Job {
    Job::builder("Once")
        .restartable(false)
        .parameter(ParameterDeclaration::integer("number"))
        .step(TaskStep::builder("Fail", |_| -> Result<(), BoxError> { Err("no paper".into()) }))
        .build()
        .unwrap()
}

#[tokio::test]
async fn each_new_run_has_an_instance_and_a_number_of_its_own() {
    let service = Service::start().await;
    for run in 1..=3 {
        let answer = service.post_json("/jobs/Sample/launch?new=true&wait=1m", r#"{"day":"2024-01-01"}"#).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("COMPLETED")), "{}", answer.text);
        let execution = service.get(answer.header("location").unwrap()).await.json();
        assert_eq!(execution["parameters"], json!({ "day": "2024-01-01", "run": run }));
        assert_eq!(execution["job_instance_id"], run);
    }
    let plain = service.run("Sample", r#"{"day":"2024-01-01","run":2}"#).await;
    assert_eq!(plain["job_instance_id"], 2, "its number is a parameter like any other");
    // A job that takes no parameters takes new runs.
    let bare = service.post_json("/jobs/Bare/launch?new=true&wait=1m", "{}").await;
    assert_eq!(bare.status, 202, "{}", bare.text);
}

#[tokio::test]
async fn a_repeated_new_run_is_the_same_run() {
    let service = Service::idle().await;
    let launch = |query: &str, key: &str| {
        request("POST", &format!("/jobs/Sample/launch{query}"))
            .header("idempotency-key", key)
            .body(Body::empty())
            .unwrap()
    };
    let first = service.send(launch("?new=true", "a")).await;
    let again = service.send(launch("?new=true", "a")).await;
    assert_eq!((first.status.as_u16(), again.header("idempotency-replayed")), (202, Some("true")));
    assert_eq!(first.header("location"), again.header("location"));
    assert!(service.send(launch("", "a")).await.problem(422).contains("was used for another launch"));
    let second = service.send(launch("?new=true", "b")).await;
    let execution = service.get(second.header("location").unwrap()).await.json();
    assert_eq!(execution["parameters"], json!({ "run": 2 }));
}

#[tokio::test]
async fn a_new_run_is_given_no_number() {
    let service = Service::idle().await;
    let refused = service.post_json("/jobs/Sample/launch?new=true", r#"{"run":7}"#).await;
    assert!(refused.problem(422).starts_with("parameter 'run' is given, and a new run chooses it"), "{}", refused.text);
    service.post("/jobs/Sample/launch?new=perhaps").await.problem(400);
    assert_eq!(service.get("/executions").await.json(), json!([]));
}

#[tokio::test]
async fn what_is_not_restartable_is_refused_after_a_failure_and_can_be_forced_or_run_anew() {
    let service = Service::with(Settings { jobs: vec![once()], ..Settings::default() }).await;
    assert_eq!(service.get("/jobs/Once").await.json()["restartable"], false);
    assert_eq!(service.get("/jobs/Sample").await.json()["restartable"], true);
    assert_eq!(service.run("Once", r#"{"number":1}"#).await["status"], "FAILED");
    let refused = service.post_json("/jobs/Once/launch", r#"{"number":1}"#).await;
    assert_eq!(
        refused.problem(409),
        "execution 1, the last of this job instance, is FAILED, and its job is not restartable; launch it as a new run, or \
         with force to run every step from the start"
    );
    assert_eq!(refused.json()["execution_id"], 1);
    assert_eq!(refused.json()["type"], "urn:oxbatch:problem:not-restartable");
    let restart = service.post("/executions/1/restart").await;
    assert!(
        restart.problem(409).starts_with("execution 1 is FAILED and cannot be restarted: its job is not restartable")
    );
    for query in ["?force=true&wait=1m", "?new=true&wait=1m"] {
        let answer = service.post_json(&format!("/jobs/Once/launch{query}"), r#"{"number":1}"#).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("FAILED")), "{query}");
    }
}
