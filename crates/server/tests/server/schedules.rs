//! Schedules over HTTP: added, shown with what comes next, paused, run by hand, removed; their fires.

use serde_json::{Value, json};

use crate::harness::{Service, Settings, until};

const NIGHTLY: &str = r#"{"job": "Sample", "name": "nightly", "cron": "30 2 * * *", "zone": "Europe/Berlin",
    "parameters": {"day": {"expression": "fire date - 1 day"}, "region": "EU", "limit": 5}, "finished_by_seconds": 3600}"#;

async fn add(service: &Service, body: &str) -> Value {
    let added = service.post_json("/schedules", body).await;
    assert_eq!(added.status, 200, "{}", added.text);
    added.json()
}

#[tokio::test]
async fn a_schedule_is_added_and_shown_with_what_comes_next() {
    let service = Service::start().await;
    assert_eq!(service.get("/schedules").await.json(), json!([]));
    let added = add(&service, NIGHTLY).await;
    assert_eq!(added, service.get("/schedules/nightly").await.json());
    assert_eq!((&added["job_name"], &added["origin"]), (&json!("Sample"), &json!("added")));
    assert_eq!(added["next_fires"].as_array().unwrap().len(), 5);
    assert!(added["next_fires"][0].as_str().unwrap().contains(":30:00.000000Z"));
    let changes: Vec<_> = added["clock_changes"].as_array().unwrap().iter().map(|change| &change["effect"]).collect();
    let said = format!("{changes:?}");
    assert!(said.contains("02:30 does not exist: runs at 03:00") && said.contains("02:30 comes twice"), "{said}");
    assert_eq!(added["parameters"]["day"], json!({"value": null, "expression": "fire date - 1 day", "secret": null}));
    assert_eq!(service.get("/schedules?next=1").await.json()[0]["next_fires"].as_array().unwrap().len(), 1);
    // Another definition of the same name changes it.
    add(&service, &NIGHTLY.replace("30 2", "0 5")).await;
    assert_eq!(service.get("/schedules").await.json().as_array().unwrap().len(), 1);
    assert_eq!(service.get("/schedules/nightly").await.json()["cron"], "0 5 * * *");
}

#[tokio::test]
async fn a_schedule_that_does_not_fit_is_refused_by_a_sentence() {
    let service = Service::start().await;
    let refused = async |body: &str, status: u16| service.post_json("/schedules", body).await.problem(status);
    let hour = refused(&NIGHTLY.replace("30 2", "30 24"), 422).await;
    assert!(hour.contains("the hour '24' is not 0 to 23"), "{hour}");
    assert!(refused(&NIGHTLY.replace("Europe/Berlin", "Europe/Atlantis"), 422).await.contains("'Europe/Atlantis'"));
    assert!(refused(&NIGHTLY.replace("fire date", "fire dates"), 422).await.contains("parameter 'day'"));
    assert!(refused(&NIGHTLY.replace("Sample", "Declared"), 422).await.contains("parameter 'region' is unknown"));
    let same = refused(r#"{"job": "Sample", "cron": "0 2 * * *"}"#, 422).await;
    assert!(same.contains("all fires would launch the same instance"), "{same}");
    assert!(
        refused(r#"{"job": "Sample", "cron": "0 2 * * *", "file": "/in/*"}"#, 422)
            .await
            .contains("either cron or file")
    );
    assert!(refused(r#"{"job": "Sample", "file": "/in/*", "zone": "UTC"}"#, 422).await.contains("zone does not go"));
    assert!(
        refused(r#"{"job": "Sample", "cron": "0 2 * * *", "overlap": "maybe"}"#, 422)
            .await
            .contains("wait, skip, allow")
    );
    assert!(refused(r#"{"job": "Sample", "cronn": "0 2 * * *"}"#, 422).await.contains("cronn"));
    assert_eq!(refused(r#"{"job": "None", "cron": "0 2 * * *"}"#, 404).await, "Job not found");
    refused("{", 400).await;
    refused("", 400).await;
    assert_eq!(service.get("/schedules").await.json(), json!([]));
    for (method, path) in
        [("GET", "/schedules/none"), ("GET", "/schedules/none/fires"), ("POST", "/schedules/none/run")]
    {
        let answer = if method == "GET" { service.get(path).await } else { service.post(path).await };
        assert_eq!(answer.problem(404), "Schedule not found", "{path}");
    }
    assert_eq!(service.post("/fires/7/run").await.problem(404), "Fire not found");
    service.get("/fires?outcome=LOST").await.problem(400);
}

#[tokio::test]
async fn a_schedule_is_run_by_hand_and_its_fires_are_listed() {
    let service = Service::start().await;
    add(&service, NIGHTLY).await;
    let fire = service.post("/schedules/nightly/run").await.json();
    assert_eq!((&fire["outcome"], &fire["execution_id"]), (&json!("LAUNCHED"), &json!(1)));
    let again = service.post("/schedules/nightly/run").await.json();
    assert!(again["outcome"].as_str().unwrap().starts_with("ALREADY_"), "the same day is the same instance: {again}");
    until(async || service.get("/executions/1").await.json()["status"] == "COMPLETED").await;
    let execution = service.get("/executions/1").await.json();
    assert_eq!((&execution["parameters"]["region"], &execution["parameters"]["limit"]), (&json!("EU"), &json!(5)));
    let page = service.get("/schedules/nightly/fires?limit=1").await;
    assert_eq!(page.json()[0]["id"], again["id"]);
    let next = page.header("link").unwrap().split(['<', '>']).nth(1).unwrap().to_owned();
    assert_eq!(service.get(&next).await.json()[0]["status"], "COMPLETED");
    assert_eq!(service.get("/fires").await.json().as_array().unwrap().len(), 2);
    let launched = format!("/fires/{}/run", fire["id"]);
    assert!(service.post(&launched).await.problem(409).contains("is LAUNCHED"));
}

#[tokio::test]
async fn a_schedule_is_paused_alone_with_its_job_or_with_all() {
    let service = Service::start().await;
    add(&service, NIGHTLY).await;
    let reason = r#"{"reason": "release", "until": "2100-01-01T00:00:00Z"}"#;
    for (pause, resume, scope) in [
        ("/schedules/nightly/pause", "/schedules/nightly/resume", "schedule"),
        ("/jobs/Sample/schedules/pause", "/jobs/Sample/schedules/resume", "job"),
        ("/pauses", "/pauses/resume", "all"),
    ] {
        let paused = service.post_json(pause, reason).await.json();
        assert_eq!((&paused["scope"], &paused["reason"]), (&json!(scope), &json!("release")));
        assert_eq!(service.get("/pauses").await.json(), json!([paused]));
        assert_eq!(service.get("/schedules/nightly").await.json()["pauses"], json!([paused]));
        assert_eq!(service.post(resume).await.status, 204);
        assert!(service.post(resume).await.problem(409).contains("not paused"));
    }
    service.post_json("/pauses", r#"{"reason": " "}"#).await.problem(422);
    service.post_json("/pauses", r#"{"reason": "x", "until": "2000-01-01T00:00:00Z"}"#).await.problem(422);
    service.post_json("/pauses", r#"{"reason": "x", "until": "soon"}"#).await.problem(422);
    service.post_json("/jobs/None/schedules/pause", reason).await.problem(404);
    service.post("/schedules/none/resume").await.problem(404);
    service.post("/jobs/None/schedules/resume").await.problem(404);
    assert_eq!(service.post("/schedules/nightly/remove").await.status, 204);
    service.post("/schedules/nightly/remove").await.problem(404);
}

#[tokio::test]
async fn a_schedule_of_the_code_is_shown_and_changed_there_alone() {
    use oxbatch_core::{Job, Schedule, TaskStep};
    let job = Job::builder("Coded")
        .schedule(Schedule::cron("0 3 * * *").expression("day", "fire date").off("not yet"))
        .step(TaskStep::builder("Only", |_| Ok(())))
        .build()
        .unwrap();
    let service = Service::with(Settings { jobs: vec![job], ..Settings::default() }).await;
    until(async || service.get("/schedules/Coded").await.status == 200).await;
    let shown = service.get("/schedules/Coded").await.json();
    assert_eq!((&shown["origin"], &shown["pauses"][0]["reason"]), (&json!("code"), &json!("not yet")));
    assert!(service.post("/schedules/Coded/remove").await.problem(409).contains("stands in the code"));
    let other = r#"{"job": "Coded", "cron": "0 4 * * *", "new_run": true}"#;
    assert!(service.post_json("/schedules", other).await.problem(409).contains("stands in the code"));
    let name = r#"{"job": "Sample", "name": "x", "cron": "0 4 * * *", "new_run": true}"#;
    add(&service, name).await;
    let taken = service.post_json("/schedules", &name.replace("Sample", "Failing")).await.problem(409);
    assert!(taken.contains("is one of job 'Sample'"), "{taken}");
}
