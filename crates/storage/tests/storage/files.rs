//! Database files as they come: absent, foreign, damaged, newer, full, shared.

use std::path::Path;

use jiff::Timestamp;
use oxbatch_core::job::JobParameters;
use oxbatch_core::repository::{
    Admission, Executions, History, JobRepository, LaunchError, LaunchRequest, Node, Nodes, RepositoryError, RunLimits,
};
use oxbatch_storage::SqliteRepository;
use oxbatch_storage::rusqlite::Connection;

fn launch_of(key: i64) -> LaunchRequest {
    LaunchRequest {
        job_name: "Job".to_owned(),
        parameters: JobParameters::default().with("key", key),
        force: false,
        new_run: false,
        definition: None,
        accept_changes: false,
        restartable: true,
        admission: Admission {
            time: Timestamp::now(),
            claim: None,
            priority: 0,
            limits: RunLimits::default(),
            queue_limit: 1_000_000,
        },
        after: None,
        idempotency: None,
        trace_parent: None,
    }
}

fn refusal(path: &Path) -> String {
    match SqliteRepository::open(path).unwrap_err() {
        RepositoryError::Unusable { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_path_that_cannot_be_a_database_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("text"), "no database at all, but long enough to have a header ".repeat(40)).unwrap();
    for (name, said) in [
        ("", "is a folder"),
        ("absent/oxbatch.db", "No such file or directory"),
        ("text/oxbatch.db", "is no folder"),
        ("text", "is no SQLite database"),
    ] {
        let problem = refusal(&path(name));
        assert!(problem.contains(said) && problem.contains(folder.path().to_str().unwrap()), "{name}: {problem}");
        assert!(!problem.contains('\n'), "{problem}");
    }
}

#[test]
fn a_database_of_a_newer_version_is_left_alone_and_says_which_version_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("oxbatch.db");
    drop(SqliteRepository::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.execute("INSERT INTO oxbatch_migration VALUES (7000, 'time travel', 0)", []).unwrap();
    let problem = refusal(&path);
    assert!(problem.contains("newer version") && problem.contains("7000 'time travel'"), "{problem}");
}

#[test]
fn a_table_of_somebody_else_in_the_way_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE oxbatch_job_instance (a INTEGER)").unwrap();
    assert!(!SqliteRepository::is_kept_in(&path));
    let problem = refusal(&path);
    assert!(problem.contains("table oxbatch_job_instance already exists"), "{problem}");
    assert!(!problem.contains('\n') && !problem.contains("CREATE"), "{problem}");
}

#[test]
fn processes_that_open_a_new_file_at_once_do_not_collide() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("oxbatch.db");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| SqliteRepository::open(&path).unwrap());
        }
    });
}

#[tokio::test]
async fn a_closed_repository_leaves_one_file_and_can_be_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let repository = SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap();
    repository.register_node(&Node::new("node")).await.unwrap();
    let first = repository.launch(launch_of(0)).await.unwrap();
    repository.execution(first.execution.id).await.unwrap();
    repository.close().await.unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["oxbatch.db"]);
    let again = repository.launch(launch_of(0)).await;
    assert!(matches!(again, Err(LaunchError::AlreadyRunning { .. })), "{again:?}");
}

#[tokio::test]
async fn a_stored_value_that_nobody_knows_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("oxbatch.db");
    let repository = SqliteRepository::open(&path).unwrap();
    let id = repository.launch(launch_of(0)).await.unwrap().execution.id;
    let connection = Connection::open(&path).unwrap();
    connection.execute("UPDATE oxbatch_job_execution SET parameters = '{\"a\":1}'", []).unwrap();
    let error = repository.execution(id).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::Corrupt { what, .. } if what.contains("parameters")), "{error:?}");
    let unknown = connection.execute("UPDATE oxbatch_job_execution SET status = 'UNKNOWN'", []);
    assert!(unknown.unwrap_err().to_string().contains("CHECK constraint failed"));
}
