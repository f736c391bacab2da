//! Nodes as the command line shows and drains them.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{LONG, Service, TestStore};

#[test]
fn a_running_service_is_listed_and_drained_to_its_end() {
    let place = TestStore::new();
    let service = Service::start(&place);
    let nodes = place.run("nodes --json").expect(0).json();
    assert_eq!(nodes, service.get("/nodes").json());
    assert_eq!((&nodes[0]["name"], &nodes[0]["state"]), (&json!("test"), &json!("live")));
    let listed = place.run("nodes").expect(0).stdout;
    let id = nodes[0]["id"].as_str().unwrap();
    let words: Vec<_> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words, ["test", "live", "8", words[3], id]);
    assert!(place.run("drain").expect(0).stdout.contains("is draining and runs 0 executions"));
    assert!(place.run("drain test --undo").expect(0).stdout.contains("is live and runs 0 executions"));
    assert!(place.run(&format!("drain {id} --stop --exit --wait 1m")).expect(0).stdout.contains("has ended"));
    let (status, _) = service.process.end(LONG);
    assert_eq!(status.code(), Some(0));
    assert_eq!(place.run("nodes --json").expect(0).json(), json!([]));
}

#[test]
fn a_node_that_was_killed_is_gone_and_is_not_drained() {
    let place = TestStore::new();
    let mut service = Service::start(&place);
    service.process.signal("KILL");
    service.process.end(LONG);
    assert_eq!(place.run("nodes --json").expect(0).json()[0]["state"], "gone");
    assert_snapshot!("drain_gone", place.run("drain test"));
    assert_snapshot!("drain_undo_and_stop", place.run("drain test --undo --stop"));
}

#[test]
fn one_of_several_nodes_of_a_name_is_named_by_its_id() {
    let place = TestStore::new();
    let (one, two) = (Service::start(&place), Service::start(&place));
    let refused = place.run("drain test").expect(2).stderr;
    for node in one.get("/nodes").json().as_array().unwrap() {
        assert!(refused.contains(node["id"].as_str().unwrap()), "{refused}");
    }
    one.terminate();
    two.terminate();
}
