//! Refusals of the server, once for each kind: waited out where they pass, reported in a sentence where they do not.

use std::time::Duration;

use oxbatch_core::execution::cause_chain;
use oxbatch_core::repository::{Executions, History, LaunchError, PageRequest, RepositoryError};
use oxbatch_storage::{PostgresRepository, PostgresSettings};
use oxbatch_test_postgres::{TestDatabase, TestServer};

use super::{launch_of, open};

/// Makes the inserts of executions fail with these codes, one after the other, and then succeed.
fn fail_with(database: &TestDatabase, codes: &[&str]) {
    fail_on(database, "oxbatch_job_execution", codes);
}

/// Makes the inserts into a table fail with these codes, one after the other, and then succeed.
fn fail_on(database: &TestDatabase, table: &str, codes: &[&str]) {
    let cases: String = codes
        .iter()
        .enumerate()
        .map(|(number, code)| format!("WHEN {} THEN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; ", number + 1))
        .collect();
    database.execute(&format!(
        "CREATE SEQUENCE strikes;
         CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN CASE nextval('strikes') {cases} ELSE NULL; END CASE; RETURN NEW; END $$;
         CREATE TRIGGER strike BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION strike()"
    ));
}

fn told(error: LaunchError) -> String {
    cause_chain(&error)
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlocks_serialization_failures_and_locks_are_tried_again_inside() {
    let database = TestDatabase::new();
    let repository = open(database.url()).await;
    fail_with(&database, &["40P01", "40001", "55P03"]);
    repository.launch(launch_of(1)).await.unwrap();
    assert_eq!(database.query("SELECT count(*) FROM oxbatch_job_execution"), ["1"]);
    assert_eq!(database.query("SELECT count(*) FROM oxbatch_job_instance"), ["1"]);
}

/// Nodes of another version work on the tables while they are migrated, and lock them in an order of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_meets_a_deadlock_is_repeated() {
    let database = TestDatabase::new();
    drop(open(database.url()).await);
    let undo = "DROP TABLE oxbatch_time_order; DELETE FROM oxbatch_migration WHERE number = 23";
    database.execute(undo);
    fail_on(&database, "oxbatch_migration", &["40P01", "55P03"]);
    let repository = open(database.url()).await;
    repository.launch(launch_of(1)).await.unwrap();
    assert_eq!(database.query("SELECT count(*) FROM oxbatch_migration WHERE number = 23"), ["1"]);
    database.execute(undo);
    database.execute("DROP TRIGGER strike ON oxbatch_migration; DROP FUNCTION strike; DROP SEQUENCE strikes");
    fail_on(&database, "oxbatch_migration", &["42501"]);
    let refused = PostgresRepository::open(PostgresSettings::from_url(database.url()).unwrap()).await.unwrap_err();
    assert!(cause_chain(&refused).contains("may not create tables"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_a_timeout_and_a_missing_privilege_are_told_with_what_to_do() {
    let database = TestDatabase::new();
    let repository = open(database.url()).await;
    fail_with(&database, &["53100", "57014", "42501"]);
    let full = repository.launch(launch_of(1)).await.unwrap_err();
    assert!(matches!(full, LaunchError::Repository(RepositoryError::Full { .. })), "{full:?}");
    assert!(told(full).contains("make room on the server's disk"));
    let slow = repository.launch(launch_of(1)).await.unwrap_err();
    assert!(matches!(&slow, LaunchError::Repository(error) if error.is_transient()), "{slow:?}");
    assert!(told(slow).contains("statement_timeout"));
    let poor = told(repository.launch(launch_of(1)).await.unwrap_err());
    assert!(poor.contains("grant it to the service's user"), "{poor}");
    // Nothing is left of what was refused.
    assert_eq!(database.query("SELECT count(*) FROM oxbatch_job_instance"), ["0"]);
    repository.launch(launch_of(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_refused_at_the_start_and_told_when_it_becomes_one() {
    let mut server = TestServer::start();
    let database = TestDatabase::on(server.url());
    let settings = || PostgresSettings::from_url(database.url()).unwrap().with_retry_time(Duration::from_millis(500));
    let repository = PostgresRepository::open(settings()).await.unwrap();
    repository.launch(launch_of(1)).await.unwrap();
    server.tell("standby");
    let page = PageRequest { before: None, limit: 10 };
    assert_eq!(repository.executions(Default::default(), page).await.unwrap().executions.len(), 1);
    let refused = told(repository.launch(launch_of(2)).await.unwrap_err());
    assert!(refused.contains("standby"), "{refused}");
    let refused = PostgresRepository::open(settings()).await.unwrap_err();
    assert!(refused.to_string().contains("read-only standby; name the primary"), "{refused}");
    std::mem::forget(database);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_on_an_empty_database_do_not_collide() {
    let database = TestDatabase::new();
    let opened = futures_util::future::join_all((0..8).map(|_| open(database.url()))).await;
    assert_eq!(opened.len(), 8);
    let applied = database.query("SELECT count(*) - count(DISTINCT number) FROM oxbatch_migration");
    assert_eq!(applied, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_somebody_else_in_the_way_is_told_in_one_sentence() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE oxbatch_job_instance (a INT)");
    let refused = PostgresRepository::open(PostgresSettings::from_url(database.url()).unwrap()).await.unwrap_err();
    let told = cause_chain(&refused);
    assert!(told.contains("must be the service's own") && told.contains("already exists"), "{told}");
    assert!(!told.contains('\n'), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_work_than_connections_waits_its_turn() {
    let database = TestDatabase::new();
    let settings = PostgresSettings::from_url(database.url()).unwrap().with_connections(3).unwrap();
    let repository = PostgresRepository::open(settings).await.unwrap();
    let launches = (0..50).map(|key| repository.launch(launch_of(key)));
    let launched = futures_util::future::join_all(launches).await;
    assert!(launched.iter().all(Result::is_ok));
    let open = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'oxbatch'";
    let open: usize = database.query(open)[0].parse().unwrap();
    assert!((1..=3).contains(&open), "{open}");
}

/// It is obeyed, not overridden: what was set may be there to keep a copy as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_read_only_by_default_is_read_and_never_written() {
    let database = TestDatabase::new();
    let settings = || PostgresSettings::from_url(database.url()).unwrap().with_retry_time(Duration::from_millis(500));
    let read_only = format!("ALTER DATABASE \"{}\" SET default_transaction_read_only = on", database.name());
    let said = "default_transaction_read_only is on for the user or the database of";
    // One without tables is left without them.
    database.execute(&read_only);
    for refused in [PostgresRepository::open(settings()).await, PostgresRepository::open_for_reading(settings()).await]
    {
        let refused = cause_chain(&refused.unwrap_err());
        assert!(refused.contains(said) && refused.contains("name another user"), "{refused}");
    }
    assert_eq!(database.query("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'oxbatch%'"), ["0"]);

    database.execute(&format!("BEGIN READ WRITE; {}; COMMIT", read_only.replace("= on", "= off")));
    let launched = open(database.url()).await.launch(launch_of(1)).await.unwrap().execution.id;
    database.execute(&read_only);
    let refused = cause_chain(&PostgresRepository::open(settings()).await.unwrap_err());
    assert!(refused.contains(said), "{refused}");
    let reading = PostgresRepository::open_for_reading(settings()).await.unwrap();
    let page = PageRequest { before: None, limit: 10 };
    assert_eq!(reading.executions(Default::default(), page).await.unwrap().executions[0].id, launched);
    let refused = told(reading.launch(launch_of(2)).await.unwrap_err());
    assert!(refused.contains("default_transaction_read_only is on; name the primary, or another user"), "{refused}");
    assert_eq!(database.query("SELECT count(*) FROM oxbatch_job_instance"), ["1"]);
}
