//! Ctrl-C, SIGTERM, SIGKILL and `stop`, while a job runs in the foreground.

use std::process::Stdio;

use crate::harness::{LONG, Running, TestStore};

/// A job that waits a second between two attempts, reached in the middle of its wait.
fn waiting(place: &TestStore) -> Running {
    let mut running = place.start("run RetryJob");
    running.await_log("will be tried again");
    running
}

#[test]
fn ctrl_c_stops_the_job_and_the_next_run_resumes_it() {
    for place in TestStore::of_each_kind() {
        let mut running = waiting(&place);
        running.signal("INT");
        let (status, stdout) = running.end(LONG);
        assert_eq!(status.code(), Some(3), "{stdout}");
        assert!(stdout.contains("execution 1 of RetryJob  STOPPED"), "{stdout}");
        let done = place.run("run RetryJob").expect(0);
        assert!(done.stdout.starts_with("Step1      already complete"), "{done}");
    }
}

#[test]
fn sigterm_and_sighup_end_the_job_as_a_shutdown_and_the_service_resumes_it() {
    for (place, signal) in TestStore::of_each_kind().into_iter().zip(["TERM", "HUP"]) {
        let mut running = waiting(&place);
        running.signal(signal);
        let (status, stdout) = running.end(LONG);
        assert_eq!(status.code(), Some(3), "{stdout}");
        assert_eq!(place.run("show 1 --json").expect(0).json()["execution"]["exit_code"], "SHUTDOWN");
        let service = crate::harness::Service::start(&place);
        let ended = service.get_until("/executions?limit=1", |list| list[0]["status"] == "COMPLETED");
        assert_eq!(ended[0]["id"], 2);
        service.terminate();
    }
}

#[test]
fn a_killed_run_is_resumed_by_the_next_one() {
    for place in TestStore::of_each_kind() {
        let mut running = waiting(&place);
        running.signal("KILL");
        running.end(LONG);
        let done = place.run("run RetryJob").expect(0);
        assert!(done.stdout.starts_with("Step1      already complete"), "{done}");
        let lost = place.run("show 1 --json").expect(0).json();
        assert_eq!(
            (&lost["execution"]["status"], &lost["execution"]["exit_code"]),
            (&"FAILED".into(), &"ABORTED".into())
        );
    }
}

#[test]
fn a_killed_run_is_resumed_by_restart_and_ended_by_stop_and_abandon() {
    let place = TestStore::new();
    let kill = |place: &TestStore| {
        let mut running = waiting(place);
        running.signal("KILL");
        running.end(LONG);
    };
    kill(&place);
    place.run("restart 1").expect(0);
    let place = TestStore::new();
    kill(&place);
    let done = place.run("stop 1").expect(0);
    assert_eq!(done.stdout, "execution 1 is STOPPED\n");
    let place = TestStore::new();
    kill(&place);
    place.run("abandon 1").expect(0);
    place.run("run RetryJob").expect(4);
}

#[test]
fn an_instance_that_runs_in_another_process_is_refused() {
    let place = TestStore::new();
    let _running = waiting(&place);
    let refused = place.run("run RetryJob").expect(4);
    assert!(refused.stderr.contains("execution 1 of the same job instance is already running"), "{refused}");
}

#[test]
fn stop_reaches_a_job_in_another_process() {
    let place = TestStore::new();
    let running = waiting(&place);
    let done = place.run("stop 1 --wait 30s").expect(0);
    assert_eq!(done.stdout, "execution 1 is STOPPED\n");
    let (status, _) = running.end(LONG);
    assert_eq!(status.code(), Some(3));
}

#[test]
fn a_job_that_is_to_outlive_its_terminal_is_not_ended_by_sighup() {
    let place = TestStore::new();
    let binary = env!("CARGO_BIN_EXE_oxbatch");
    let mut command = place.program("sh");
    command.args(["-c", &format!("trap '' HUP; exec {binary} run RetryJob")]);
    let mut running = Running::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    running.await_log("will be tried again");
    running.signal("HUP");
    let (status, stdout) = running.end(LONG);
    assert_eq!(status.code(), Some(0), "{stdout}");
}

#[test]
fn a_file_that_may_not_grow_is_no_space_and_no_end_by_a_signal() {
    let place = TestStore::new();
    let binary = env!("CARGO_BIN_EXE_oxbatch");
    let mut command = place.program("sh");
    command.args(["-c", &format!("ulimit -f 16; exec {binary} run SampleJob")]);
    let done = place.finish(&mut command).expect(5);
    assert!(done.stderr.contains("no space"), "{done}");
}
