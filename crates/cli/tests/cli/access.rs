//! Tokens, logins and the audit log through the real binary.

use serde_json::Value;

use crate::harness::{Done, Service, TestStore};

fn token(place: &TestStore, flags: &str) -> String {
    let made = place.run(&format!("tokens create {flags}")).expect(0);
    let text = made.stdout.trim().to_owned();
    assert!(text.starts_with("oxb_") && text.len() == 68, "{made}");
    text
}

/// Runs a command against a service with a token in the environment.
fn with_token(place: &TestStore, token: &str, arguments: &str) -> Done {
    place.finish(place.command(arguments).env("OXBATCH_TOKEN", token))
}

#[test]
fn a_token_is_made_shown_once_listed_and_revoked() {
    for place in TestStore::of_each_kind() {
        let made = place.run("tokens create --role admin --name alice").expect(0);
        assert!(made.stderr.contains("token 1 'alice' with the role admin holds until"), "{made}");
        assert!(made.stderr.contains("http://localhost:8000/login?code=oxl_"), "{made}");
        let text = made.stdout.trim();
        let json = place.run("tokens create --role viewer --data --expires never --json").expect(0).json();
        assert_eq!(
            (&json["role"], &json["data"], &json["expire_time"]),
            (&"viewer".into(), &true.into(), &Value::Null)
        );
        let listed = place.run("tokens list").expect(0);
        assert!(listed.stdout.contains("alice") && listed.stdout.contains("never"), "{listed}");
        assert!(!listed.stdout.contains(text), "{listed}");
        place.run("tokens revoke 1").expect(0);
        let again = place.run("tokens revoke 1").expect(0);
        assert!(again.stdout.contains("was revoked before"), "{again}");
        let listed = place.run("tokens list --json").expect(0).json();
        let states: Vec<_> = listed.as_array().unwrap().iter().map(|token| token["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["good", "revoked"]);
        let unknown = place.run("tokens revoke 4711").expect(2);
        assert!(unknown.stderr.contains("there is no token 4711"), "{unknown}");
        for wrong in ["--role king", "--role admin --expires soon", "--role admin --expires 0s", ""] {
            place.run(&format!("tokens create {wrong}")).expect(2);
        }
    }
}

#[test]
fn a_service_on_all_addresses_starts_once_there_is_a_token() {
    for place in TestStore::of_each_kind() {
        let refused = place.run("serve --listen 0.0.0.0:0").expect(5);
        assert!(refused.stderr.contains("oxbatch tokens create --role admin"), "{refused}");
        token(&place, "--role admin");
        let service = Service::start_with(&place, "--log-level off --listen 0.0.0.0:0");
        assert_eq!(service.get("/jobs").status, 401);
        assert_eq!(service.get("/health/ready").status, 200);
        service.terminate();
    }
}

#[test]
fn commands_show_the_service_a_token_from_a_file_or_the_environment() {
    let place = TestStore::new();
    let [admin, viewer] = ["admin", "viewer"].map(|role| token(&place, &format!("--role {role}")));
    let service = Service::start(&place);
    let elsewhere = TestStore::new();
    let server = format!("--server http://{}", service.address);
    let refused = elsewhere.run(&format!("{server} jobs")).expect(4);
    assert!(refused.stderr.contains("--token-file or OXBATCH_TOKEN"), "{refused}");
    with_token(&elsewhere, &viewer, &format!("{server} jobs")).expect(0);
    let refused = with_token(&elsewhere, &viewer, &format!("{server} launch SampleJob")).expect(4);
    assert!(refused.stderr.contains("this needs the role operator"), "{refused}");
    elsewhere.write("token", &format!("{admin}\n"));
    elsewhere.run(&format!("{server} --token-file token launch SampleJob --wait")).expect(0);
    // A flag is stronger than the environment.
    with_token(&elsewhere, &viewer, &format!("{server} --token-file token launch SampleJob --force --wait")).expect(0);
    elsewhere.run(&format!("{server} --token-file nowhere jobs")).expect(2);
    let audit = elsewhere.run(&format!("{server} --token-file token audit --json")).expect(0).json();
    let launch = &audit[0];
    assert_eq!((&launch["action"], &launch["token_id"]), (&"launch_job".into(), &1.into()), "{audit}");
    assert_eq!(launch["address"], "127.0.0.1");
    assert_eq!(launch["outcome"], "202 /executions/2");
    let refused = with_token(&elsewhere, &viewer, &format!("{server} audit")).expect(4);
    assert!(refused.stderr.contains("the role admin"), "{refused}");
    let none = with_token(&elsewhere, "two words", &format!("{server} jobs")).expect(2);
    assert!(none.stderr.contains("OXBATCH_TOKEN") && !none.stderr.contains("two words"), "{none}");
    service.terminate();
}

#[test]
fn commands_that_change_something_are_in_the_audit_log() {
    for place in TestStore::of_each_kind() {
        token(&place, "--role admin --name alice");
        place.run("run SampleJob").expect(0);
        place.run("run FailingJob").expect(1);
        place.run("abandon 2").expect(0);
        place.run("abandon 2").expect(4);
        place.run("schedules add SampleJob --cron 5*** --name bad").expect(2);
        place.run("purge --older-than 1d").expect(0);
        place.run("purge --older-than 1d --dry-run").expect(0);
        place.run("jobs").expect(0);
        let log = place.run("audit --json").expect(0).json();
        let text = |field: &str| {
            let entries = log.as_array().unwrap().iter().rev();
            entries.map(|entry| entry[field].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let actions = ["create_token", "run_job", "run_job", "abandon_execution", "abandon_execution", "purge"];
        let seen: Vec<_> = text("action").into_iter().filter(|action| action != "add_schedule").collect();
        assert_eq!(seen, actions);
        let outcomes: Vec<_> = text("outcome");
        assert_eq!(outcomes[..5], ["token 1", "execution 1", "execution 2", "exit 0", "exit 4"]);
        assert!(text("who").iter().all(|who| who.starts_with("local ")), "{log}");
        assert_eq!(text("object")[3], "execution 2");
        let page = place.run("audit --limit 2 --since 1h").expect(0);
        assert!(page.stderr.contains("--cursor "), "{page}");
        place.run("audit --since yesterday").expect(2);
    }
}

#[test]
fn settings_of_access_are_checked() {
    let place = TestStore::new();
    for (flags, sentence) in [
        ("--trusted-proxy nowhere", "'nowhere' is no address"),
        ("--public /jobs", "'/jobs' cannot be shown without a token"),
        ("--audit-retention 1h", "less than a day"),
    ] {
        let refused = place.run(&format!("serve --listen 127.0.0.1:0 {flags}")).expect(2);
        assert!(refused.stderr.contains(sentence), "{refused}");
    }
    place.write("oxbatch.toml", "[server]\nread_only = true\npublic = ['/metrics']\ntrusted_proxies = ['127.0.0.1']\n");
    token(&place, "--role admin");
    let service = Service::start(&place);
    assert_eq!(service.get("/metrics").status, 200);
    assert_eq!(service.get("/jobs").status, 401);
    service.terminate();
}
