//! Nodes: list, drain, take work again; priorities and limits on the way.

use serde_json::json;

use crate::harness::Service;

#[tokio::test]
async fn nodes_are_listed_with_what_they_run() {
    let service = Service::start().await;
    service.post("/jobs/Endless/launch").await;
    service.until_running(1).await;
    let nodes = service.get("/nodes").await.json();
    let node = &nodes[0];
    assert_eq!(nodes.as_array().unwrap().len(), 1);
    assert_eq!((&node["name"], &node["state"], &node["drain"]), (&json!("test-node"), &json!("live"), &json!(null)));
    assert_eq!(node["running"], json!([{"execution_id": 1, "job_name": "Endless"}]));
    assert_eq!((&node["capacity"], &node["jobs"][0]), (&json!(8), &json!("Bare")));
    assert!(node["last_heartbeat"].as_str().unwrap().ends_with('Z') && node["version"].is_string());
    service.post("/executions/1/stop?wait=1m").await;
}

#[tokio::test]
async fn a_drained_node_takes_no_work_until_it_is_told_to_go_on() {
    let service = Service::start().await;
    let id = service.get("/nodes").await.json()[0]["id"].as_str().unwrap().to_owned();
    let drained = service.post(&format!("/nodes/{id}/drain?stop=false&exit=false")).await;
    assert_eq!(drained.status, 200);
    assert_eq!(drained.json()["state"], "draining");
    assert_eq!(drained.json()["drain"], json!({"stop": false, "exit": false}));
    service.post("/jobs/Sample/launch").await;
    assert_eq!(service.get("/executions/1").await.json()["status"], "STARTING");
    let undrained = service.post(&format!("/nodes/{id}/undrain")).await.json();
    assert_eq!((&undrained["state"], &undrained["drain"]), (&json!("live"), &json!(null)));
    service.engine.wait(oxbatch_core::execution::ExecutionId(1), std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(service.get("/executions/1").await.json()["status"], "COMPLETED");
}

#[tokio::test]
async fn a_drain_with_stop_stops_what_runs_so_that_another_node_can_go_on() {
    let service = Service::start().await;
    service.post("/jobs/Endless/launch").await;
    service.until_running(1).await;
    let id = service.get("/nodes").await.json()[0]["id"].as_str().unwrap().to_owned();
    service.post(&format!("/nodes/{id}/drain?stop=true")).await;
    let ended = service.engine.wait(oxbatch_core::execution::ExecutionId(1), std::time::Duration::from_secs(60)).await;
    assert_eq!(ended.unwrap().exit_code.as_deref(), Some("SHUTDOWN"));
}

#[tokio::test]
async fn nodes_that_do_not_exist_and_ids_that_are_none_are_refused() {
    let service = Service::idle().await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    for operation in ["drain", "undrain"] {
        assert_eq!(service.post(&format!("/nodes/{nobody}/{operation}")).await.problem(404), "Node not found");
        assert!(
            service.post(&format!("/nodes/first/{operation}")).await.problem(400).contains("GET /nodes lists them")
        );
    }
    let refused = service.post(&format!("/nodes/{nobody}/drain?stop=maybe")).await;
    refused.problem(400);
    assert_eq!(refused.json()["errors"][0]["parameter"], "stop");
}

#[tokio::test]
async fn a_launch_is_given_a_priority_within_its_range() {
    let service = Service::idle().await;
    service.post("/jobs/Sample/launch?priority=-5").await;
    service.post_json("/jobs/Sample/launch", r#"{"a":1}"#).await;
    assert_eq!(service.get("/executions/1").await.json()["priority"], -5);
    assert_eq!(service.get("/executions/2").await.json()["priority"], 0);
    for bad in ["1001", "-1001", "high", "+1", "1.5"] {
        let refused = service.post(&format!("/jobs/Sample/launch?priority={bad}")).await;
        refused.problem(400);
        assert_eq!(refused.json()["errors"][0]["parameter"], "priority", "{bad}");
    }
}
