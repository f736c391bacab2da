//! Re-runs of skipped items over HTTP.

use serde_json::json;

use crate::harness::Service;

#[tokio::test]
async fn skipped_items_are_run_again_by_an_execution_that_is_linked_both_ways() {
    let service = Service::start().await;
    let first = service.run("Skipping", "{}").await;
    let answer = service.post(&format!("/executions/{}/skips/rerun?wait=1m", first["id"])).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let rerun = answer.json();
    assert_eq!((&rerun["item_count"], &rerun["left_count"], &rerun["left"]), (&json!(1000), &json!(0), &json!([])));
    assert_eq!((&rerun["status"], &rerun["rerun_of"]), (&json!("COMPLETED"), &first["id"]));
    let second = service.get(answer.header("location").unwrap()).await.json();
    assert_eq!((&second["rerun_of"], &second["rerun_by"]), (&first["id"], &json!(null)));
    assert_ne!(second["job_instance_id"], first["job_instance_id"]);
    let first = service.get(&format!("/executions/{}", first["id"])).await.json();
    assert_eq!((&first["rerun_of"], &first["rerun_by"]), (&json!(null), &second["id"]));
    // Odd numbers are no more even than before: they are kept again, and known as run again where they were.
    let skips = async |execution: &serde_json::Value| {
        let steps = service.get(&format!("/executions/{}/steps", execution["id"])).await.json();
        service.get(&format!("/steps/{}/skips", steps[0]["id"])).await.json()
    };
    let (before, after) = (skips(&first).await, skips(&second).await);
    assert_eq!((&before[0]["complete"], &before[0]["rerun_execution_id"]), (&json!(true), &second["id"]));
    assert_eq!((&after[0]["item"], &after[0]["rerun_execution_id"]), (&json!("1"), &json!(null)));
    let detail = service.post(&format!("/executions/{}/skips/rerun", first["id"])).await.problem(409);
    assert_eq!(detail, "the skipped items of execution 1 cannot be run again: it has no skipped items left");
    let again = service.post(&format!("/executions/{}/skips/rerun?wait=1m", second["id"])).await;
    assert_eq!(again.json()["rerun_of"], second["id"]);
}

#[tokio::test]
async fn reruns_are_refused_with_a_sentence() {
    let service = Service::start().await;
    service.post("/executions/77/skips/rerun").await.problem(404);
    service.post("/executions/x/skips/rerun").await.problem(400);
    service.post("/executions/1/skips/rerun?force=true").await.problem(400);
    let plain = service.run("Sample", "{}").await;
    let answer = service.post(&format!("/executions/{}/skips/rerun", plain["id"])).await;
    assert_eq!(answer.json()["type"], "urn:oxbatch:problem:not-rerunnable");
    assert_eq!(answer.json()["execution_id"], plain["id"]);
    answer.problem(409);
    let endless = service.post("/jobs/Endless/launch").await.json();
    let path = format!("/executions/{}", endless["execution_id"]);
    let answer = service.post(&format!("{path}/skips/rerun")).await;
    assert_eq!(answer.json()["execution_id"], endless["execution_id"]);
    assert!(answer.problem(409).contains("is already running"));
    service.post(&format!("{path}/stop?wait=1m")).await;
}

#[tokio::test]
async fn a_full_queue_refuses_a_rerun() {
    let service = Service::with(crate::harness::Settings { queue_limit: Some(1), ..Default::default() }).await;
    let first = service.run("Skipping", "{}").await;
    let waiting = "INSERT INTO oxbatch_job_instance (id, job_name, job_key, create_time) VALUES (99, 'Gone', 'x', 0);
        INSERT INTO oxbatch_job_execution (job_instance_id, job_name, status, create_time, parameters, forced)
        VALUES (99, 'Gone', 'STARTING', 0, '{}', 0)";
    service.damage(waiting);
    let answer = service.post(&format!("/executions/{}/skips/rerun", first["id"])).await;
    assert!(answer.problem(429).starts_with("the queue is full"));
}
