//! The OpenAPI document and the page for people.

use axum::body::Body;
use oxbatch_core::notice::NoticeState;
use oxbatch_core::repository::FireOutcome;
use serde_json::Value;

use crate::harness::{Service, request};

#[test]
fn the_document_is_what_was_agreed() {
    insta::assert_snapshot!(oxbatch_server::document().to_pretty_json().unwrap());
}

#[tokio::test]
async fn the_document_is_served() {
    let service = Service::idle().await;
    let answer = service.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), serde_json::to_value(oxbatch_server::document()).unwrap());
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[tokio::test]
async fn every_documented_call_exists_and_every_reference_leads_somewhere() {
    let service = Service::idle().await;
    let document = serde_json::to_value(oxbatch_server::document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace("{name}", "Nope").replace("{id}", "4711");
            let request = request(&method.to_uppercase(), &path).body(Body::empty()).unwrap();
            // The one answer that has no end: `all_events` follows it.
            if path == "/events" {
                let response = tower::ServiceExt::oneshot(service.router.clone(), request).await.unwrap();
                assert_eq!(response.status(), 200);
                continue;
            }
            let answer = service.send(request).await;
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(!answer.text.contains("nothing at this path"), "{method} {path}");
        }
    }
    references(&document, &document);
}

#[tokio::test]
async fn a_body_is_required_by_just_the_calls_that_refuse_none() {
    let service = Service::idle().await;
    let document = serde_json::to_value(oxbatch_server::document()).unwrap();
    let mut required = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(body) = item["post"].get("requestBody") else { continue };
        let path = path.replace("{name}", "Nope").replace("{id}", "4711");
        let answer = service.send(request("POST", &path).body(Body::empty()).unwrap()).await;
        let is_required = body["required"] == true;
        assert_eq!([400, 415, 422].contains(&answer.status.as_u16()), is_required, "{path}: {}", answer.status);
        required += usize::from(is_required);
    }
    assert!(required > 5, "{required}");
}

#[test]
fn the_words_of_a_query_are_all_in_its_pattern() {
    let document = serde_json::to_value(oxbatch_server::document()).unwrap();
    let outcomes: Vec<_> = FireOutcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
    let states: Vec<_> = NoticeState::ALL.iter().map(|state| state.as_str()).collect();
    for (path, name, words) in [
        ("/schedules/{name}/fires", "outcome", &outcomes),
        ("/fires", "outcome", &outcomes),
        ("/notices", "state", &states),
    ] {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let parameter = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
        assert_eq!(parameter["schema"]["pattern"], format!("^({})$", words.join("|")), "{path}");
    }
}

fn references(document: &Value, part: &Value) {
    match part {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| name == "$ref") {
                    Some(target) => assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}"),
                    None => references(document, value),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| references(document, value)),
        _ => {}
    }
}

#[cfg(feature = "docs")]
#[tokio::test]
async fn the_page_for_people_comes_out_of_the_binary_alone() {
    let service = Service::idle().await;
    for path in ["/", "/docs"] {
        let answer = service.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some("/docs/")));
    }
    let page = service.get("/docs/").await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';") && policy.contains("connect-src 'self'"), "{policy}");
    let mut files = 0;
    for attribute in page.text.split(['"', '\'']).filter(|text| text.contains('.') && !text.contains(' ')) {
        let name = attribute.trim_start_matches("./");
        assert!(!name.contains("//"), "{name} is somewhere else");
        assert_eq!(service.get(&format!("/docs/{name}")).await.status, 200, "{name}");
        files += 1;
    }
    assert!(files >= 4, "{}", page.text);
    assert!(service.get("/docs/swagger-initializer.js").await.text.contains("/openapi.json"));
}
