//! Bulk work whose node is killed: each execution is restarted once, and its result is recorded once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{LONG, Service, TestStore};
use crate::outcome::{number, rows};
use crate::{PAUSE, Random, kills};

/// Executions that the bulk restarts.
const EXECUTIONS: i64 = 120;
const FLAGS: &str = "--listen 127.0.0.1:0 --log-level off --lease 1s --queue-limit 100000 --concurrency 1";
/// A kill comes at most so long after the work that it waits for.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

fn start(store: &TestStore) -> Service {
    Service::start_with(store, FLAGS)
}

fn bulk(service: &Service) -> Value {
    service.get("/bulk/1").json()
}

/// The executions that it has come to.
fn judged(bulk: &Value) -> i64 {
    bulk["done"].as_i64().unwrap() + bulk["left_out"].as_i64().unwrap()
}

fn check(store: &TestStore, kills: u64, random: &mut Random) {
    let mut service = start(store);
    for key in 0..EXECUTIONS {
        let launched = service.post("/jobs/FailingJob/launch?wait=60s", &json!({"key": key}).to_string());
        assert_eq!(launched.json()["status"], "FAILED", "{}", launched.body);
    }
    let begun = service.post("/bulk", r#"{"action":"RESTART","filter":{"job":"FailingJob","status":["FAILED"]}}"#);
    assert_eq!(begun.status, 202, "{}", begun.body);
    let mut struck = 0;
    for kill in 1..=kills {
        // Spread over the work, and a moment later or not.
        let share = EXECUTIONS * i64::try_from(kill).unwrap() / i64::try_from(kills + 1).unwrap();
        while judged(&bulk(&service)) < share {
            std::thread::sleep(PAUSE);
        }
        std::thread::sleep(Duration::from_micros(random.below(LONGEST_PAUSE.as_micros() as u64)));
        struck += u64::from(bulk(&service)["status"] == "RUNNING");
        service.process.signal("KILL");
        service.process.end(LONG);
        service = start(store);
    }
    let began = Instant::now();
    let unfinished =
        "SELECT count(*) || '' FROM oxbatch_job_execution WHERE status IN ('STARTING','STARTED','STOPPING')";
    while bulk(&service)["status"] == "RUNNING" || number(store, unfinished) > 0 {
        assert!(began.elapsed() < LONG, "it does not end: {}", bulk(&service));
        std::thread::sleep(PAUSE);
    }
    println!("{kills} kills, {struck} of them while the bulk ran");
    let done = bulk(&service);
    assert_eq!((&done["status"], judged(&done)), (&json!("ENDED"), EXECUTIONS), "{done}");
    let launched = "SELECT count(*) || ' by ' || job_instance_id FROM oxbatch_job_execution
        WHERE recovery_count = 0 AND launch_execution_id IS NULL GROUP BY job_instance_id ORDER BY job_instance_id";
    let expected: Vec<String> = (1..=EXECUTIONS).map(|instance| format!("2 by {instance}")).collect();
    assert_eq!(rows(store, launched), expected, "one restart of each");
    service.terminate();
}

#[test]
fn a_bulk_restarts_each_execution_once_whenever_its_node_is_killed() {
    check(&TestStore::new(), kills(3, 4), &mut Random::new(3));
}

#[test]
fn a_bulk_on_postgresql_restarts_each_execution_once_whenever_its_node_is_killed() {
    check(&TestStore::on_postgres(), kills(6, 3), &mut Random::new(4));
}
