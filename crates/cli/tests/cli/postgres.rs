//! PostgreSQL as the database: how it is reached, who hears of its password, and what is said when it cannot be used.

use std::os::unix::fs::PermissionsExt;

use oxbatch_test_postgres::TestDatabase;

use crate::harness::{Service, TestStore};

/// The parts of a test server's URL: user, password, address.
fn parts(url: &str) -> (&str, &str, &str) {
    let (user, rest) = url.trim_start_matches("postgres://").split_once(':').unwrap();
    let (password, address) = rest.split_once('@').unwrap();
    (user, password, address)
}

/// A run of a command on a URL, with what it says when it fails.
fn fault(place: &TestStore, arguments: &str, url: &str) -> String {
    let done = place.finish(place.command(arguments).env("OXBATCH_DATABASE", url)).expect(5);
    assert_eq!(done.stderr.lines().count(), 1, "{done}");
    done.stderr
}

#[test]
fn commands_in_the_foreground_and_the_service_share_one_database() {
    let place = TestStore::on_postgres();
    let done = place.run("executions").expect(5);
    assert!(done.stderr.contains("keeps no executions"), "{done}");
    place.run("jobs").expect(0);
    place.run("run SampleJob").expect(0);
    place.run("run FailingJob").expect(1);
    let service = Service::start(&place);
    let list = service.get("/executions").json();
    assert_eq!((list[0]["status"].as_str(), list[1]["status"].as_str()), (Some("FAILED"), Some("COMPLETED")));
    assert_eq!(service.get("/health/ready").status, 200);
    let answer = service.post("/jobs/ChunkJob/launch?wait=30s", "{}").json();
    assert_eq!(answer["status"], "COMPLETED", "{answer}");
    assert_eq!(place.run("show 3 --json").expect(0).json()["steps"][0]["write_count"], 25);
    service.terminate();
    assert!(place.run("jobs").expect(0).stdout.contains("ChunkJob"));
    place.run("purge --older-than 0s").expect(0);
}

#[test]
fn the_password_is_found_where_it_is_kept_and_shown_nowhere() {
    let database = TestDatabase::new();
    let (user, password, address) = parts(database.url());
    let bare = format!("postgres://{user}@{address}");
    let place = TestStore::new();
    let with = |name: &str, value: &str| {
        let mut command = place.command("run SampleJob --force --log-level trace");
        let done = place.finish(command.env("OXBATCH_DATABASE", &bare).env(name, value)).expect(0);
        assert!(!done.stderr.contains(password) && !done.stdout.contains(password), "{done}");
    };
    with("PGPASSWORD", password);
    place.write("password", &format!("{password}\n"));
    with("OXBATCH_DATABASE_PASSWORD_FILE", "password");
    place.write("passwords", &format!("other:5432:db:me:no\n*:*:*:{user}:{password}\n"));
    std::fs::set_permissions(place.path("passwords"), std::fs::Permissions::from_mode(0o600)).unwrap();
    with("PGPASSFILE", "passwords");
    let said = fault(&place, "run SampleJob", &bare);
    assert!(said.contains("wants a password of 'oxbatch'"), "{said}");
    let done =
        place.finish(place.command("run SampleJob --database-password-file missing").env("OXBATCH_DATABASE", &bare));
    assert!(done.expect(2).stderr.contains("the password file 'missing' cannot be read"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_password_on_the_command_line_does_not_stay_in_the_process_list() {
    use std::io::BufRead;
    let database = TestDatabase::new();
    let (_, password, _) = parts(database.url());
    let place = TestStore::new();
    let mut running = place.start(&format!("serve --listen 127.0.0.1:0 --database {}", database.url()));
    let mut line = String::new();
    running.stdout().read_line(&mut line).unwrap();
    assert!(line.contains("keeps everything in PostgreSQL") && !line.contains(password), "{line}");
    let shown = std::fs::read(format!("/proc/{}/cmdline", running.id())).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("serve") && !shown.contains(password), "{shown}");
    running.signal("TERM");
}

#[test]
fn a_server_that_cannot_be_used_is_told_in_one_sentence() {
    let database = TestDatabase::new();
    let (user, password, address) = parts(database.url());
    let (server, name) = address.rsplit_once('/').unwrap();
    let place = TestStore::new();
    for (url, said) in [
        ("postgres://me:s3cret@127.0.0.1:1/jobs".to_owned(), "no PostgreSQL server can be reached at 127.0.0.1:1/jobs"),
        (format!("postgres://{user}:s3cret@{address}"), "does not let 'oxbatch' in"),
        (format!("postgres://{user}:{password}@{server}/none"), "create it with: createdb none"),
        (format!("{}?sslmode=require", database.url()), "no encrypted connection"),
    ] {
        let told = fault(&place, "run SampleJob", &url);
        assert!(told.contains(said) && !told.contains("s3cret") && !told.contains(password), "{url}: {told}");
    }
    database
        .execute(&format!("CREATE ROLE poor_{name} LOGIN PASSWORD 'p'; REVOKE CREATE ON SCHEMA public FROM PUBLIC;"));
    let told = fault(&place, "run SampleJob", &format!("postgres://poor_{name}:p@{address}"));
    assert!(told.contains("may not create tables") && told.contains("CREATE SCHEMA AUTHORIZATION"), "{told}");
    database.execute(&format!("ALTER ROLE poor_{name} CONNECTION LIMIT 0"));
    let told = fault(&place, "run SampleJob", &format!("postgres://poor_{name}:p@{address}"));
    assert!(told.contains("no connection left"), "{told}");
    database.execute(&format!("DROP ROLE poor_{name}"));
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let place = TestStore::on_postgres();
    place.run("run SampleJob").expect(0);
    let database = place.database.as_ref().unwrap();
    database.execute("INSERT INTO oxbatch_migration VALUES (7000, 'time travel', now())");
    let done = place.run("run SampleJob").expect(5);
    assert!(done.stderr.contains("newer version") && done.stderr.contains("7000 'time travel'"), "{done}");
}
