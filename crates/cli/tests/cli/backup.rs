//! Backups of the database while an import runs: each of them can be restored, and the import ends exactly once.

use std::path::Path;

use crate::harness::{LONG, TestStore};

const IMPORT: &str = "run WildlifeStrikes chunk_size=5";
/// Backups that are restored.
const RESTORED: usize = 6;

fn with_real_data() -> TestStore {
    let place = TestStore::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/birdstrikes.csv");
    std::fs::create_dir(place.path("data")).unwrap();
    std::fs::copy(data, place.path("data/birdstrikes.csv")).unwrap();
    place
}

fn assert_complete(place: &TestStore, report: &str) {
    assert_eq!(place.query("SELECT count(*) FROM wildlife_strikes"), 10_000);
    assert_eq!(place.query("SELECT sum(cost_total) FROM wildlife_strikes"), 40_545_276);
    assert_eq!(place.read("wildlife-report.csv"), report);
}

#[test]
fn a_backup_taken_while_an_import_runs_restores_to_an_import_that_ends_exactly_once() {
    let place = with_real_data();
    std::fs::create_dir(place.path("copies")).unwrap();
    let mut import = place.start(IMPORT);
    let mut rows = Vec::new();
    while import.is_running() {
        let name = format!("copies/{}.db", rows.len());
        // Before its tables are there, there is nothing to copy.
        if place.run(&format!("backup {name}")).code == 0 {
            let copy = rusqlite::Connection::open(place.path(&name)).unwrap();
            let sql =
                "SELECT coalesce(max(write_count), 0) FROM oxbatch_step_execution WHERE step_name = 'ImportStrikes'";
            rows.push(copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap());
            let check: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(check, "ok");
        }
    }
    assert!(import.end(LONG).0.success());
    let report = place.read("wildlife-report.csv");
    assert_complete(&place, &report);
    assert!(rows.is_sorted() && rows.iter().any(|rows| (1..10_000).contains(rows)), "{rows:?}");
    let left: Vec<_> = std::fs::read_dir(place.path("copies")).unwrap().collect();
    assert_eq!(left.len(), rows.len(), "nothing but the backups is there");

    for number in (0..rows.len()).step_by(rows.len().div_ceil(RESTORED)) {
        let restored = with_real_data();
        std::fs::copy(place.path(&format!("copies/{number}.db")), restored.path("oxbatch.db")).unwrap();
        // Files are not in a backup: they are as they were last.
        std::fs::copy(place.path("wildlife-report.csv"), restored.path("wildlife-report.csv")).unwrap();
        restored.run(IMPORT).expect(0);
        assert_complete(&restored, &report);
        restored.run(IMPORT).expect(0);
        assert_complete(&restored, &report);
    }
}

#[test]
fn a_backup_replaces_nothing_and_says_what_it_cannot_do() {
    let place = TestStore::new();
    let none = place.run("backup copy.db");
    assert!(none.code == 5 && none.stderr.contains("there is no database 'oxbatch.db'"), "{none}");
    place.run("run ChunkJob").expect(0);
    let json = place.run("backup copy.db --json").expect(0).json();
    assert_eq!(json["file"], "copy.db");
    assert_eq!(json["bytes"].as_u64(), Some(std::fs::metadata(place.path("copy.db")).unwrap().len()));
    let before = std::fs::read(place.path("copy.db")).unwrap();
    for name in ["copy.db", "oxbatch.db"] {
        let again = place.run(&format!("backup {name}"));
        assert!(again.code == 5 && again.stderr.contains(&format!("the file '{name}' exists")), "{again}");
    }
    assert_eq!(std::fs::read(place.path("copy.db")).unwrap(), before);
    let nowhere = place.run("backup nowhere/copy.db");
    assert!(nowhere.code == 5 && nowhere.stderr.contains("nowhere"), "{nowhere}");
    // What a killed backup has left is in nobody's way.
    place.write("second.db.part", "half");
    place.run("backup second.db").expect(0);
    assert!(!place.path("second.db.part").exists());
    let elsewhere = place.run("backup third.db --server http://127.0.0.1:9");
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains("--server does not go with"), "{elsewhere}");

    let server = TestStore::on_postgres();
    server.run("run ChunkJob").expect(0);
    let refused = server.run("backup copy.db");
    assert!(refused.code == 2 && refused.stderr.contains("pg_dump"), "{refused}");
}
