//! The database file is taken away under a process that works on it: nothing is accepted that would be lost.

use std::time::Instant;

use crate::harness::{LONG, Service, TestStore};

/// A service whose log is written to the file `log`.
fn logged(place: &TestStore) -> Service {
    let log = std::fs::File::create(place.path("log")).unwrap();
    Service::start_logged(place, "--listen 127.0.0.1:0 --log-format json", log)
}

/// The service refuses launches from now on, says so, and ends with the code of an unusable database.
fn ends_of_itself(place: &TestStore, service: Service) {
    let answers: Vec<_> = ["/jobs/SampleJob/launch", "/jobs/RetryJob/launch", "/jobs/ChunkJob/launch"]
        .iter()
        .filter_map(|path| service.try_call("POST", path, Some("{}")))
        .collect();
    for answer in &answers {
        assert_eq!(answer.status, 503, "{}", answer.body);
    }
    if let Some(ready) = service.try_call("GET", "/health/ready", None) {
        assert_eq!(ready.status, 503, "{}", ready.body);
    }
    let (status, _) = service.process.end(LONG);
    let log = place.read("log");
    assert_eq!(status.code(), Some(5), "{log}");
    let line = log.lines().find(|line| line.contains("was deleted or replaced while it was in use"));
    assert!(line.is_some_and(|line| line.contains("\"ERROR\"") && line.contains("oxbatch.db")), "{log}");
}

#[test]
fn a_service_whose_database_is_deleted_accepts_nothing_and_ends() {
    let place = TestStore::new();
    let service = logged(&place);
    assert_eq!(service.get("/health/ready").status, 200);
    for name in ["oxbatch.db", "oxbatch.db-wal", "oxbatch.db-shm"] {
        std::fs::remove_file(place.path(name)).unwrap();
    }
    ends_of_itself(&place, service);
}

#[test]
fn a_service_whose_database_is_replaced_accepts_nothing_and_leaves_the_new_one_alone() {
    let place = TestStore::new();
    place.run("run SampleJob").expect(0);
    std::fs::copy(place.path("oxbatch.db"), place.path("backup.db")).unwrap();
    let service = logged(&place);
    assert_eq!(service.post("/jobs/ChunkJob/launch?wait=30s", "{}").status, 202);
    for name in ["oxbatch.db-wal", "oxbatch.db-shm"] {
        std::fs::remove_file(place.path(name)).unwrap();
    }
    std::fs::rename(place.path("backup.db"), place.path("oxbatch.db")).unwrap();
    ends_of_itself(&place, service);
    assert_eq!(place.query("SELECT count(*) FROM oxbatch_job_execution"), 1);
    let again = Service::start(&place);
    assert_eq!(again.post("/jobs/ChunkJob/launch?wait=30s", "{}").json()["status"], "COMPLETED");
    again.terminate();
}

#[test]
fn a_run_in_the_foreground_whose_database_is_deleted_ends_with_its_code() {
    let place = TestStore::new();
    let mut running = place.start("run RetryJob");
    running.await_log("will be tried again");
    std::fs::remove_file(place.path("oxbatch.db")).unwrap();
    let (status, stdout) = running.end(LONG);
    assert_eq!(status.code(), Some(5), "{stdout}");
}

#[test]
fn a_service_that_cannot_write_is_not_ready_until_it_can() {
    let place = TestStore::new();
    let service = Service::start_with(&place, "--listen 127.0.0.1:0 --log-level off --lease 3s");
    let other = rusqlite::Connection::open(place.path("oxbatch.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let await_ready = |status: u16| {
        let start = Instant::now();
        loop {
            let answer = service.get("/health/ready");
            if answer.status == status {
                return answer;
            }
            assert!(start.elapsed() < LONG, "ready stays {} {}", answer.status, answer.body);
            std::thread::yield_now();
        }
    };
    let refused = await_ready(503);
    assert!(refused.body.contains("nothing can be written to the job repository"), "{}", refused.body);
    other.execute_batch("ROLLBACK").unwrap();
    await_ready(200);
    service.terminate();
}
