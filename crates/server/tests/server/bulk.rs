//! Bulk work: counted, done by the node, its results, and the refusal of the same at once.

use serde_json::{Value, json};

use crate::harness::{Service, until};

async fn bulk(service: &Service, body: Value) -> crate::harness::Answer {
    service.post_json("/bulk", &body.to_string()).await
}

async fn ended(service: &Service, id: i64) -> Value {
    let path = format!("/bulk/{id}");
    until(async || service.get(&path).await.json()["status"] != "RUNNING").await;
    service.get(&path).await.json()
}

#[tokio::test]
async fn the_last_executions_alone_are_restarted_and_the_others_are_left_out_with_a_reason() {
    let service = Service::start().await;
    service.run("Failing", r#"{"a":1}"#).await;
    service.run("Failing", r#"{"a":1}"#).await;
    service.run("Failing", r#"{"a":2}"#).await;
    service.run("Sample", "{}").await;
    let filter = json!({"status": ["FAILED", "COMPLETED"]});
    let plan = bulk(&service, json!({"action": "RESTART", "filter": filter, "dry_run": true})).await;
    let expected = json!({
        "found": 4, "acted_on": 2, "has_more": false,
        "left_out": {
            "a later execution of the same instance stands for it": 1,
            "it is COMPLETED: only what has failed or was stopped is restarted": 1,
        },
    });
    assert_eq!((plan.status.as_u16(), plan.json()), (200, expected));
    assert_eq!(service.get("/bulk").await.json(), json!([]));
    let begun = bulk(&service, json!({"action": "RESTART", "filter": filter})).await;
    assert_eq!((begun.status.as_u16(), begun.header("location")), (202, Some("/bulk/1")));
    let done = ended(&service, 1).await;
    assert_eq!((&done["status"], &done["done"], &done["left_out"]), (&json!("ENDED"), &json!(2), &json!(2)));
    let results = service.get("/bulk/1/results").await.json();
    let of = |id: i64| results.as_array().unwrap().iter().find(|result| result["execution_id"] == id).unwrap().clone();
    // The newest first: its own restart of the second one is the last by then.
    assert_eq!(of(1)["message"], "execution 6 of the same instance came after it");
    assert_eq!((&of(2)["outcome"], of(2)["new_execution_id"].as_i64() > Some(4)), (&json!("DONE"), true));
    assert_eq!(of(4)["outcome"], "LEFT_OUT");
    // Its own restarts are none of its executions.
    assert_eq!(results.as_array().unwrap().len(), 4);
    let page = service.get("/bulk/1/results?limit=3").await;
    assert_eq!((page.json().as_array().unwrap().len(), page.header("link").is_some()), (3, true));
    assert!(service.post("/bulk/1/cancel").await.problem(409).contains("bulk 1 is ENDED and cannot be cancelled"));
}

#[tokio::test]
async fn what_waits_is_stopped_and_then_abandoned() {
    let service = Service::start().await;
    service.post("/jobs/Endless/launch").await;
    service.until_running(1).await;
    bulk(&service, json!({"action": "STOP", "filter": {"job": "Endless"}})).await;
    assert_eq!(ended(&service, 1).await["done"], 1);
    until(async || service.get("/executions/1").await.json()["status"] == "STOPPED").await;
    bulk(&service, json!({"action": "ABANDON", "filter": {"job": "Endless", "status": ["STOPPED"]}})).await;
    assert_eq!(ended(&service, 2).await["done"], 1);
    assert_eq!(service.get("/executions/1").await.json()["status"], "ABANDONED");
}

#[tokio::test]
async fn of_two_operators_at_one_button_the_other_reads_why() {
    // No node takes it.
    let service = Service::idle().await;
    let body = json!({"action": "STOP", "filter": {"job": "Sample"}});
    assert_eq!(bulk(&service, body.clone()).await.status, 202);
    let second = bulk(&service, body.clone()).await;
    assert!(second.problem(409).contains("bulk 1 does the same and is running"), "{}", second.text);
    assert_eq!(service.post("/bulk/1/cancel").await.json()["status"], "CANCELLED");
    assert_eq!(bulk(&service, body).await.status, 202);
}

#[tokio::test]
async fn what_is_no_bulk_is_refused() {
    let service = Service::idle().await;
    let refused = bulk(&service, json!({"action": "STOP", "filter": {}})).await;
    assert!(refused.problem(409).contains("a bulk needs a filter"), "{}", refused.text);
    for wrong in [
        json!({"action": "PAUSE", "filter": {"job": "Sample"}}),
        json!({"action": "STOP", "filter": {"status": ["BAD"]}}),
        json!({"action": "STOP", "filter": {"from": "yesterday"}}),
        json!({"action": "STOP", "filter": {"colour": "red"}}),
        json!({"action": "STOP", "filter": {"instance": 0}}),
        json!({"action": "STOP"}),
    ] {
        bulk(&service, wrong).await.problem(422);
    }
    assert_eq!(service.get("/bulk/9").await.problem(404), "Bulk not found");
    assert_eq!(service.get("/bulk/9/results").await.problem(404), "Bulk not found");
    assert_eq!(service.post("/bulk/9/cancel").await.problem(404), "Bulk not found");
    service.get("/bulk/1/results?cursor=e1").await.problem(400);
}
