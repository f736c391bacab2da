//! Schedules as the command line adds, shows, pauses and runs them: on each database, and over HTTP alike.

use serde_json::json;

use crate::harness::{Done, Service, TestStore};

fn schedules(place: &TestStore, arguments: &[&str]) -> Done {
    place.finish(place.command("schedules").args(arguments))
}

const ADD: [&str; 10] = [
    "add",
    "ParameterizedJob",
    "--name",
    "nightly",
    "--cron",
    "30 2 * * *",
    "--zone",
    "Europe/Berlin",
    "--expression",
    "day=fire date - 1 day",
];

#[test]
fn a_schedule_is_added_shown_paused_run_and_removed() {
    for place in TestStore::of_each_kind() {
        place.run("run SampleJob").expect(0);
        let added = schedules(&place, &ADD).expect(0).stdout;
        assert!(added.contains("schedule nightly launches ParameterizedJob: 30 2 * * * in Europe/Berlin"), "{added}");
        assert!(added.contains("02:30 does not exist: runs at 03:00"), "{added}");
        let next = schedules(&place, &["next", "nightly", "7"]).expect(0).stdout;
        assert_eq!(
            next.lines().filter(|line| line.contains("02:30:00 +") || line.contains("03:00:00 +")).count(),
            7,
            "{next}"
        );
        let listed = schedules(&place, &[]).expect(0).stdout;
        assert!(listed.lines().nth(1).unwrap().starts_with("nightly  ParameterizedJob  30 2 * * * in Europe/Berlin"));

        let paused = schedules(&place, &["pause", "nightly", "--reason", "a release"]).expect(0).stdout;
        assert_eq!(paused, "schedule nightly is paused until resumed: a release\n");
        assert!(schedules(&place, &["list"]).expect(0).stdout.contains("paused: a release"));
        schedules(&place, &["pause", "--all", "--reason", "all of it", "--until", "2100-01-01T00:00:00Z"]).expect(0);
        schedules(&place, &["resume", "nightly"]).expect(0);
        schedules(&place, &["resume", "--all"]).expect(0);
        assert!(schedules(&place, &["resume", "--all"]).expect(4).stderr.contains("is not paused"));

        let ran = schedules(&place, &["run", "nightly", "--json"]).expect(0).json();
        assert_eq!((&ran["outcome"], &ran["schedule"]), (&json!("LAUNCHED"), &json!("nightly")));
        assert!(schedules(&place, &["run", "nightly"]).expect(4).stdout.contains("ALREADY_RUNNING"));
        let fires = schedules(&place, &["fires", "nightly", "--limit", "1"]).expect(0);
        assert!(fires.stdout.contains("ALREADY_RUNNING") && fires.stderr.contains("--cursor"), "{fires}");
        let head = schedules(&place, &["missed"]).expect(0).stdout;
        assert_eq!(head.lines().count(), 1, "{head}");
        schedules(&place, &["remove", "nightly"]).expect(0);
        assert!(schedules(&place, &["next", "nightly"]).expect(2).stderr.contains("schedule not found: 'nightly'"));
        assert!(schedules(&place, &["fires", "--outcome", "LAUNCHED"]).expect(0).stdout.contains("nightly"));
    }
}

#[test]
fn a_service_is_asked_over_http_as_the_database_is() {
    let place = TestStore::new();
    let service = Service::start(&place);
    let address = format!("http://{}", service.address);
    let remote =
        |arguments: &[&str]| place.finish(place.command("schedules").args(arguments).args(["--server", &address]));
    let added = remote(&ADD).expect(0).stdout;
    assert_eq!(added, schedules(&place, &["next", "nightly"]).expect(0).stdout);
    assert_eq!(remote(&["--json"]).expect(0).json(), schedules(&place, &["--json"]).expect(0).json());
    remote(&["pause", "nightly", "--reason", "x"]).expect(0);
    remote(&["resume", "nightly"]).expect(0);
    let ran = remote(&["run", "nightly", "--json"]).expect(0).json();
    assert_eq!(remote(&["fires", "nightly", "--json"]).expect(0).json()[0]["id"], ran["id"]);
    assert!(remote(&["next", "none"]).expect(2).stderr.contains("schedule not found: 'none'"));
    assert!(remote(&["run", "--fire", "99"]).expect(2).stderr.contains("fire not found"));
    let refused = remote(&["add", "ParameterizedJob", "--cron", "61 2 * * *", "--new-run"]).expect(2).stderr;
    assert!(refused.contains("the minute '61' is not 0 to 59"), "{refused}");
    remote(&["remove", "nightly"]).expect(0);
    service.terminate();
}

#[test]
fn what_is_wrong_with_a_schedule_is_said_by_name() {
    let place = TestStore::new();
    place.run("run SampleJob").expect(0);
    let refused = |arguments: &[&str], code: i32| schedules(&place, arguments).expect(code).stderr;
    assert!(refused(&["add", "SampleJob", "--cron", "0 24 * * *", "--new-run"], 2).contains("the hour '24'"));
    assert!(refused(&["add", "SampleJob", "--cron", "0 2 * * *", "--zone", "Mars", "--new-run"], 2).contains("'Mars'"));
    assert!(refused(&["add", "None", "--cron", "0 2 * * *"], 2).contains("job not found: 'None'"));
    assert!(refused(&["add", "SampleJob", "--cron", "0 2 * * *", "--missed", "some"], 2).contains("latest, all, none"));
    assert!(refused(&["add", "SampleJob", "--cron", "0 2 * * *"], 2).contains("the same instance"));
    assert!(refused(&["add", "SampleJob"], 2).contains("--cron"));
    assert!(refused(&["pause", "none", "--reason", "x"], 2).contains("schedule not found"));
    assert!(refused(&["pause", "--reason", "x"], 2).contains("--all"));
    assert!(refused(&["pause", "--all", "--reason", " "], 2).contains("needs a reason"));
    assert!(refused(&["resume", "--job", "SampleJob"], 4).contains("job 'SampleJob' is not paused"));
}
