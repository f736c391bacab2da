//! Work that the command line sends to a running service, through the database and over HTTP.

use std::net::TcpListener;

use crate::harness::{LONG, Service, TestStore};

/// The same commands against the service's database, and from a folder without one over HTTP.
fn both_ways<'a>(place: &'a TestStore, elsewhere: &'a TestStore, service: &Service) -> [(&'a TestStore, String); 2] {
    [(place, String::new()), (elsewhere, format!("--server http://{} ", service.address))]
}

#[test]
fn a_launch_is_run_by_the_service_and_waited_for() {
    for place in TestStore::of_each_kind() {
        let service = Service::start(&place);
        for (caller, server) in both_ways(&place, &TestStore::new(), &service) {
            let done = caller.run(&format!("{server}launch SampleJob --force --wait")).expect(0);
            assert!(done.stdout.contains("of SampleJob is COMPLETED"), "{done}");
            let failed = caller.run(&format!("{server}launch FailingJob --force --wait --timeout 60s")).expect(1);
            assert!(failed.stdout.contains("of FailingJob is FAILED: "), "{failed}");
        }
        service.terminate();
    }
}

#[test]
fn an_execution_is_shown_followed_waited_for_stopped_and_abandoned() {
    let place = TestStore::new();
    let service = Service::start(&place);
    for (caller, server) in both_ways(&place, &TestStore::new(), &service) {
        let launched = caller.run(&format!("{server}launch ChunkJob --force")).expect(0);
        let id: i64 = launched.stdout.split(' ').nth(1).unwrap().parse().unwrap();
        let followed = caller.run(&format!("{server}show {id} --follow")).expect(0);
        assert!(followed.stdout.contains(&format!("execution {id} is COMPLETED\n")), "{followed}");
        assert!(followed.stdout.contains("COMPLETED  read 50  written 25  filtered 25"), "{followed}");
        caller.run(&format!("{server}wait {id}")).expect(0);
        let shown = caller.run(&format!("{server}show {id} --json")).expect(0).json();
        assert_eq!((&shown["execution"]["id"], &shown["steps"][0]["read_count"]), (&id.into(), &50.into()));
        caller.run(&format!("{server}stop {id}")).expect(4);
        let failed = caller.run(&format!("{server}launch FailingJob --force --wait")).expect(1);
        let id: i64 = failed.stdout.split(' ').nth(1).unwrap().parse().unwrap();
        caller.run(&format!("{server}abandon {id}")).expect(0);
        caller.run(&format!("{server}abandon {id}")).expect(4);
    }
    service.terminate();
}

#[test]
fn ex_17_the_exit_code_of_the_process_is_mapped_from_that_of_the_job() {
    let place = TestStore::new();
    let sunday = "NightlyOrders day=2026-12-06";
    let closed = place.run(&format!("run {sunday}")).expect(10);
    assert!(closed.stdout.contains("of NightlyOrders  COMPLETED"), "{closed}");
    let failed = "NightlyOrders day=2026-12-07 input=nowhere.csv";
    place.run(&format!("run {failed}")).expect(1);
    let service = Service::start(&place);
    for (caller, server) in both_ways(&place, &TestStore::new(), &service) {
        let closed = caller.run(&format!("{server}launch {sunday} --force --wait")).expect(10);
        let id: i64 = closed.stdout.split(' ').nth(1).unwrap().parse().unwrap();
        caller.run(&format!("{server}wait {id}")).expect(10);
        caller.run(&format!("{server}show {id} --follow")).expect(10);
        caller.run(&format!("{server}show {id}")).expect(0);
        caller.run(&format!("{server}launch {failed} --wait")).expect(1);
        let job = caller.run(&format!("{server}jobs NightlyOrders")).expect(0);
        assert!(job.stdout.contains("exit codes   CLOSED 10, else by status"), "{job}");
    }
    service.terminate();
}

#[test]
fn jo_29_instances_are_counted() {
    let place = TestStore::new();
    for n in 0..3 {
        place.run(&format!("run SampleJob n={n}")).expect(0);
    }
    place.run("run FailingJob").expect(1);
    let service = Service::start(&place);
    for (caller, server) in both_ways(&place, &TestStore::new(), &service) {
        assert_eq!(caller.run(&format!("{server}instances --count")).expect(0).stdout, "4\n");
        assert_eq!(caller.run(&format!("{server}instances --count --job SampleJob")).expect(0).stdout, "3\n");
        let counted = caller.run(&format!("{server}instances --count --job RetryJob --json")).expect(0).json();
        assert_eq!(counted, serde_json::json!({"count": 0}));
        caller.run(&format!("{server}instances --count --job Nope")).expect(2);
    }
    service.terminate();
}

#[test]
fn a_plan_of_a_restart_is_the_same_through_the_database_and_over_http() {
    let place = TestStore::new();
    let service = Service::start(&place);
    place.run("launch FailingJob --wait").expect(1);
    let mut plans = Vec::new();
    for (caller, server) in both_ways(&place, &TestStore::new(), &service) {
        plans.push(caller.run(&format!("{server}restart 1 --dry-run")).expect(0).stdout);
        let stale = caller.run(&format!("{server}restart 1 --plan abc")).expect(4);
        assert!(stale.stderr.contains("does not hold any more"), "{stale}");
    }
    assert_eq!(plans[0], plans[1]);
    let tag = plans[0].trim_end().rsplit(' ').next().unwrap().to_owned();
    let server = format!("--server http://{}", service.address);
    let done = TestStore::new().run(&format!("{server} restart 1 --plan {tag} --wait")).expect(1);
    assert!(done.stdout.contains("execution 2 of FailingJob is FAILED"), "{done}");
    service.terminate();
}

#[test]
fn parameters_have_the_same_types_over_http() {
    let place = TestStore::new();
    let service = Service::start(&place);
    for (caller, server) in both_ways(&place, &TestStore::new(), &service) {
        let parameters = "start_date=2024-01-01 batch_size=100 threshold=0.95";
        let done = caller.run(&format!("{server}launch ParameterizedJob {parameters} --wait")).expect(0);
        assert!(done.stdout.contains("COMPLETED"), "{done}");
    }
    // One identity: the second launch found everything complete.
    assert_eq!(place.query("SELECT count(*) FROM oxbatch_job_instance WHERE job_name = 'ParameterizedJob'"), 1);
    service.terminate();
}

#[test]
fn a_lost_answer_to_a_launch_does_not_launch_twice() {
    let place = TestStore::new();
    let service = Service::start(&place);
    for (caller, server) in both_ways(&place, &TestStore::new(), &service) {
        let keyed = format!("{server}launch SampleJob n={} --idempotency-key k{}", server.len(), server.len());
        let first = caller.run(&format!("{keyed} --wait")).expect(0);
        let again = caller.run(&keyed).expect(0);
        assert_eq!(first.stdout.split(' ').nth(1), again.stdout.split(' ').nth(1), "{first}{again}");
    }
    service.terminate();
}

#[test]
fn what_cannot_be_sent_is_refused_with_a_sentence() {
    let place = TestStore::new();
    let service = Service::start(&place);
    for (caller, server) in both_ways(&place, &TestStore::new(), &service) {
        for (command, code, text) in [
            ("launch NoSuchJob", 2, "job not found: 'NoSuchJob'"),
            ("executions --job NoSuchJob", 2, "job not found: 'NoSuchJob'"),
            ("instances --job NoSuchJob", 2, "job not found: 'NoSuchJob'"),
            ("restart 4711", 2, "execution not found: 4711"),
            ("skips 4711", 2, "execution not found: 4711"),
            ("skips rerun 4711", 2, "execution not found: 4711"),
            ("launch ParameterizedJob batch_size=1e999", 2, "batch_size"),
            ("wait 4711", 2, "execution not found: 4711"),
            ("show 4711 --follow", 2, "execution not found: 4711"),
            ("backfill NoSuchJob --from 2026-01-01 --to 2026-01-02", 2, "job not found: 'NoSuchJob'"),
            ("backfill SampleJob --schedule None --from 2026-01-01 --to 2026-01-02", 2, "schedule not found: 'None'"),
        ] {
            let refused = caller.run(&format!("{server}{command}")).expect(code);
            assert!(refused.stderr.starts_with("error: ") && refused.stderr.contains(text), "{refused}");
        }
    }
    service.terminate();
    let refused = place.run("--server http://localhost:1 purge --keep 1").expect(2);
    assert!(refused.stderr.contains("--server does not go with serve, run, backup, purge"), "{refused}");
    place.run("--server localhost:8000 wait 1").expect(2);
}

/// A list shows the same, wherever it comes from; only the cursor of a next page differs.
#[test]
fn lists_are_the_same_over_http() {
    let place = TestStore::new();
    let service = Service::start(&place);
    for command in ["launch SampleJob --wait", "launch FailingJob n=1 --wait", "launch ChunkJob --wait"] {
        place.run(command);
    }
    let elsewhere = TestStore::new();
    let server = format!("--server http://{} ", service.address);
    for command in [
        "executions",
        "executions --job FailingJob --status failed --instance 2 --from 2000-01-01 --to 9000-01-01",
        "executions --json --status completed --status failed",
        "instances",
        "instances --json --job ChunkJob",
        "jobs",
        "jobs --json",
        "nodes",
        "skips 3",
        "skips 3 --json",
        "show 2",
    ] {
        let (here, there) = (place.run(command).expect(0), elsewhere.run(&format!("{server}{command}")).expect(0));
        match command.contains("--json") {
            true => assert_eq!(here.json(), there.json(), "{command}"),
            false => assert_eq!(here.stdout, there.stdout, "{command}"),
        }
    }
    let page = elsewhere.run(&format!("{server}executions --limit 2")).expect(0);
    let cursor = page.stderr.trim().rsplit(' ').next().unwrap().to_owned();
    let rest = elsewhere.run(&format!("{server}executions --limit 2 --cursor {cursor} --json")).expect(0).json();
    assert_eq!((rest.as_array().unwrap().len(), &rest[0]["id"]), (1, &1.into()));
    service.terminate();
}

#[test]
fn a_failed_execution_is_restarted_at_the_service() {
    let place = TestStore::new();
    let service = Service::start(&place);
    place.run("launch FailingJob --wait").expect(1);
    let server = format!("--server http://{} ", service.address);
    let elsewhere = TestStore::new();
    let ended = elsewhere.run(&format!("{server}restart 1 --wait")).expect(1);
    assert!(ended.stdout.starts_with("execution 2 of FailingJob is FAILED: "), "{ended}");
    let sent = elsewhere.run(&format!("{server}restart 2")).expect(0);
    assert!(sent.stdout.starts_with("execution 3 of FailingJob is "), "{sent}");
    elsewhere.run(&format!("{server}wait 3")).expect(1);
    elsewhere.run(&format!("{server}restart 1")).expect(4);
    let rerun = elsewhere.run(&format!("{server}skips rerun 1")).expect(4);
    assert!(rerun.stderr.contains("execution 1"), "{rerun}");
    service.terminate();
}

#[test]
fn a_node_is_drained_over_http() {
    let place = TestStore::new();
    let mut service = Service::start(&place);
    let server = format!("--server http://{} ", service.address);
    let elsewhere = TestStore::new();
    let drained = elsewhere.run(&format!("{server}drain test")).expect(0);
    assert!(drained.stdout.contains("is draining and runs 0 executions"), "{drained}");
    let undone = elsewhere.run(&format!("{server}drain test --undo")).expect(0);
    assert!(undone.stdout.contains("is live"), "{undone}");
    let ended = elsewhere.run(&format!("{server}drain test --exit --wait 60s")).expect(0);
    assert!(ended.stdout.contains("has ended"), "{ended}");
    assert!(!service.process.is_running() || service.process.end(LONG).0.success());
}

#[test]
fn a_service_that_does_not_answer_is_named() {
    let place = TestStore::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = place.run(&format!("--server http://{free} launch SampleJob")).expect(5);
    assert!(refused.stderr.contains(&format!("the service at http://{free} does not answer")), "{refused}");
}

#[test]
fn a_launch_without_a_service_waits_for_one_and_says_so() {
    let place = TestStore::new();
    place.run("run SampleJob").expect(0);
    let launched = place.run("launch SampleJob --force").expect(0);
    assert!(launched.stderr.contains("no service works on this database"), "{launched}");
    assert!(launched.stdout.contains("is STARTING"), "{launched}");
    place.run("wait 2 --timeout 10ms").expect(6);
    let service = Service::start(&place);
    let ended = place.run("wait 2").expect(0);
    assert!(ended.stdout.contains("execution 2 of SampleJob is COMPLETED"), "{ended}");
    service.terminate();
    let mut waiting = place.start("wait 2");
    assert!(waiting.id() > 0);
    assert!(waiting.end(LONG).0.success());
}
