//! The service under those that run services: containers, systemd.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use crate::harness::{LONG, Running, Service, TestStore};

#[test]
fn health_is_an_exit_code_for_containers() {
    let place = TestStore::new();
    let none = place.run("health --server http://127.0.0.1:9");
    assert!(none.code == 5 && none.stderr.contains("http://127.0.0.1:9"), "{none}");
    let service = Service::start(&place);
    let ready = place.run(&format!("health --server http://{}", service.address)).expect(0);
    assert_eq!(ready.stdout, "ready\n");
    // By its own settings, as in a container.
    let mut command = place.command("health");
    command.env("OXBATCH_LISTEN", &service.address);
    place.finish(&mut command).expect(0);
    std::fs::remove_file(place.path("oxbatch.db")).unwrap();
    let gone = place.run(&format!("health --server http://{}", service.address));
    assert!(gone.code != 0, "{gone}");
}

#[test]
fn systemd_is_notified_of_ready_alive_and_stopping() {
    let place = TestStore::new();
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let next = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let mut command = place.command("serve --listen 127.0.0.1:0");
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "200000");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut service = Service::of(Running::of(child));
    assert_eq!(next(), "READY=1\n");
    assert_eq!([next(), next()], ["WATCHDOG=1\n", "WATCHDOG=1\n"]);
    service.process.signal("TERM");
    let mut last = next();
    while last == "WATCHDOG=1\n" {
        last = next();
    }
    assert_eq!(last, "STOPPING=1\n");
    assert!(service.process.end(LONG).0.success());
}

/// Takes a migration back, so that the database is that of an older version.
fn undo(place: &TestStore, sql: &str) {
    match &place.database {
        Some(database) => database.execute(sql),
        None => rusqlite::Connection::open(place.path("oxbatch.db")).unwrap().execute_batch(sql).unwrap(),
    }
}

#[test]
fn a_migration_waits_for_nodes_of_an_older_version_unless_somebody_says_so() {
    for place in TestStore::of_each_kind() {
        let service = Service::start(&place);
        // What nodes of before can do without is added beside them.
        undo(
            &place,
            "ALTER TABLE oxbatch_step_execution DROP COLUMN phase_shares; DELETE FROM oxbatch_migration WHERE number = 14",
        );
        place.run("executions").expect(0);
        undo(&place, "DROP TABLE oxbatch_backfill; DELETE FROM oxbatch_migration WHERE number = 13");
        for command in ["executions", "run ChunkJob", "serve --listen 127.0.0.1:0"] {
            let refused = place.run(command).expect(5);
            assert!(refused.stderr.contains("must be migrated for this version (backfills)"), "{refused}");
            assert!(
                refused.stderr.contains("of an older version") && refused.stderr.contains("--migrate"),
                "{refused}"
            );
        }
        let newer = Service::start_with(&place, "--listen 127.0.0.1:0 --log-level off --migrate");
        newer.terminate();
        place.run("executions").expect(0);
        service.terminate();
    }
}

#[test]
fn a_database_of_an_older_version_without_nodes_is_migrated_by_whoever_comes_first() {
    for place in TestStore::of_each_kind() {
        place.run("run ChunkJob").expect(0);
        undo(&place, "DROP TABLE oxbatch_backfill; DELETE FROM oxbatch_migration WHERE number = 13");
        assert!(place.run("executions").expect(0).stdout.contains("ChunkJob"));
    }
}
