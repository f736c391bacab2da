//! The JSON Schema of a job's parameters: what a validator of the standard says of bodies is what their launches are
//! answered.

use boon::{Compiler, SchemaIndex, Schemas};
use oxbatch_core::{Job, ParameterDeclaration, TaskStep};
use serde_json::{Value, json};

use crate::harness::{Service, Settings};

/// A schema of the service, compiled.
struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    async fn of(service: &Service, job: &str) -> Self {
        let answer = service.get(&format!("/jobs/{job}/parameters-schema")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/schema+json")));
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource("job.json", answer.json()).unwrap();
        let index = compiler.compile("job.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn takes(&self, body: &Value) -> bool {
        self.schemas.validate(body, self.index).is_ok()
    }
}

fn strict() -> Job {
    Job::builder("Strict")
        .parameter(ParameterDeclaration::date_time("day").default_expression("yesterday in Europe/Berlin"))
        .parameter(ParameterDeclaration::date_time("since").allowed([
            oxbatch_core::DateTime::parse("2024-01-01").unwrap(),
            oxbatch_core::DateTime::parse("2024-02-01T08:00:00Z").unwrap(),
        ]))
        .parameter(ParameterDeclaration::string("region").required().pattern("[A-Z]{2}", "a country code such as DE"))
        .parameter(ParameterDeclaration::string("sku").pattern(r"\d{3}-\w+|none", "an article number"))
        .parameter(ParameterDeclaration::integer("size").between(1, 500))
        .parameter(ParameterDeclaration::integer("count"))
        .parameter(ParameterDeclaration::float("share").non_identifying())
        .parameter(ParameterDeclaration::string("token").secret())
        .parameters_rule(|parameters| match (parameters.integer("size"), parameters.integer("count")) {
            (Ok(size), Ok(count)) if count > size => {
                Err(format!("count ({count}) must not be greater than size ({size})"))
            }
            _ => Ok(()),
        })
        .step(TaskStep::builder("Only", |_| Ok(())))
        .build()
        .unwrap()
}

pub(crate) async fn service() -> Service {
    Service::with(Settings { idle: true, jobs: vec![strict()], ..Settings::default() }).await
}

/// Bodies on both sides of each keyword.
fn bodies() -> Vec<(&'static str, Value, bool)> {
    let region = |name: &str, value: Value| json!({ "region": "DE", name: value });
    let of = |name: &str, value: Value, fits: bool| ("Strict", region(name, value), fits);
    vec![
        ("Strict", json!({ "region": "DE" }), true),
        ("Strict", json!({}), false),
        ("Strict", json!([]), false),
        ("Strict", json!({ "region": "de" }), false),
        ("Strict", json!({ "region": "DEU" }), false),
        of("day", json!("2024-02-29"), true),
        of("day", json!("2024-02-29T08:30:00Z"), true),
        of("day", json!("2024-02-29T08:30:00.123456+02:00"), true),
        of("day", json!("2024-02-29T08:30"), true),
        of("day", json!("2024-02-29 08:30:00.5"), true),
        of("day", json!("2023-02-29"), false),
        of("day", json!("2024-13-01T08:30"), false),
        of("day", json!("29.02.2024"), false),
        of("day", json!("yesterday"), false),
        of("day", json!(20_240_229), false),
        of("since", json!("2024-01-01"), true),
        of("since", json!("2024-01-02"), false),
        of("sku", json!("123-ab_C"), true),
        of("sku", json!("none"), true),
        of("sku", json!("none of it"), false),
        of("sku", json!("123-"), false),
        of("sku", json!("٣٣٣-a"), false),
        of("size", json!(1), true),
        of("size", json!(500), true),
        of("size", json!(0), false),
        of("size", json!(501), false),
        of("size", json!(1.5), false),
        of("size", json!("1"), false),
        of("count", json!(i64::MIN), true),
        of("count", json!(u64::MAX), false),
        of("count", json!(null), false),
        of("share", json!(0.5), true),
        of("share", json!(2), true),
        of("share", json!("0.5"), false),
        of("share", json!(true), false),
        of("token", json!("s3cr3t"), true),
        of("token", json!(["s3cr3t"]), false),
        of("colour", json!("red"), false),
        ("Bare", json!({}), true),
        ("Bare", json!({ "a": 1 }), false),
        ("Sample", json!({ "a": 1, "b": "x", "c": 0.5, "d": "2024-01-01" }), true),
        ("Sample", json!({ "a": true }), false),
        ("Sample", json!({ "": 1 }), false),
        ("Declared", json!({ "day": "2024-01-01", "size": 10, "pin": 4711 }), true),
        ("Declared", json!({ "day": "2024-01-01", "size": 11 }), false),
    ]
}

#[tokio::test]
async fn a_body_is_valid_under_the_schema_exactly_when_its_launch_is_taken() {
    let service = service().await;
    for (job, body, fits) in bodies() {
        let schema = Schema::of(&service, job).await;
        assert_eq!(schema.takes(&body), fits, "the schema: {job} {body}");
        let answer = service.post_json(&format!("/jobs/{job}/launch?new=true"), &body.to_string()).await;
        assert_eq!(answer.status.as_u16(), if fits { 202 } else { 422 }, "the launch: {job} {body}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_default_values_of_a_schema_are_valid_under_it() {
    let service = service().await;
    let schema = Schema::of(&service, "Declared").await;
    let mut body = json!({ "day": "2024-01-01" });
    let document = service.get("/jobs/Declared/parameters-schema").await.json();
    for (name, declared) in document["properties"].as_object().unwrap() {
        if let Some(default) = declared.get("default") {
            body[name] = default.clone();
        }
    }
    assert!(schema.takes(&body), "{body}");
    assert_eq!(
        body,
        json!({ "day": "2024-01-01", "input": "in.csv", "since": "2024-01-01" }),
        "no secret is a part of it"
    );
}

#[tokio::test]
async fn rules_over_several_parameters_refuse_a_launch_with_a_sentence_and_no_name() {
    let service = service().await;
    let body = r#"{"region":"DE","size":1,"count":2}"#;
    let answer = service.post_json("/jobs/Strict/launch", body).await;
    assert_eq!(answer.problem(422), "count (2) must not be greater than size (1)");
    let problem = answer.json();
    assert_eq!(problem["errors"], json!([{ "message": "count (2) must not be greater than size (1)" }]));
    assert_eq!(problem.get("parameter"), None);
    let refused = service.post_json("/jobs/Strict/launch", r#"{"region":"Germany"}"#).await;
    assert_eq!(refused.problem(422), "parameter 'region' must be a country code such as DE");
}

#[tokio::test]
async fn an_unknown_job_has_no_schema() {
    assert_eq!(service().await.get("/jobs/Nope/parameters-schema").await.problem(404), "Job not found");
}
