//! Flag, environment, file and default: which is stronger, and what is wrong with them.

use insta::assert_snapshot;

use crate::harness::TestStore;

#[test]
fn a_flag_is_stronger_than_the_environment_and_that_than_the_file() {
    let place = TestStore::new();
    place.write("oxbatch.toml", "[database]\npath = 'file.db'\n");
    place.run("run SampleJob").expect(0);
    assert!(place.path("file.db").exists());
    place.finish(place.command("run SampleJob").env("OXBATCH_DATABASE", "environment.db")).expect(0);
    assert!(place.path("environment.db").exists());
    place.finish(place.command("run SampleJob --database flag.db").env("OXBATCH_DATABASE", "unused.db")).expect(0);
    assert!(place.path("flag.db").exists() && !place.path("unused.db").exists() && !place.path("oxbatch.db").exists());
}

#[test]
fn another_file_is_named_by_flag_or_environment() {
    let place = TestStore::new();
    place.write("oxbatch.toml", "[database]\npath = 'default.db'\n");
    place.write("other.toml", "[database]\npath = 'other.db'\n[logging]\nlevel = 'debug'\nformat = 'json'\n");
    let done = place.run("run SampleJob --config other.toml").expect(0);
    assert!(place.path("other.db").exists() && !place.path("default.db").exists());
    assert!(done.stderr.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{done}");
    assert!(done.stderr.contains("\"job.name\":\"SampleJob\""), "{done}");
    let done = place.finish(place.command("run SampleJob").env("OXBATCH_CONFIG", "other.toml")).expect(0);
    assert!(done.stdout.contains("already complete"), "{done}");
}

#[test]
fn a_wrong_setting_is_told_with_its_flag_variable_or_key() {
    let place = TestStore::new();
    assert_snapshot!("wrong_flag", place.run("serve --concurrency none"));
    assert_snapshot!("wrong_variable", place.finish(place.command("serve").env("OXBATCH_SHUTDOWN_TIMEOUT", "soon")));
    assert_snapshot!("wrong_log_level", place.run("jobs --log-level loud=very=much"));
    assert_snapshot!("missing_config", place.run("jobs --config nowhere.toml"));
    place.write("oxbatch.toml", "[engine]\nrecover = 'maybe'\n");
    assert_snapshot!("wrong_key", place.run("serve"));
    place.write("oxbatch.toml", "[server]\nlistn = '127.0.0.1:1'\n");
    assert_snapshot!("unknown_key", place.run("jobs"));
    place.write("oxbatch.toml", "[server\nlisten = '127.0.0.1:1'\n");
    assert_snapshot!("no_toml", place.run("jobs"));
}
