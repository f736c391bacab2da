//! Masked columns: of skipped items and previews, for each token, in each form.

use axum::body::Body;
use jiff::Timestamp;
use oxbatch_core::access::{Credential, CredentialKind, Grant, NewToken, Role};
use oxbatch_core::item::{FunctionProcessor, FunctionWriter, StreamReader};
use oxbatch_core::{ChunkStep, ItemError, Job, SkipPolicy};
use serde_json::{Value, json};

use crate::harness::{Service, Settings, request};

/// A value of the masked column, and one of another.
const IBAN: &str = "DE89370400440532013000";
const NAME: &str = "Ada Lovelace";

/// A job with records: the second fails with its masked column in the error, the third cannot be read.
fn people() -> Job {
    let records = || {
        [
            Ok(json!({"name": NAME, "iban": IBAN, "age": 36})),
            Ok(json!({"name": NAME, "account": {"IBAN": IBAN}, "age": 1})),
            Err(ItemError::parse("no number").at("people.csv:4").with_raw(format!("{NAME};{IBAN};x"))),
        ]
    };
    let step = ChunkStep::builder("Load")
        .reader(move |_| StreamReader::new(futures_util::stream::iter(records())))
        .skip(SkipPolicy::new(10))
        .processor(|_| {
            FunctionProcessor::new(|person: Value| match person["age"].as_i64() {
                Some(1) => Err(ItemError::validation(format!("the account {IBAN} of {NAME} is closed"))),
                _ => Ok(Some(json!({"iban": person["iban"], "name": person["name"]}))),
            })
        })
        .writer(|_| FunctionWriter::new(|_: &[Value]| Ok(())))
        .rerun_skips()
        .preview();
    Job::builder("People").step(step).build().unwrap()
}

async fn token(service: &Service, role: Role, data: bool) -> String {
    let token = Credential::new(CredentialKind::Token).unwrap();
    let (name, grant) = ("ci".to_owned(), Grant { role, data });
    let new = NewToken { hash: token.hash(), name, grant, time: Timestamp::now(), expire_time: None };
    service.engine.repository().create_token(new).await.unwrap();
    token.text().to_owned()
}

#[tokio::test]
async fn a_masked_column_is_shown_to_who_has_been_given_the_data_alone() {
    let mut settings = Settings { jobs: vec![people()], ..Settings::default() };
    settings.server.mask = vec!["Iban".to_owned()];
    let service = Service::with(settings).await;
    let run = service.run("People", "{}").await;
    let steps = service.get(&format!("/executions/{}/steps", run["id"])).await.json();
    let skips = format!("/steps/{}/skips", steps[0]["id"]);
    // Before there is a token everybody is the owner of the machine.
    assert!(service.get(&skips).await.text.contains(IBAN));
    for (role, data, sees) in [
        (Role::Viewer, true, true),
        (Role::Operator, true, true),
        (Role::Admin, true, true),
        (Role::Operator, false, false),
        (Role::Admin, false, false),
    ] {
        let token = token(&service, role, data).await;
        let ask = async |method: &str, path: &str, accept: &str| {
            let request = request(method, path).header("authorization", format!("Bearer {token}"));
            service.send(request.header("accept", accept).body(Body::empty()).unwrap()).await
        };
        for (method, path, accept) in [
            ("GET", skips.as_str(), "application/json"),
            ("GET", skips.as_str(), "application/x-ndjson"),
            ("POST", "/jobs/People/preview", "application/json"),
        ] {
            let answer = ask(method, path, accept).await;
            let what = format!("{role} with data {data}: {path} as {accept}");
            assert_eq!(answer.status, 200, "{what}: {}", answer.text);
            assert_eq!(answer.text.contains(IBAN), sees, "{what}: {}", answer.text);
            assert_eq!(answer.text.contains("***"), !sees, "{what}: {}", answer.text);
            assert!(answer.text.contains(NAME) && answer.text.contains("people.csv:4"), "{what}: {}", answer.text);
        }
        if !sees {
            let items = ask("GET", &skips, "application/json").await.json();
            let items = items.as_array().unwrap();
            let of = |phase: &str| items.iter().find(|item| item["phase"] == phase).unwrap();
            let masked: Value = serde_json::from_str(of("PROCESS")["item"].as_str().unwrap()).unwrap();
            assert_eq!(masked, json!({"name": NAME, "account": {"IBAN": "***"}, "age": 1}));
            assert_eq!(of("PROCESS")["error"], format!("the account *** of {NAME} is closed"));
            // A line has no columns with names: all of it is hidden, and its error.
            assert_eq!((&of("READ")["item"], &of("READ")["error"]), (&json!("***"), &json!("***")));
        }
    }
}

/// A job whose only record fails it.
fn failing() -> Job {
    let step = ChunkStep::builder("Load")
        .reader(|_| {
            let record = Err(ItemError::parse("too long").at("line 7").with_raw(format!("{NAME};{IBAN}")));
            StreamReader::new(futures_util::stream::iter([record as Result<Value, _>]))
        })
        .writer(|_| FunctionWriter::new(|_: &[Value]| Ok(())));
    Job::builder("Payments").step(step).build().unwrap()
}

#[tokio::test]
async fn the_raw_text_in_a_message_is_shown_to_the_same_callers_by_calls_and_by_pages() {
    for (mask, sees_of) in [
        (vec![], [(Role::Viewer, false, false), (Role::Viewer, true, true), (Role::Operator, false, true)]),
        (
            vec!["iban".to_owned()],
            [(Role::Viewer, false, false), (Role::Viewer, true, true), (Role::Operator, false, false)],
        ),
    ] {
        let mut settings = Settings { jobs: vec![failing()], ..Settings::default() };
        settings.server.mask = mask.clone();
        let service = Service::with(settings).await;
        let run = service.run("Payments", "{}").await;
        assert!(run["exit_message"].as_str().unwrap().contains(IBAN), "the owner of the machine sees it: {run}");
        let instance = format!("/instances/{}/executions", run["job_instance_id"]);
        for (role, data, sees) in sees_of {
            let token = token(&service, role, data).await;
            let ask = async |path: &str| {
                let request = request("GET", path).header("authorization", format!("Bearer {token}"));
                service.send(request.header("accept", "*/*").body(Body::empty()).unwrap()).await
            };
            let paths = [
                "/executions/1",
                "/executions",
                "/executions/1/steps",
                "/executions/1/events",
                "/jobs/Payments",
                "/jobs",
                &instance,
            ];
            for path in paths.into_iter().chain(["/ui/executions/1"]) {
                let answer = ask(path).await;
                let what = format!("{role} with data {data} and mask {mask:?}: {path}");
                assert_eq!(answer.status, 200, "{what}: {}", answer.text);
                assert!(answer.text.contains("too long") && answer.text.contains("line 7"), "{what}: {}", answer.text);
                assert_eq!(answer.text.contains(IBAN), sees, "{what}: {}", answer.text);
            }
            // Nor is it found out by a search.
            for path in ["/executions", "/ui/executions"] {
                let found = ask(&format!("{path}?text={IBAN}")).await.text.contains("too long");
                assert_eq!(found, sees, "{role} with data {data} and mask {mask:?}: {path}");
                assert!(ask(&format!("{path}?text=TOO+LONG")).await.text.contains("too long"));
            }
        }
    }
}
