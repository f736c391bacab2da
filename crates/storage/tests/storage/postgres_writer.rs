//! Writing tables of a PostgreSQL that is not the repository's: keys, forms, and what is reported of errors.

use oxbatch_core::item::{ErrorKind, ItemError, ItemWriter};
use oxbatch_storage::{PostgresSettings, PostgresWriter, WriteForm};
use oxbatch_test_postgres::TestDatabase;
use serde::Serialize;

use crate::postgres_harness::{NoTransaction, settings, write_chunk};

const CREATE: &str = "CREATE TABLE strikes (
    id int8 PRIMARY KEY, species varchar(6) NOT NULL DEFAULT 'none', cost numeric(8, 2) CHECK (cost >= 0), note text,
    twice int8 GENERATED ALWAYS AS (id * 2) STORED)";
const FORMS: [WriteForm; 3] = [WriteForm::Copy, WriteForm::Arrays, WriteForm::Each];

#[derive(Debug, Clone, Serialize)]
struct Strike {
    id: i64,
    species: &'static str,
    cost: &'static str,
}

fn strike(id: i64, species: &'static str, cost: &'static str) -> Strike {
    Strike { id, species, cost }
}

fn strikes() -> (TestDatabase, PostgresSettings) {
    let database = TestDatabase::new();
    database.execute(CREATE);
    let settings = settings(&database);
    (database, settings)
}

fn stored(database: &TestDatabase) -> Vec<String> {
    database.query("SELECT concat_ws(' ', id, species, cost, note) FROM strikes ORDER BY id")
}

async fn open<T: Serialize + Send + Sync>(mut writer: PostgresWriter<T>) -> Result<PostgresWriter<T>, ItemError> {
    writer.open(None).await?;
    Ok(writer)
}

async fn refused<T: Serialize + Send + Sync>(writer: PostgresWriter<T>, said: &[&str]) {
    let error = match open(writer).await {
        Ok(_) => panic!("it opens: {said:?}"),
        Err(error) => error.to_string(),
    };
    for said in said {
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn what_does_not_fit_the_table_is_told_when_the_step_opens() {
    let (database, settings) = strikes();
    database.execute("CREATE TABLE \"Odd.Name\" (x int); CREATE TABLE needs (id int8, name text NOT NULL)");
    let new = |table: &str| PostgresWriter::<Strike>::to(&settings, table);
    refused(new("nowhere"), &["table 'nowhere' does not exist in database", database.name()]).await;
    refused(new("facts.strikes"), &["'facts.strikes' does not exist"]).await;
    refused(new("pg_class_oid_index"), &["'pg_class_oid_index' is no table"]).await;
    let lacks = &["table 'strikes' has no column 'speed'; it has id, species, cost, note, twice"];
    refused(new("strikes").columns(["id", "speed"]), lacks).await;
    refused(new("strikes").columns(["id", "twice"]), &["'twice' of table 'strikes' is generated"]).await;
    refused(new("needs").columns(["id"]), &["column 'name' of table 'needs' is NOT NULL without a default"]).await;
    refused(new("strikes").upsert(["cost"]), &["no unique index over (cost)"]).await;
    refused(new("strikes").update(["speed"]), &["no column 'speed'"]).await;
    database.execute("CREATE ROLE nobody_in_particular LOGIN");
    let other = database.url().replace("postgres://postgres@", "postgres://nobody_in_particular@");
    if other != database.url() {
        let other = PostgresSettings::from_url(&other).unwrap();
        let writer = PostgresWriter::<Strike>::to(&other, "strikes");
        refused(writer, &["may not write to table 'strikes': the privilege INSERT is missing"]).await;
    }
    database.execute("DROP ROLE nobody_in_particular");
}

#[tokio::test]
async fn the_fields_of_the_first_row_are_checked_before_it_is_sent() {
    #[derive(Serialize)]
    struct Fast {
        id: i64,
        speed: f64,
    }
    let (_database, settings) = strikes();
    let mut writer = open(PostgresWriter::to(&settings, "strikes")).await.unwrap();
    let error = write_chunk(&mut writer, &[Fast { id: 1, speed: 1.0 }]).await.unwrap_err();
    assert!(error.to_string().contains("table 'strikes' has no column 'speed'"), "{error}");
    let mut chosen = open(PostgresWriter::to(&settings, "strikes").columns(["id"])).await.unwrap();
    write_chunk(&mut chosen, &[Fast { id: 1, speed: 1.0 }]).await.unwrap();
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_told_by_row_column_and_value() {
    let (database, settings) = strikes();
    for form in FORMS {
        let mut writer = open(PostgresWriter::to(&settings, "strikes").form(form)).await.unwrap();
        for (bad, said) in [
            (strike(2, "gull", "12,50"), ["column 'cost' of type numeric(8,2)", "\"12,50\""]),
            (strike(2, "albatross", "1"), ["too long", "varying(6)"]),
            (strike(2, "gull", "1e7"), ["overflow", "precision 8, scale 2"]),
            (strike(2, "a\0b", "1"), ["'species'", "NUL"]),
        ] {
            let error =
                write_chunk(&mut writer, &[strike(1, "duck", "1"), bad, strike(3, "tern", "1")]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation, "{form:?} {error}");
            assert_eq!(error.position(), Some("row 2 of the chunk"), "{form:?} {error}");
            for said in said {
                assert!(error.to_string().contains(said), "{form:?} {error}");
            }
        }
        assert!(stored(&database).is_empty());
        write_chunk(&mut writer, &[strike(1, "duck", "1.5")]).await.unwrap();
        assert_eq!(stored(&database), ["1 duck 1.50"]);
        database.execute("DELETE FROM strikes");
    }
}

#[tokio::test]
async fn a_breach_of_a_constraint_is_told_by_its_row_and_rolled_back() {
    let (database, settings) = strikes();
    for form in FORMS {
        let mut writer = open(PostgresWriter::to(&settings, "strikes").form(form)).await.unwrap();
        for (bad, said) in
            [(strike(1, "gull", "1"), "Key (id)=(1) already exists"), (strike(2, "gull", "-1"), "strikes_cost_check")]
        {
            let error = write_chunk(&mut writer, &[strike(1, "duck", "1"), bad]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Constraint, "{form:?} {error}");
            assert_eq!(error.position(), Some("row 2 of the chunk"), "{form:?} {error}");
            assert!(error.to_string().contains(said), "{form:?} {error}");
        }
        assert!(stored(&database).is_empty());
    }
}

#[tokio::test]
async fn an_upsert_replaces_what_has_the_key_and_the_last_of_a_chunk_wins() {
    let (database, settings) = strikes();
    for form in FORMS {
        database.execute("TRUNCATE strikes; INSERT INTO strikes VALUES (1, 'old', 1, 'kept'), (9, 'old', 9, 'kept')");
        let new = || PostgresWriter::to(&settings, "strikes").form(form);
        let mut writer = open(new().upsert(["id"])).await.unwrap();
        let rows = [strike(1, "a", "1"), strike(2, "b", "2"), strike(1, "c", "3"), strike(2, "d", "4")];
        write_chunk(&mut writer, &rows).await.unwrap();
        write_chunk(&mut writer, &[strike(2, "e", "5")]).await.unwrap();
        assert_eq!(stored(&database), ["1 c 3.00 kept", "2 e 5.00", "9 old 9.00 kept"], "{form:?}");
        let mut only = open(new().upsert_only(["id"], ["cost"])).await.unwrap();
        write_chunk(&mut only, &[strike(1, "x", "7"), strike(3, "x", "8")]).await.unwrap();
        let mut none = open(new().upsert_only(["id"], [""; 0])).await.unwrap();
        write_chunk(&mut none, &[strike(1, "y", "0"), strike(4, "y", "8")]).await.unwrap();
        assert_eq!(stored(&database), ["1 c 7.00 kept", "2 e 5.00", "3 x 8.00", "4 y 8.00", "9 old 9.00 kept"]);
    }
}

#[tokio::test]
async fn updates_and_deletions_touch_their_rows_alone_and_name_a_key_that_nobody_has() {
    let (database, settings) = strikes();
    for form in FORMS {
        database.execute(
            "TRUNCATE strikes; INSERT INTO strikes VALUES (1, 'old', 1, 'n'), (2, 'old', 2, 'n'), (3, 'old', 3, 'n')",
        );
        let new = || PostgresWriter::to(&settings, "strikes").form(form);
        let mut update = open(new().update(["id"])).await.unwrap();
        write_chunk(&mut update, &[strike(1, "x", "7"), strike(2, "y", "8"), strike(1, "z", "9")]).await.unwrap();
        assert_eq!(stored(&database), ["1 z 9.00 n", "2 y 8.00 n", "3 old 3.00 n"], "{form:?}");
        let mut delete = open(new().delete(["id"])).await.unwrap();
        for writer in [&mut update, &mut delete] {
            let error = write_chunk(writer, &[strike(1, "a", "0"), strike(7, "b", "0"), strike(8, "c", "0")])
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Constraint);
            assert_eq!(error.position(), Some("row 2 of the chunk"));
            assert!(error.to_string().contains("no row has the key (id) = (7)"), "{error}");
        }
        assert_eq!(stored(&database).len(), 3);
        write_chunk(&mut delete, &[strike(1, "", "0"), strike(3, "", "0")]).await.unwrap();
        assert_eq!(stored(&database), ["2 y 8.00 n"]);
    }
}

#[tokio::test]
async fn a_table_is_created_and_emptied_with_the_first_chunk_and_not_on_a_resume() {
    let (database, settings) = strikes();
    let new = || {
        PostgresWriter::to(&settings, "fresh")
            .create("CREATE TABLE IF NOT EXISTS fresh (id int8 PRIMARY KEY, species text, cost numeric)")
            .replace("DELETE FROM fresh WHERE id < $1", [100_i64])
    };
    let mut first = open(new()).await.unwrap();
    let checkpoint = write_chunk(&mut first, &[strike(1, "a", "1"), strike(2, "b", "2")]).await.unwrap();
    let mut resumed = new();
    resumed.open(Some(&checkpoint)).await.unwrap();
    write_chunk(&mut resumed, &[strike(3, "c", "3")]).await.unwrap();
    assert_eq!(database.query("SELECT count(*) FROM fresh"), ["3"]);
    let mut fresh = open(new()).await.unwrap();
    write_chunk(&mut fresh, &[strike(1, "a", "1")]).await.unwrap();
    assert_eq!(database.query("SELECT count(*) FROM fresh"), ["1"]);
    database.execute("DROP TABLE fresh");
    let mut empty = PostgresWriter::<Strike>::to(&settings, "fresh").create("CREATE TABLE fresh (id int8)");
    empty.open(None).await.unwrap();
    empty.finish(&mut NoTransaction).await.unwrap();
    empty.flush().await.unwrap();
    assert_eq!(database.query("SELECT count(*) FROM fresh"), ["0"]);
}

#[tokio::test]
async fn a_lock_that_is_not_freed_and_a_lost_connection_are_transient() {
    let (database, _) = strikes();
    let quick = |setting: &str| {
        let join = if database.url().contains('?') { '&' } else { '?' };
        PostgresSettings::from_url(&format!("{}{join}options=-c%20{setting}", database.url())).unwrap()
    };
    database.execute("INSERT INTO strikes VALUES (1)");
    let holder = PostgresSettings::from_url(database.url()).unwrap().connect().await.unwrap();
    holder.batch_execute("BEGIN; UPDATE strikes SET note = 'held' WHERE id = 1").await.unwrap();
    for (setting, said) in
        [("statement_timeout%3D500ms", "took longer than the server allows"), ("lock_timeout%3D500ms", "lock timeout")]
    {
        let mut writer = open(PostgresWriter::to(&quick(setting), "strikes").upsert(["id"])).await.unwrap();
        let error = write_chunk(&mut writer, &[strike(1, "a", "1")]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.to_string().contains(said), "{error}");
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    let mut writer =
        open(PostgresWriter::to(&quick("application_name%3Dvictim"), "strikes").upsert(["id"])).await.unwrap();
    write_chunk(&mut writer, &[strike(1, "a", "1")]).await.unwrap();
    database.query("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
    let error = write_chunk(&mut writer, &[strike(1, "b", "1")]).await.err();
    assert!(error.is_none_or(|error| error.kind() == ErrorKind::Transient));
    // The server may end the connection only now.
    while let Err(error) = write_chunk(&mut writer, &[strike(1, "c", "1")]).await {
        assert_eq!(error.kind(), ErrorKind::Transient);
    }
    assert_eq!(stored(&database), ["1 c 1.00"]);
}
