//! `serve`: the README's calls, its start and its end.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{LONG, Service, TestStore, stable_json};

/// Launches with the README's body and waits for the end by the interface's own means.
fn launch(service: &Service, path: &str, body: &str) -> i64 {
    let answer = service.post(path, body);
    assert_eq!(answer.status, 202, "{}", answer.body);
    let id = answer.json()["execution_id"].as_i64().unwrap();
    assert!(answer.head.contains(&format!("location: /executions/{id}")), "{}", answer.head);
    service.get_until(&format!("/executions/{id}"), |execution| !execution["end_time"].is_null());
    id
}

fn steps(service: &Service, id: i64) -> Vec<String> {
    let steps = service.get(&format!("/executions/{id}/steps")).json();
    let shown = |step: &serde_json::Value| {
        format!("{} {}", step["step_name"].as_str().unwrap(), step["status"].as_str().unwrap())
    };
    steps.as_array().unwrap().iter().map(shown).collect()
}

#[test]
fn the_calls_of_the_readme_do_what_it_says() {
    for place in TestStore::of_each_kind() {
        let service = Service::start(&place);
        assert_eq!(launch(&service, "/jobs/SampleJob/launch", "{}"), 1);
        let list = service.get("/executions").json();
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_snapshot!("http_execution", stable_json(service.get("/executions/1").json()));
        assert_snapshot!("http_steps", stable_json(service.get("/executions/1/steps").json()));

        let failed = launch(&service, "/jobs/FailingJob/launch", "{}");
        assert_eq!(steps(&service, failed), ["Step1 COMPLETED", "ErrorStep FAILED"]);
        let restarted = launch(&service, "/jobs/FailingJob/launch", "{}");
        assert_eq!(steps(&service, restarted), ["ErrorStep FAILED"]);

        let again = launch(&service, "/jobs/SampleJob/launch", "{}");
        assert_eq!(steps(&service, again), [""; 0]);
        let forced = launch(&service, "/jobs/SampleJob/launch?force=true", "{}");
        assert_eq!(steps(&service, forced), ["Step1 COMPLETED", "Step2 COMPLETED"]);

        let retried = launch(&service, "/jobs/RetryJob/launch", "{}");
        assert_eq!(steps(&service, retried), ["Step1 COMPLETED", "FlakyStep COMPLETED", "Step2 COMPLETED"]);
        let flaky = &service.get(&format!("/executions/{retried}/steps")).json()[1];
        assert_eq!(flaky["retry_count"], 2);

        let body = r#"{"start_date": "2024-01-01", "batch_size": 100, "threshold": 0.95}"#;
        let typed = launch(&service, "/jobs/ParameterizedJob/launch", body);
        let instance = service.get(&format!("/executions/{typed}")).json()["job_instance_id"].clone();
        // The README names it.
        assert_eq!(instance, 4);
        assert_snapshot!(
            "http_parameters",
            stable_json(service.get(&format!("/instances/{instance}/parameters")).json())
        );

        let chunks = launch(&service, "/jobs/ChunkJob/launch", "{}");
        let step = &service.get(&format!("/executions/{chunks}/steps")).json()[0];
        let counts = ["read_count", "write_count", "filter_count", "commit_count"].map(|name| step[name].clone());
        assert_eq!(counts, [json!(50), json!(25), json!(25), json!(5)]);

        let unknown = service.post("/jobs/NoSuchJob/launch", "{}");
        assert_eq!((unknown.status, &unknown.json()["detail"]), (404, &json!("Job not found")));
        service.terminate();
    }
}

#[test]
fn the_command_line_and_the_interface_show_the_same_json() {
    let place = TestStore::new();
    place.run("run FailingJob token=1 day=2024-01-01");
    place.run("run ChunkJob");
    let service = Service::start(&place);
    assert_eq!(place.run("jobs --json").expect(0).json(), service.get("/jobs").json());
    assert_eq!(place.run("executions --json").expect(0).json(), service.get("/executions").json());
    let shown = place.run("show 1 --json").expect(0).json();
    assert_eq!(shown["execution"], service.get("/executions/1").json());
    assert_eq!(shown["steps"], service.get("/executions/1/steps").json());
    service.terminate();
}

#[test]
fn a_launch_that_was_answered_runs_even_if_the_service_is_killed() {
    let place = TestStore::new();
    let mut service = Service::start(&place);
    assert_eq!(service.post("/jobs/RetryJob/launch", "{}").status, 202);
    service.process.signal("KILL");
    service.process.end(LONG);
    let service = Service::start(&place);
    let ended = service.get_until("/executions?limit=1", |list| list[0]["status"] == "COMPLETED");
    assert_eq!(ended[0]["job_name"], "RetryJob");
    assert_eq!(service.get("/executions?status=STARTED&status=STARTING&status=STOPPING").json(), json!([]));
    service.terminate();
}

#[test]
fn sixty_four_launches_of_one_instance_at_once_run_it_once() {
    for place in TestStore::of_each_kind() {
        let service = Service::start(&place);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let launches: Vec<_> =
                (0..64).map(|_| scope.spawn(|| service.post("/jobs/RetryJob/launch", "{}"))).collect();
            launches.into_iter().map(|launch| launch.join().unwrap()).collect()
        });
        let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
        assert_eq!(accepted.len(), 1);
        let id = &accepted[0].json()["execution_id"];
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 409).collect();
        assert_eq!(refused.len(), 63);
        assert!(refused.iter().all(|answer| &answer.json()["execution_id"] == id));
        service.terminate();
    }
}

#[test]
fn a_port_in_use_is_told_before_the_database_is_touched() {
    let place = TestStore::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut done = place.run(&format!("serve --listen {address}")).expect(5);
    done.stderr = done.stderr.replace(&address.port().to_string(), "[port]");
    assert_snapshot!("port_in_use", done);
    assert!(!place.path("oxbatch.db").exists());
}

#[test]
fn an_address_that_others_can_reach_needs_a_word() {
    let place = TestStore::new();
    assert_snapshot!("not_loopback", place.run("serve --listen 0.0.0.0:0"));
    assert_snapshot!("no_address", place.run("serve --listen nonsense"));
    let service = Service::start_with(&place, "--log-level off --listen 0.0.0.0:0 --insecure");
    service.terminate();
}

#[test]
fn the_service_is_the_default_command_and_sigint_ends_it_in_time() {
    let place = TestStore::new();
    let mut process = place.start("--listen 127.0.0.1:0");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut process.stdout(), &mut line).unwrap();
    assert!(line.starts_with("oxbatch listens on http://127.0.0.1:"), "{line}");
    process.signal("INT");
    let (status, _) = process.end(LONG);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_service_at_once() {
    let place = TestStore::new();
    let mut service = Service::start(&place);
    // A request whose body never comes keeps the first signal's shutdown busy for some seconds.
    let mut stalled = TcpStream::connect(&service.address).unwrap();
    let head = "POST /jobs/SampleJob/launch HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99";
    write!(stalled, "{head}\r\nHost: {}\r\n\r\n{{", service.address).unwrap();
    assert_eq!(service.get("/health/live").status, 200);
    service.process.signal("TERM");
    let start = Instant::now();
    while TcpStream::connect(&service.address).is_ok() {
        assert!(start.elapsed() < LONG, "it still listens");
    }
    // Those of the first half second belong to the first.
    while service.process.is_running() {
        service.process.signal("INT");
    }
    let (status, _) = service.process.end(LONG);
    assert_eq!(status.code(), Some(130));
}

#[test]
fn signals_within_half_a_second_are_one_wish() {
    let place = TestStore::new();
    let mut service = Service::start(&place);
    let mut stalled = TcpStream::connect(&service.address).unwrap();
    let head = "POST /jobs/SampleJob/launch HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99";
    write!(stalled, "{head}\r\nHost: {}\r\n\r\n{{", service.address).unwrap();
    assert_eq!(service.get("/health/live").status, 200);
    let id = service.process.id();
    let several = format!("kill -TERM {id}; kill -HUP {id}; kill -INT {id}; kill -TERM {id}");
    assert!(std::process::Command::new("sh").args(["-c", &several]).status().unwrap().success());
    let (status, _) = service.process.end(LONG);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_stop_that_cannot_be_recorded_is_accepted_and_carried_out() {
    let place = TestStore::new();
    let service = Service::start(&place);
    assert_eq!(service.post("/jobs/RetryJob/launch", "{}").status, 202);
    service.get_until("/executions/1/steps", |steps| steps[1]["step_name"] == "FlakyStep");
    let other = rusqlite::Connection::open(place.path("oxbatch.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = service.post("/executions/1/stop", "");
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("STOPPING")), "{}", answer.body);
    other.execute_batch("ROLLBACK").unwrap();
    service.get_until("/executions/1", |execution| execution["status"] == "STOPPED");
    service.terminate();
}

#[test]
fn a_launch_whose_end_cannot_be_read_is_answered_with_its_id() {
    let place = TestStore::new();
    let mut service = Service::start(&place);
    let answer = std::thread::scope(|scope| {
        let launched = scope.spawn(|| service.post("/jobs/RetryJob/launch?wait=2s", "{}"));
        service.get_until("/executions", |list| list[0]["status"] == "STARTED");
        let other = rusqlite::Connection::open(place.path("oxbatch.db")).unwrap();
        other.execute_batch("ALTER TABLE oxbatch_job_execution RENAME TO taken_away").unwrap();
        launched.join().unwrap()
    });
    assert_eq!((answer.status, &answer.json()["execution_id"]), (202, &json!(1)), "{}", answer.body);
    service.process.signal("KILL");
    service.process.end(LONG);
}

#[test]
fn the_service_logs_its_start_and_end_and_the_author_s_lines_carry_the_execution() {
    let place = TestStore::new();
    let log = std::fs::File::create(place.path("log")).unwrap();
    let service = Service::start_logged(&place, "--listen 127.0.0.1:0 --log-format json", log);
    launch(&service, "/jobs/SampleJob/launch", "{}");
    service.terminate();
    let log = place.read("log");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |message: &str| {
        let found = lines.iter().find(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message)));
        found.unwrap_or_else(|| panic!("'{message}' is missing: {log}"))
    };
    assert_eq!(line("starting")["node.name"], "test");
    assert_eq!(line("ready")["address"], json!(service_address(&log)));
    assert_eq!(line("stopping")["cause"], "SIGTERM or SIGHUP");
    line("stopped");
    let own = lines.iter().find(|line| line["target"].as_str().is_some_and(|target| target.contains("jobs::sample")));
    let span = &own.unwrap_or_else(|| panic!("the sample job logs nothing: {log}"))["span"];
    assert_eq!((&span["execution.id"], &span["job.name"]), (&json!(1), &json!("SampleJob")), "{log}");
    assert_eq!(span["step.name"], "Step1");
}

/// The address in the line `ready`.
fn service_address(log: &str) -> String {
    let line = log.lines().find(|line| line.contains("\"ready\"")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["address"].as_str().unwrap().to_owned()
}

#[test]
fn a_launch_that_waits_for_a_service_is_not_run_twice() {
    let place = TestStore::new();
    let mut service = Service::start_with(&place, "--listen 127.0.0.1:0 --log-level off --concurrency 1");
    assert_eq!(service.post("/jobs/RetryJob/launch", "{}").status, 202);
    assert_eq!(service.post("/jobs/SampleJob/launch", "{}").status, 202);
    service.process.signal("KILL");
    service.process.end(LONG);
    assert_snapshot!("waiting_for_a_service", place.run("run SampleJob"));
    assert_snapshot!("waiting_stopped", place.run("stop 2"));
    place.run("run SampleJob").expect(0);
}

#[test]
fn the_service_logs_a_failure_once_with_its_job_and_execution() {
    let place = TestStore::new();
    let log = std::fs::File::create(place.path("log")).unwrap();
    let mut command = place.command("serve --listen 127.0.0.1:0 --log-format json");
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(log).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let service = Service { process: crate::harness::Running::of(child), address };
    launch(&service, "/jobs/FailingJob/launch", "{}");
    service.terminate();
    let log = place.read("log");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert_eq!((&errors[0]["job.name"], &errors[0]["execution.id"]), (&json!("FailingJob"), &json!(1)));
    assert_eq!(log.matches("this step always fails").count(), 1, "{log}");
}
