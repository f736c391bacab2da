//! Parameters of a launch: their types, their errors, and how they are shown.

use axum::body::Body;
use serde_json::{Value, json};

use crate::harness::{Service, request};

#[tokio::test]
async fn parameters_keep_their_types() {
    let service = Service::start().await;
    let given =
        r#"{"start_date":"2024-01-01","at":"2024-01-01T10:00:00+02:00","batch_size":100,"threshold":0.95,"note":"x"}"#;
    let execution = service.run("Sample", given).await;
    let shown = json!({
        "start_date": "2024-01-01", "at": "2024-01-01T08:00:00.000000Z", "batch_size": 100, "threshold": 0.95, "note": "x",
    });
    assert_eq!(execution["parameters"], shown);
    let rows = service.get("/instances/1/parameters").await.json();
    let rows: Vec<_> = rows.as_array().unwrap().iter().collect();
    let names: Vec<_> = rows.iter().map(|row| row["key_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["at", "batch_size", "note", "start_date", "threshold"]);
    let types: Vec<_> = rows.iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["DATETIME", "INTEGER", "STRING", "DATETIME", "FLOAT"]);
    for (row, field) in rows.iter().zip(["date_value", "long_value", "string_value", "date_value", "double_value"]) {
        assert_eq!(row[field], row["value"]);
        assert_eq!(set_fields(row), [field]);
        assert_eq!((&row["job_instance_id"], &row["identifying"]), (&json!(1), &json!(true)));
        assert!(row["id"].is_i64());
    }
    assert_eq!(rows[3]["date_value"], "2024-01-01");
}

fn set_fields(row: &Value) -> Vec<&'static str> {
    let fields = ["string_value", "long_value", "double_value", "date_value"];
    fields.into_iter().filter(|field| !row[field].is_null()).collect()
}

#[tokio::test]
async fn secrets_are_masked_wherever_parameters_are_shown() {
    let service = Service::start().await;
    let given = r#"{"day":"2024-01-01","token":"s3cr3t","pin":424242}"#;
    let execution = service.run("Declared", given).await;
    assert_eq!((&execution["parameters"]["token"], &execution["parameters"]["pin"]), (&json!("***"), &json!("***")));
    for path in ["/executions", "/executions/1", "/instances/1/parameters", "/jobs", "/jobs/Declared"] {
        let text = service.get(path).await.text;
        assert!(!text.contains("s3cr3t") && !text.contains("424242") && !text.contains("hush"), "{path}: {text}");
    }
    let rows = service.get("/instances/1/parameters").await.json();
    for row in
        rows.as_array().unwrap().iter().filter(|row| ["token", "pin"].contains(&row["key_name"].as_str().unwrap()))
    {
        assert_eq!((&row["value"], &row["string_value"]), (&json!("***"), &json!("***")));
        assert_eq!(set_fields(row), ["string_value"]);
        assert_eq!(row["identifying"], false);
    }
}

#[tokio::test]
async fn every_parameter_that_is_at_fault_is_named_at_once() {
    let service = Service::idle().await;
    let answer = service.post_json("/jobs/Declared/launch", r#"{"size":7,"colour":"red","input":null}"#).await;
    answer.problem(422);
    let problem = answer.json();
    assert_eq!(problem["parameter"], "size");
    let names: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["parameter"]).collect();
    assert_eq!(names, ["size", "colour", "input", "day"]);
    assert!(problem["errors"].as_array().unwrap().iter().all(|error| error["message"].is_string()));
}

#[tokio::test]
async fn values_that_no_parameter_can_have_are_refused_by_name_and_nothing_is_stored() {
    let service = Service::idle().await;
    let long = format!("\"{}\"", "x".repeat(40_000));
    for value in ["true", "null", "[1]", "{}", "9223372036854775808", "1e999", r#""a\u0000b""#, &long] {
        let answer = service.post_json("/jobs/Sample/launch", &format!(r#"{{"p":{value}}}"#)).await;
        assert!(answer.problem(422).contains("parameter 'p'"), "{value}: {}", answer.text);
        assert_eq!(answer.json()["parameter"], "p");
    }
    let twice = service.post_json("/jobs/Sample/launch", r#"{"p":1,"p":2}"#).await;
    assert!(twice.problem(422).contains("more than once"));
    let unknown = service.post_json("/jobs/Bare/launch", r#"{"p":1}"#).await;
    assert!(unknown.problem(422).contains("takes no parameters"));
    assert_eq!(service.get("/instances").await.json(), json!([]));
    assert_eq!(service.get("/executions").await.json(), json!([]));
}

#[tokio::test]
async fn a_body_that_is_no_json_is_told_where_it_goes_wrong() {
    let service = Service::idle().await;
    let deep = "[".repeat(100_000);
    for body in ["{", "{\"a\":}", "{\"a\":1}x", "nope", "{\"a\":\"\u{1}\"}", &format!("{{\"a\":{deep}")] {
        let detail = service.post_json("/jobs/Sample/launch", body).await.problem(400);
        assert!(detail.contains("line 1 column"), "{detail}");
    }
    let request = request("POST", "/jobs/Sample/launch").header("content-type", "application/json");
    service.send(request.body(Body::from(vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}'])).unwrap()).await.problem(400);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_told_what_one_looks_like() {
    let service = Service::idle().await;
    for body in ["[]", "1", "\"a\"", "null", "true"] {
        let detail = service.post_json("/jobs/Sample/launch", body).await.problem(422);
        assert!(detail.contains("must be a JSON object of parameters"), "{detail}");
    }
}

#[tokio::test]
async fn a_body_of_another_content_type_is_refused() {
    let service = Service::idle().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let request = request("POST", "/jobs/Sample/launch").header("content-type", content_type);
        assert!(service.send(request.body(Body::from("{}")).unwrap()).await.problem(415).contains("application/json"));
    }
    let none = request("POST", "/jobs/Sample/launch").body(Body::from("{}"));
    service.send(none.unwrap()).await.problem(415);
    let charset = request("POST", "/jobs/Sample/launch").header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(service.send(charset.body(Body::from("{}")).unwrap()).await.status, 202);
}
