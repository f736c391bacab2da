//! Executions and their steps as they are shown and listed.

use serde_json::{Value, json};

use crate::harness::{Answer, Service, until};

fn ids(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json().as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    text.len() == "2026-01-31T08:00:00.123456Z".len() && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}

#[tokio::test]
async fn a_finished_execution_shows_all_that_is_known_of_it() {
    let service = Service::start().await;
    let execution = service.run("Failing", r#"{"a":1}"#).await;
    let fields: Vec<_> = execution.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "id",
        "job_instance_id",
        "job_name",
        "status",
        "create_time",
        "start_time",
        "end_time",
        "change_time",
        "exit_code",
        "exit_message",
        "parameters",
        "forced",
        "priority",
        "node",
        "progress",
        "rerun_by",
        "rerun_of",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!((&execution["id"], &execution["job_instance_id"]), (&json!(1), &json!(1)));
    assert_eq!((&execution["status"], &execution["exit_code"]), (&json!("FAILED"), &json!("FAILED")));
    assert!(execution["exit_message"].as_str().unwrap().contains("no paper"));
    assert_eq!((&execution["node"], &execution["progress"]), (&json!("test-node"), &Value::Null));
    assert!(["create_time", "start_time", "end_time", "change_time"].iter().all(|field| is_time(&execution[field])));
    assert_eq!(service.run("Sample", "{}").await["progress"], 1.0);
}

#[tokio::test]
async fn an_execution_that_waits_has_no_times_yet() {
    let service = Service::idle().await;
    service.post("/jobs/Sample/launch").await;
    let execution = service.get("/executions/1").await.json();
    assert_eq!((&execution["status"], &execution["progress"]), (&json!("STARTING"), &json!(0.0)));
    assert!(execution["start_time"].is_null() && execution["end_time"].is_null() && execution["exit_code"].is_null());
    assert_eq!(service.get("/executions/1/steps").await.json(), json!([]));
}

#[tokio::test]
async fn the_steps_show_what_they_counted() {
    let service = Service::start().await;
    service.run("Chunky", "{}").await;
    let steps = service.get("/executions/1/steps").await.json();
    let step = &steps[0];
    let counts = |names: &[&str]| names.iter().map(|name| step[*name].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(counts(&["read_count", "write_count", "filter_count", "commit_count"]), [50, 25, 25, 5]);
    let nothing =
        ["skip_count", "retry_count", "rollback_count", "read_skip_count", "process_skip_count", "write_skip_count"];
    assert_eq!(counts(&nothing), [0; 6]);
    assert_eq!((&step["step_name"], &step["job_execution_id"]), (&json!("Numbers"), &json!(1)));
    assert_eq!((&step["status"], &step["exit_code"]), (&json!("COMPLETED"), &json!("COMPLETED")));
    assert!(is_time(&step["start_time"]) && is_time(&step["end_time"]));
    assert!(step["items_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(step["control_totals"], json!([]));
    let shares = ["read", "process", "write", "commit"].map(|phase| step["phases"][phase].as_f64().unwrap());
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    assert!(step["phases"]["bottleneck"].as_str().unwrap().ends_with(" % of the time"));
    assert!(step["seconds_left"].is_null());
    assert_eq!(step.as_object().unwrap().len(), 24);
}

#[tokio::test]
async fn the_steps_come_in_the_order_in_which_they_ran() {
    let service = Service::start().await;
    service.run("Failing", "{}").await;
    let steps = service.get("/executions/1/steps").await.json();
    let names: Vec<_> = steps.as_array().unwrap().iter().map(|step| (&step["step_name"], &step["status"])).collect();
    assert_eq!(names, [(&json!("Step1"), &json!("COMPLETED")), (&json!("ErrorStep"), &json!("FAILED"))]);
}

#[tokio::test]
async fn an_unknown_execution_is_told_so() {
    let service = Service::idle().await;
    for path in
        ["/executions/7", "/executions/7/steps", "/executions/0", "/executions/-1", "/executions/99999999999999999999"]
    {
        assert_eq!(service.get(path).await.problem(404), "Execution not found");
    }
    for path in ["/executions/abc", "/executions/1.0", "/executions/%20", "/executions/+1/steps", "/executions//steps"]
    {
        assert!(service.get(path).await.problem(400).contains("is no id"), "{path}");
    }
}

#[tokio::test]
async fn executions_are_listed_newest_first_and_filtered() {
    let service = Service::start().await;
    service.run("Sample", "{}").await;
    service.run("Failing", "{}").await;
    service.run("Failing", "{}").await;
    service.run("Chunky", "{}").await;
    assert_eq!(ids(&service.get("/executions").await), [4, 3, 2, 1]);
    assert_eq!(ids(&service.get("/executions?job=Failing").await), [3, 2]);
    assert_eq!(ids(&service.get("/executions?status=FAILED").await), [3, 2]);
    assert_eq!(ids(&service.get("/executions?status=FAILED&status=COMPLETED&limit=3").await), [4, 3, 2]);
    assert_eq!(ids(&service.get("/executions?instance=2").await), [3, 2]);
    assert_eq!(ids(&service.get("/executions?from=2000-01-01&to=2999-01-01T00:00:00Z").await), [4, 3, 2, 1]);
    assert_eq!(ids(&service.get("/executions?to=2000-01-01").await), [0_i64; 0]);
    let second = service.get("/executions/2").await.json();
    let second = second["create_time"].as_str().unwrap();
    assert_eq!(ids(&service.get(&format!("/executions?from={second}")).await), [4, 3, 2]);
    assert_eq!(ids(&service.get(&format!("/executions?to={second}")).await), [1]);
}

#[tokio::test]
async fn pages_follow_one_another_and_keep_their_filters() {
    let service = Service::idle().await;
    for n in 0..5 {
        service.post_json("/jobs/Sample/launch", &format!(r#"{{"n":{n}}}"#)).await;
        service.post_json("/jobs/Chunky/launch", &format!(r#"{{"n":{n}}}"#)).await;
    }
    let mut path = "/executions?limit=2&job=Sample&status=STARTING&status=STARTED".to_owned();
    let mut seen = Vec::new();
    loop {
        let answer = service.get(&path).await;
        seen.push(ids(&answer));
        let Some(link) = answer.header("link") else { break };
        let target = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        assert!(target.contains("job=Sample&status=STARTING&status=STARTED"), "{link}");
        path = target.to_owned();
    }
    assert_eq!(seen, [vec![9, 7], vec![5, 3], vec![1]]);
}

#[tokio::test]
async fn a_page_has_50_rows_unless_the_caller_says() {
    let service = Service::idle().await;
    for n in 0..51 {
        service.post_json("/jobs/Sample/launch", &format!(r#"{{"n":{n}}}"#)).await;
    }
    let answer = service.get("/executions").await;
    assert_eq!(ids(&answer).len(), 50);
    assert!(answer.header("link").is_some());
    assert_eq!(ids(&service.get("/executions?limit=500").await).len(), 51);
}

#[tokio::test]
async fn filters_that_do_not_fit_are_refused_by_name() {
    let service = Service::idle().await;
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=x", "limit"),
        ("cursor=1", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=i5", "cursor"),
        ("status=failed", "status"),
        ("status=FAILED&status=DONE", "status"),
        ("from=yesterday", "from"),
        ("to=2024-01-01T00:00:00+02:00", "to"),
        ("instance=0", "instance"),
        ("instance=a", "instance"),
        ("job=a&job=b", "job"),
        ("job=%ff", "job"),
        ("colour=red", "colour"),
        ("Limit=5", "Limit"),
    ] {
        let answer = service.get(&format!("/executions?{query}")).await;
        assert!(answer.problem(400).contains(&format!("parameter '{parameter}'")), "{query}: {}", answer.text);
        assert_eq!(answer.json()["parameter"], parameter);
    }
    let all = service.get("/executions?limit=0&colour=red&status=x").await;
    assert_eq!(all.json()["errors"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_running_execution_shows_how_far_it_is() {
    let service = Service::start().await;
    service.post("/jobs/Endless/launch").await;
    // The second of two steps runs and cannot tell its own share.
    until(async || service.get("/executions/1/steps").await.json().as_array().unwrap().len() == 2).await;
    let execution = service.get("/executions/1").await.json();
    assert_eq!((&execution["status"], &execution["progress"]), (&json!("STARTED"), &json!(0.5)));
    assert_eq!(service.get("/executions").await.json()[0]["progress"], 0.5);
    let steps = service.get("/executions/1/steps").await.json();
    assert_eq!((&steps[1]["status"], &steps[1]["end_time"]), (&json!("STARTED"), &Value::Null));
    assert_eq!(service.post("/executions/1/stop?wait=1m").await.json()["status"], "STOPPED");
}

#[tokio::test]
async fn a_list_for_a_job_that_there_never_was_is_refused() {
    let service = Service::start().await;
    for path in ["/executions?job=Nope", "/instances?job=Nope"] {
        assert_eq!(service.get(path).await.problem(404), "Job not found");
    }
    for path in ["/executions?job=Sample", "/instances?job=Sample"] {
        assert_eq!(service.get(path).await.json(), serde_json::json!([]));
    }
}
