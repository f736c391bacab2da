//! New runs, and what a job's parameters are declared with.

use insta::assert_snapshot;

use crate::harness::{Service, TestStore};

#[test]
fn a_job_is_shown_in_full_and_as_a_schema() {
    let place = TestStore::new();
    assert_snapshot!("one_job", place.run("jobs WildlifeStrikes"));
    assert_snapshot!("one_job_schema", place.run("jobs WildlifeStrikes --schema"));
    let json = place.run("jobs WildlifeStrikes --json").expect(0).json();
    assert_eq!((&json[0]["name"], &json[0]["restartable"]), (&"WildlifeStrikes".into(), &true.into()));
    place.run("jobs Nope").expect(2);
    place.run("jobs --schema").expect(2);
}

#[test]
fn each_new_run_in_the_foreground_and_in_the_service_has_the_next_number() {
    for place in TestStore::of_each_kind() {
        for run in 1..=2 {
            let report = place.run("run SampleJob day=2024-01-01 --new --json").expect(0).json();
            assert_eq!(report["execution"]["parameters"]["run"], run);
        }
        let service = Service::start(&place);
        for (run, server) in [(3, String::new()), (4, format!("--server http://{} ", service.address))] {
            let elsewhere = TestStore::new();
            let caller = if server.is_empty() { &place } else { &elsewhere };
            caller.run(&format!("{server}launch SampleJob day=2024-01-01 --new --wait")).expect(0);
            let shown = place.run(&format!("show {run} --json")).expect(0).json();
            assert_eq!(shown["execution"]["parameters"]["run"], run);
        }
        service.terminate();
        place.run("run SampleJob run=9 --new").expect(2);
        place.run("run SampleJob --new --preview 1").expect(2);
    }
}
