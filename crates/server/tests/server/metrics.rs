//! Metrics: what is counted, that labels are bounded, that a repository that is away leaves the rest; the files that
//! read them.

use std::collections::BTreeSet;

use crate::harness::Service;

/// The value of a line of metrics.
fn value(text: &str, line: &str) -> Option<f64> {
    let found = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' '));
    found.map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn executions_items_chunks_and_requests_are_counted() {
    let service = Service::start().await;
    service.run("Sample", "{}").await;
    service.run("Failing", "{}").await;
    service.get("/executions/7").await;
    let answer = service.get("/metrics").await;
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = &answer.text;
    assert!(text.ends_with("# EOF\n"), "{text}");
    for (line, expected) in [
        (r#"oxbatch_executions_ended_total{job_name="Sample",status="COMPLETED"}"#, 1.0),
        (r#"oxbatch_executions_ended_total{job_name="Sample",status="FAILED"}"#, 0.0),
        (r#"oxbatch_executions_ended_total{job_name="Failing",status="FAILED"}"#, 1.0),
        (r#"oxbatch_execution_duration_seconds_count{job_name="Sample"}"#, 1.0),
        (r#"oxbatch_execution_duration_seconds_bucket{le="+Inf",job_name="Sample"}"#, 1.0),
        (r#"oxbatch_executions{job_name="Sample",status="STARTED"}"#, 0.0),
        (r#"oxbatch_queue_length{of="all"}"#, 0.0),
        (r#"oxbatch_repository_up{node="this"}"#, 1.0),
        (r#"oxbatch_leases_lost_total{node="this"}"#, 0.0),
        (r#"oxbatch_http_requests_total{method="GET",path="/executions/{id}",status="404"}"#, 1.0),
    ] {
        assert_eq!(value(text, line), Some(expected), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn what_waits_is_counted_and_other_jobs_share_a_label() {
    let service = Service::idle().await;
    service.post("/jobs/Sample/launch").await;
    service.post("/jobs/Failing/launch").await;
    service.damage("UPDATE oxbatch_job_execution SET job_name = 'Evil\"} 1' WHERE id = 2");
    let text = service.get("/metrics").await.text;
    assert_eq!(value(&text, r#"oxbatch_queue_length{of="all"}"#), Some(2.0), "{text}");
    assert_eq!(value(&text, r#"oxbatch_executions{job_name="(other)",status="STARTING"}"#), Some(1.0), "{text}");
    assert!(value(&text, r#"oxbatch_queue_oldest_seconds{of="all"}"#).is_some_and(|age| age >= 0.0), "{text}");
    assert!(!text.contains("Evil"), "{text}");
}

#[tokio::test]
async fn a_repository_that_does_not_answer_leaves_the_rest() {
    let service = Service::start().await;
    service.run("Sample", "{}").await;
    service.damage("ALTER TABLE oxbatch_job_execution RENAME TO elsewhere");
    let text = service.get("/metrics").await.text;
    assert_eq!(value(&text, r#"oxbatch_repository_up{node="this"}"#), Some(0.0), "{text}");
    let ended = r#"oxbatch_executions_ended_total{job_name="Sample",status="COMPLETED"}"#;
    assert_eq!(value(&text, ended), Some(1.0), "{text}");
    assert_eq!(value(&text, r#"oxbatch_queue_length{of="all"}"#), None);
    service.damage("ALTER TABLE elsewhere RENAME TO oxbatch_job_execution");
}

/// The dashboard and the alerts name metrics that there are.
#[tokio::test]
async fn the_files_for_dashboards_and_alerts_name_metrics_that_there_are() {
    let service = Service::start().await;
    service.run("Sample", "{}").await;
    let text = service.get("/metrics").await.text;
    let known: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    // Connections are those of PostgreSQL.
    let elsewhere = ["oxbatch_connections"];
    let files = [include_str!("../../../../deploy/grafana.json"), include_str!("../../../../deploy/alerts.yaml")];
    serde_json::from_str::<serde_json::Value>(files[0]).unwrap();
    let mut named = 0;
    for file in files {
        let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for name in file.split(|c| !of_name(c)).filter(|word| word.starts_with("oxbatch_")) {
            assert!(known.contains(name) || elsewhere.contains(&name), "{name} is not among {known:?}");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
    // Prometheus' own check of the rules, where it is installed.
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/alerts.yaml");
    if let Ok(checked) = std::process::Command::new("promtool").args(["check", "rules", rules]).output() {
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}
