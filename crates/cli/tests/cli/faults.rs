//! Wrong usage and unusable databases: one clear sentence and an exit code, no trace.

use insta::assert_snapshot;

use crate::harness::TestStore;

#[test]
fn wrong_usage_is_told_before_a_database_is_created() {
    let place = TestStore::new();
    assert_snapshot!("unknown_command", place.run("launch SampleJob"));
    assert_snapshot!("unknown_flag", place.run("run SampleJob --fast"));
    assert_snapshot!("unknown_job", place.run("run NoSuchJob"));
    assert_snapshot!("no_parameter", place.run("run SampleJob fast"));
    assert_snapshot!("unknown_parameters", place.run("run WildlifeStrikes colour=red chunk_size=few"));
    assert_snapshot!("parameter_twice", place.run("run SampleJob a=1 a=2"));
    assert_snapshot!("number_out_of_range", place.run("run SampleJob a=9223372036854775808"));
    assert!(!place.path("oxbatch.db").exists());
}

#[test]
fn a_question_creates_no_database() {
    let place = TestStore::new();
    for arguments in ["executions", "show 1", "stop 1", "restart 1", "abandon 1", "purge --older-than 1d"] {
        let done = place.run(arguments).expect(5);
        assert!(done.stderr.starts_with("error: there is no database 'oxbatch.db'"), "{arguments}: {done}");
    }
    assert!(!place.path("oxbatch.db").exists());
}

#[test]
fn a_database_that_cannot_be_used_is_told_in_one_sentence() {
    let place = TestStore::new();
    place.write("text.db", &"this is no database\n".repeat(100));
    std::fs::create_dir(place.path("folder")).unwrap();
    assert_snapshot!("no_database_file", place.run("run SampleJob --database text.db"));
    assert_snapshot!("a_folder", place.run("run SampleJob --database folder"));
    assert_snapshot!("no_folder", place.run("run SampleJob --database missing/oxbatch.db"));
    assert_snapshot!("below_a_file", place.run("serve --listen 127.0.0.1:0 --database text.db/oxbatch.db"));
    assert_snapshot!("postgres", place.run("run SampleJob --database postgres://me:secret@127.0.0.1:1/jobs"));
    assert_snapshot!("in_memory", place.run("run SampleJob --database sqlite::memory:"));
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let place = TestStore::new();
    place.run("run SampleJob").expect(0);
    let connection = rusqlite::Connection::open(place.path("oxbatch.db")).unwrap();
    connection
        .execute("INSERT INTO oxbatch_migration (number, name, applied_at) VALUES (9999, 'future', 0)", [])
        .unwrap();
    drop(connection);
    assert_snapshot!("newer_version", place.run("run SampleJob"));
}

#[test]
fn a_question_changes_nothing_in_somebody_else_s_database() {
    let place = TestStore::new();
    let connection = rusqlite::Connection::open(place.path("theirs.db")).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a INTEGER)").unwrap();
    assert_snapshot!("keeps_no_executions", place.run("executions --database theirs.db"));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn urls_of_sqlite_name_files() {
    let place = TestStore::new();
    place.run("run SampleJob --database sqlite:relative.db").expect(0);
    assert!(place.path("relative.db").exists());
    let absolute = place.path("absolute.db");
    place.run(&format!("run SampleJob --database sqlite://{}", absolute.display())).expect(0);
    assert!(absolute.exists());
}
