//! Defaults that the moment of the launch decides, over HTTP.

use axum::body::Body;
use oxbatch_core::{BoxError, Job, ParameterDeclaration, TaskStep};
use serde_json::json;

use crate::harness::{Service, Settings, request};
use crate::parameters_schema;

#[tokio::test]
async fn a_default_of_the_moment_is_fixed_at_the_launch_by_the_clock_of_the_service() {
    let service = parameters_schema::service().await;
    let key = |key: &str| {
        let request = request("POST", "/jobs/Strict/launch").header("content-type", "application/json");
        request.header("idempotency-key", key).body(Body::from(r#"{"region":"DE"}"#)).unwrap()
    };
    service.clock.set("2026-03-01T22:59:59Z");
    let first = service.send(key("a")).await;
    let shown = service.get(first.header("location").unwrap()).await.json();
    assert_eq!(shown["parameters"]["day"], "2026-02-28");
    service.clock.set("2026-03-01T23:00:00Z");
    let again = service.send(key("a")).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "the same launch a day later is the same launch");
    assert_eq!(again.header("location"), first.header("location"));
    let next = service.send(key("b")).await;
    let shown = service.get(next.header("location").unwrap()).await.json();
    assert_eq!(shown["parameters"]["day"], "2026-03-01");
}

#[tokio::test]
async fn a_restart_has_the_values_of_the_execution_however_late_it_comes() {
    let job = Job::builder("Nightly")
        .parameter(ParameterDeclaration::date_time("day").default_expression("yesterday in Europe/Berlin"))
        .parameter(ParameterDeclaration::date_time("from").default_expression("now - 1 hour").non_identifying())
        .step(TaskStep::builder("Fail", |_| -> Result<(), BoxError> { Err("no paper".into()) }))
        .build()
        .unwrap();
    let service = Service::with(Settings { jobs: vec![job], ..Settings::default() }).await;
    service.clock.set("2026-03-29T00:30:00Z");
    let first = service.run("Nightly", "{}").await;
    let expected = json!({ "day": "2026-03-28", "from": "2026-03-28T23:30:00.000000Z" });
    assert_eq!(first["parameters"], expected);
    service.clock.set("2026-03-31T08:00:00Z");
    let restarted = service.post("/executions/1/restart").await;
    assert_eq!(restarted.status, 202, "{}", restarted.text);
    let again = service.get(restarted.header("location").unwrap()).await.json();
    assert_eq!((&again["parameters"], &again["job_instance_id"]), (&expected, &first["job_instance_id"]));
    let next = service.run("Nightly", "{}").await;
    assert_eq!((&next["parameters"]["day"], &next["job_instance_id"]), (&json!("2026-03-30"), &json!(2)));
}

#[tokio::test]
async fn a_job_shows_its_expressions_and_patterns() {
    let service = parameters_schema::service().await;
    let job = service.get("/jobs/Strict").await.json();
    assert_eq!(job["parameters"][0]["default_expression"], "yesterday in Europe/Berlin");
    let pattern = json!({ "expression": "[A-Z]{2}", "description": "a country code such as DE" });
    assert_eq!(job["parameters"][2]["pattern"], pattern);
}
