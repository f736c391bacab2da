//! Skipped items: pages and the whole list as JSON Lines.

use axum::body::Body;
use serde_json::{Value, json};

use crate::harness::{Service, request};

async fn skipping() -> (Service, String) {
    let service = Service::start().await;
    let launched = service.run("Skipping", "{}").await;
    let steps = service.get(&format!("/executions/{}/steps", launched["id"])).await.json();
    assert_eq!(steps[0]["process_skip_count"], 1000, "{steps}");
    assert_eq!(steps[0]["skip_count"], 1000);
    (service, format!("/steps/{}/skips", steps[0]["id"]))
}

#[tokio::test]
async fn skipped_items_are_listed_by_pages_in_their_order() {
    let (service, path) = skipping().await;
    let first = service.get(&path).await;
    let items = first.json();
    assert_eq!(items.as_array().map(Vec::len), Some(50));
    let item = &items[0];
    assert_eq!(item["phase"], "PROCESS");
    assert_eq!((&item["position"], &item["item"], &item["error"]), (&json!("number 1"), &json!("1"), &json!("odd")));
    let (mut seen, mut next) = (50, first.header("link").map(str::to_owned));
    while let Some(link) = next {
        let path = link.trim_start_matches('<').split('>').next().unwrap();
        let page = service.get(path).await;
        let items = page.json();
        assert_eq!(items[0]["item"], (2 * seen + 1).to_string());
        seen += items.as_array().unwrap().len();
        next = page.header("link").map(str::to_owned);
    }
    assert_eq!(seen, 1000);
}

#[tokio::test]
async fn control_totals_are_shown_as_exact_decimal_texts() {
    let service = Service::start().await;
    let launched = service.run("Skipping", "{}").await;
    let steps = service.get(&format!("/executions/{}/steps", launched["id"])).await.json();
    let expected = json!([
        {"name": "sum", "read": "2001000", "written": "1001000", "filtered": "0", "skipped": "1000000"},
        {"name": "halves", "read": null, "written": "500500.0", "filtered": null, "skipped": null},
    ]);
    assert_eq!(steps[0]["control_totals"], expected);
    let plain = service.run("Sample", "{}").await;
    let steps = service.get(&format!("/executions/{}/steps", plain["id"])).await.json();
    assert_eq!(steps[0]["control_totals"], json!([]));
}

#[tokio::test]
async fn all_skipped_items_are_downloaded_as_json_lines() {
    let (service, path) = skipping().await;
    let asked = request("GET", &path).header("accept", "application/x-ndjson").body(Body::empty()).unwrap();
    let answer = service.send(asked).await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let items: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(items.len(), 1000);
    assert_eq!(items[999]["item"], "1999");
}

#[tokio::test]
async fn a_step_execution_that_does_not_exist_is_not_found() {
    let service = Service::start().await;
    let detail = service.get("/steps/77/skips").await.problem(404);
    assert_eq!(detail, "Step execution not found");
    service.get("/steps/x/skips").await.problem(400);
    service.get("/steps/1/skips?cursor=e5").await.problem(400);
}
