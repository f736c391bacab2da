//! The jobs that the service knows.

use serde_json::{Value, json};

use crate::harness::Service;

#[tokio::test]
async fn a_job_shows_its_definition() {
    let service = Service::idle().await;
    let job = service.get("/jobs/Declared").await.json();
    let day = &job["parameters"].as_array().unwrap()[3];
    let expected = json!({
        "name": "day", "type": "DATETIME", "required": true, "default": null, "default_expression": null,
        "identifying": true, "secret": false, "description": "", "allowed": [], "minimum": null, "maximum": null,
        "pattern": null,
    });
    assert_eq!(day, &expected);
    assert_eq!(job["parameters"][0]["default"], "in.csv");
    assert_eq!(job["parameters"][1]["allowed"], json!([10, 100]));
    assert_eq!(job["parameters"][4]["default"], "***");
    let step = json!({
        "name": "Only", "kind": "task", "chunk_size": null, "start_limit": 5, "max_retries": 3, "rerun_if_complete": false,
        "time_limit_seconds": null,
    });
    assert_eq!((&job["steps"], &job["flow"]), (&json!([step]), &json!(["Only"])));
    assert_eq!(job["last_execution"], Value::Null);
}

#[tokio::test]
async fn a_job_shows_how_it_fared() {
    let service = Service::start().await;
    service.run("Failing", "{}").await;
    service.run("Failing", "{}").await;
    let job = service.get("/jobs/Failing").await.json();
    assert_eq!((&job["last_execution"]["id"], &job["last_execution"]["status"]), (&json!(2), &json!("FAILED")));
    let counts = json!({
        "STARTING": 0, "STARTED": 0, "STOPPING": 0, "STOPPED": 0, "FAILED": 2, "COMPLETED": 0, "ABANDONED": 0,
    });
    assert_eq!(job["counts"], counts);
}

#[tokio::test]
async fn all_jobs_are_listed_by_name() {
    let service = Service::idle().await;
    let jobs = service.get("/jobs").await.json();
    let names: Vec<_> = jobs.as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Bare", "Chunky", "Declared", "Endless", "Failing", "Sample", "Skipping", "näme & co"]);
    assert_eq!((&jobs[0]["parameters"], &jobs[5]["parameters"]), (&json!([]), &Value::Null));
    assert_eq!((&jobs[1]["steps"][0]["kind"], &jobs[1]["steps"][0]["chunk_size"]), (&json!("chunk"), &json!(10)));
    assert_eq!(jobs[1]["steps"][0]["rerun_if_complete"], true);
}

#[tokio::test]
async fn an_unknown_job_is_told_so() {
    let service = Service::idle().await;
    assert_eq!(service.get("/jobs/Nope").await.problem(404), "Job not found");
}
