//! Job instances as they are shown and listed.

use serde_json::json;

use crate::harness::Service;

#[tokio::test]
async fn launches_with_the_same_parameters_are_executions_of_one_instance() {
    let service = Service::start().await;
    service.run("Failing", r#"{"a":1}"#).await;
    service.run("Failing", r#"{"a":1}"#).await;
    service.run("Failing", r#"{"a":2}"#).await;
    let instances = service.get("/instances").await.json();
    let ids: Vec<_> = instances.as_array().unwrap().iter().map(|instance| &instance["id"]).collect();
    assert_eq!(ids, [2, 1]);
    let first = service.get("/instances/1").await.json();
    assert_eq!(first, instances[1]);
    assert_eq!(first.as_object().unwrap().len(), 7);
    assert_eq!((&first["parameters"], &first["last_execution_id"]), (&json!({"a": 1}), &json!(2)));
    assert_eq!(first["last_status"], "FAILED");
    assert_eq!((&first["job_name"], first["job_key"].as_str().unwrap().len()), (&json!("Failing"), 64));
    let executions = service.get("/instances/1/executions").await.json();
    let ids: Vec<_> = executions.as_array().unwrap().iter().map(|execution| &execution["id"]).collect();
    assert_eq!(ids, [2, 1]);
    assert_eq!(service.get("/instances/1/executions?status=COMPLETED").await.json(), json!([]));
}

#[tokio::test]
async fn instances_are_filtered_and_paged() {
    let service = Service::idle().await;
    for n in 0..3 {
        service.post_json("/jobs/Sample/launch", &format!(r#"{{"n":{n}}}"#)).await;
    }
    service.post("/jobs/Chunky/launch").await;
    assert_eq!(service.get("/instances?job=Chunky").await.json().as_array().unwrap().len(), 1);
    let page = service.get("/instances?job=Sample&limit=2").await;
    assert_eq!(page.header("link"), Some("</instances?job=Sample&limit=2&cursor=i2>; rel=\"next\""));
    let rest = service.get("/instances?job=Sample&limit=2&cursor=i2").await;
    assert_eq!((&rest.json()[0]["id"], rest.header("link")), (&json!(1), None));
}

#[tokio::test]
async fn instances_are_counted_of_all_jobs_or_of_one() {
    let service = Service::idle().await;
    for n in 0..3 {
        service.post_json("/jobs/Sample/launch", &format!(r#"{{"n":{n}}}"#)).await;
    }
    service.post("/jobs/Chunky/launch").await;
    assert_eq!(service.get("/instances/count").await.json(), json!({"count": 4}));
    assert_eq!(service.get("/instances/count?job=Sample").await.json(), json!({"count": 3}));
    assert_eq!(service.get("/instances/count?job=Failing").await.json(), json!({"count": 0}));
    service.get("/instances/count?job=Nope").await.problem(404);
    service.get("/instances/count?limit=1").await.problem(400);
}

#[tokio::test]
async fn the_executions_of_an_instance_are_paged_under_its_path() {
    let service = Service::start().await;
    for _ in 0..3 {
        service.run("Failing", "{}").await;
    }
    let page = service.get("/instances/1/executions?limit=2").await;
    assert_eq!(page.header("link"), Some("</instances/1/executions?limit=2&cursor=e2>; rel=\"next\""));
}

#[tokio::test]
async fn an_instance_without_parameters_has_an_empty_list_of_them() {
    let service = Service::idle().await;
    service.post("/jobs/Sample/launch").await;
    assert_eq!(service.get("/instances/1/parameters").await.json(), json!([]));
}

#[tokio::test]
async fn an_unknown_instance_is_told_so() {
    let service = Service::idle().await;
    for path in ["/instances/7", "/instances/7/executions", "/instances/7/parameters", "/instances/0"] {
        assert_eq!(service.get(path).await.problem(404), "Instance not found");
    }
    assert!(service.get("/instances/abc/parameters").await.problem(400).contains("'abc'"));
}
