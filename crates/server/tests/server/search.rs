//! Executions by parameter and text.

use serde_json::{Value, json};

use crate::harness::Service;

async fn ids(service: &Service, query: &str) -> Vec<i64> {
    let answer = service.get(&format!("/executions?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json().as_array().unwrap().iter().map(|execution: &Value| execution["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn executions_are_found_by_what_an_operator_knows_of_them() {
    let service = Service::start().await;
    service.run("Failing", r#"{"a":1,"file":"trades 1.csv"}"#).await;
    service.run("Failing", r#"{"a":2,"file":"trades 2.csv"}"#).await;
    service.run("Sample", "{}").await;
    assert_eq!(ids(&service, "parameter=file%3Dtrades%202.csv").await, [2]);
    assert_eq!(ids(&service, "parameter=a%3D1").await, [1]);
    assert_eq!(ids(&service, "parameter=a%3D1&parameter=file%3Dx").await, Vec::<i64>::new());
    assert_eq!(ids(&service, "text=SAMPLE").await, [3]);
    assert_eq!(ids(&service, "text=nowhere").await, Vec::<i64>::new());
    assert!(service.get("/executions?parameter=a").await.problem(400).contains("must be NAME=VALUE"));
    let filter = json!({"parameter": ["a=2"], "status": ["FAILED"]});
    let body = json!({"action": "ABANDON", "filter": filter, "dry_run": true}).to_string();
    let plan = service.post_json("/bulk", &body).await;
    assert_eq!(plan.json()["acted_on"], 1);
}
