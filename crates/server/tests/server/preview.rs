//! Previews over HTTP.

use std::sync::Arc;

use serde_json::json;

use crate::harness::{Service, Settings};

#[tokio::test]
async fn the_first_items_are_shown_and_nothing_is_stored() {
    let service = Service::start().await;
    let answer = service.post("/jobs/Chunky/preview?items=2").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let expected = json!({
        "job_name": "Chunky", "step_name": "Numbers", "parameters": {}, "end": "ENOUGH", "error": null,
        "output_count": 1, "filter_count": 1, "failure_count": 0,
        "items": [
            {"result": "FILTERED", "input": 1, "output": null, "phase": null, "position": null, "raw": null, "error": null},
            {"result": "OUTPUT", "input": 2, "output": 4, "phase": null, "position": null, "raw": null, "error": null},
        ],
    });
    assert_eq!(answer.json(), expected);
    let failing =
        service.post_json("/jobs/Skipping/preview?items=1&step=Numbers", r#"{"day":"2024-01-01"}"#).await.json();
    assert_eq!(failing["parameters"], json!({"day": "2024-01-01"}));
    let item = &failing["items"][0];
    assert_eq!(
        (&item["phase"], &item["position"], &item["error"]),
        (&json!("PROCESS"), &json!("number 1"), &json!("odd"))
    );
    assert_eq!(service.get("/executions").await.json(), json!([]));
    assert_eq!(service.get("/instances").await.json(), json!([]));
}

#[tokio::test]
async fn previews_are_refused_with_a_sentence() {
    let service = Service::start().await;
    service.post("/jobs/Nope/preview").await.problem(404);
    service.post("/jobs/Chunky/preview?items=501").await.problem(400);
    service.post("/jobs/Chunky/preview?items=0").await.problem(400);
    let detail = service.post("/jobs/Sample/preview").await.problem(409);
    assert_eq!(detail, "job 'Sample' has nothing to preview: it has no chunk step");
    let detail = service.post("/jobs/Chunky/preview?step=No").await.problem(409);
    assert_eq!(detail, "job 'Chunky' has nothing to preview: it has no step 'No'; its chunk steps are Numbers");
    service.post_json("/jobs/Chunky/preview", "[]").await.problem(422);
}

#[tokio::test]
async fn only_so_many_previews_run_at_once() {
    let mut settings = Settings::default();
    settings.server.limits.max_previews = 0;
    let service = Service::with(settings).await;
    let answer = service.post("/jobs/Chunky/preview").await;
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.problem(429), "as many previews run as may; try again later");
}

#[tokio::test]
async fn many_callers_share_the_places_and_give_them_back() {
    let service = Arc::new(Service::start().await);
    let calls = (0..16).map(|_| {
        let service = Arc::clone(&service);
        async move { service.post("/jobs/Chunky/preview").await.status.as_u16() }
    });
    let statuses = futures_util::future::join_all(calls).await;
    assert!(statuses.iter().all(|status| [200, 429].contains(status)) && statuses.contains(&200), "{statuses:?}");
    assert_eq!(service.post("/jobs/Chunky/preview").await.status, 200);
}
