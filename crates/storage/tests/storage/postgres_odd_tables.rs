//! Tables and queries of PostgreSQL that are out of the ordinary: loose collations, domains in arrays, rules,
//! constraints that the commit checks, years that the calendar of most programs does not know.

use oxbatch_core::item::{ErrorKind, ItemReader, ItemWriter};
use oxbatch_storage::{PostgresReader, PostgresWriter, WriteForm};
use oxbatch_test_postgres::TestDatabase;
use serde::{Deserialize, Serialize};

use crate::postgres_harness::{NoTransaction, read_all, settings, write_chunk};

const LOOSE: &str = "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Named {
    name: String,
    number: i64,
}

fn named(name: &str, number: i64) -> Named {
    Named { name: name.to_owned(), number }
}

#[tokio::test]
async fn a_key_to_whose_collation_different_texts_are_the_same_is_refused() {
    let database = TestDatabase::new();
    database.execute(LOOSE);
    database.execute("CREATE TABLE names (number int8, name text COLLATE loose)");
    let settings = settings(&database);
    let query = "SELECT number, name FROM names WHERE number > $1";
    // Also as long as it is empty.
    for statement in ["SELECT 1", "INSERT INTO names VALUES (1, 'a'), (2, 'A'), (3, 'b')"] {
        database.execute(statement);
        for keys in [&["name"][..], &["number", "name"]] {
            let mut reader = PostgresReader::<Named>::from(&settings, query, keys.iter().copied()).parameters([0_i64]);
            let error = reader.open(None).await.unwrap_err().to_string();
            assert!(error.contains("the key column 'name' has the collation loose"), "{error}");
        }
    }
    let bytes = "SELECT number, name COLLATE \"C\" AS name FROM names";
    let new = || PostgresReader::<Named>::from(&settings, bytes, ["name"]);
    let mut whole = new();
    whole.open(None).await.unwrap();
    let rows = read_all(&mut whole).await;
    assert_eq!(rows, [named("A", 2), named("a", 1), named("b", 3)]);
    for stop in 0..=rows.len() {
        let mut reader = new();
        reader.open(None).await.unwrap();
        for _ in 0..stop {
            reader.read().await.unwrap();
        }
        let checkpoint = reader.checkpoint().unwrap();
        let mut resumed = new();
        resumed.open(checkpoint.as_ref()).await.unwrap();
        assert_eq!(read_all(&mut resumed).await, rows[stop..]);
    }
}

#[tokio::test]
async fn a_copy_along_years_of_any_length_goes_on_from_every_row() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE days AS
         SELECT d::date AS day, d::timestamp AS moment, d::timestamp AT TIME ZONE 'UTC' AS instant
         FROM unnest(ARRAY['0044-03-15 BC', '0001-12-31 BC', '0001-01-01', '2024-02-29', '9999-12-31', '10000-01-01',
             '123456-07-08', 'infinity', '-infinity']) AS d",
    );
    let settings = settings(&database);
    for key in ["day", "moment", "instant"] {
        let query = format!("SELECT {key} FROM days");
        let new = || PostgresReader::<String>::from(&settings, query.as_str(), [key]).copy();
        let mut whole = new();
        whole.open(None).await.unwrap();
        let days = read_all(&mut whole).await;
        assert_eq!(days.len(), 9);
        for stop in 0..=days.len() {
            let mut reader = new();
            reader.open(None).await.unwrap();
            for _ in 0..stop {
                reader.read().await.unwrap();
            }
            let checkpoint = reader.checkpoint().unwrap();
            let mut resumed = new();
            resumed.open(checkpoint.as_ref()).await.unwrap();
            assert_eq!(read_all(&mut resumed).await, days[stop..], "{key} {stop}");
        }
    }
}

#[tokio::test]
async fn a_value_that_is_too_long_for_the_domain_of_its_array_is_a_fault_and_is_not_cut() {
    #[derive(Serialize)]
    struct Codes {
        id: i64,
        codes: Vec<&'static str>,
    }
    let database = TestDatabase::new();
    database.execute(
        "CREATE DOMAIN code AS varchar(3); CREATE DOMAIN short_code AS code CHECK (value <> 'no');
         CREATE TABLE codes (id int8 PRIMARY KEY, codes short_code[])",
    );
    let settings = settings(&database);
    let new = || PostgresWriter::to(&settings, "codes");
    for writer in [new(), new().upsert(["id"])] {
        let mut writer = writer;
        writer.open(None).await.unwrap();
        for bad in ["four", "no"] {
            let error = write_chunk(&mut writer, &[Codes { id: 1, codes: vec!["abc", bad] }]).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Validation | ErrorKind::Constraint), "{error}");
        }
        write_chunk(&mut writer, &[Codes { id: 1, codes: vec!["abc", "d"] }]).await.unwrap();
        assert_eq!(database.query("SELECT codes::text FROM codes"), ["{abc,d}"]);
        database.execute("DELETE FROM codes");
    }
}

#[tokio::test]
async fn a_rule_on_a_table_is_followed_whatever_the_number_of_rows() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE names (name text, number int8); CREATE TABLE log (number int8);
         CREATE RULE log AS ON INSERT TO names DO ALSO INSERT INTO log VALUES (NEW.number)",
    );
    let mut writer = PostgresWriter::to(&settings(&database), "names");
    writer.open(None).await.unwrap();
    let mut all = 0;
    for rows in [1, 3, 900] {
        let chunk: Vec<Named> = (0..rows).map(|number| named("x", number)).collect();
        write_chunk(&mut writer, &chunk).await.unwrap();
        all += rows;
        assert_eq!(database.query("SELECT count(*) FROM log"), [all.to_string()]);
    }
}

#[tokio::test]
async fn what_the_commit_would_refuse_is_refused_with_the_rows() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE owners (name text PRIMARY KEY); INSERT INTO owners VALUES ('a');
         CREATE TABLE names (number int8 UNIQUE DEFERRABLE INITIALLY DEFERRED,
             name text REFERENCES owners DEFERRABLE INITIALLY DEFERRED)",
    );
    let settings = settings(&database);
    for form in [WriteForm::Copy, WriteForm::Arrays, WriteForm::Each] {
        let mut writer = PostgresWriter::to(&settings, "names").form(form);
        writer.open(None).await.unwrap();
        for bad in [[named("a", 1), named("b", 2)], [named("a", 1), named("a", 1)]] {
            let error = writer.write(&bad, &mut NoTransaction).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Constraint, "{error}");
            writer.rolled_back().await.unwrap();
        }
        write_chunk(&mut writer, &[named("a", 1)]).await.unwrap();
        assert_eq!(database.query("SELECT number FROM names"), ["1"]);
        database.execute("DELETE FROM names");
    }
    let mut leaves = PostgresWriter::to(&settings, "names").leave_deferred();
    leaves.open(None).await.unwrap();
    leaves.write(&[named("b", 2)], &mut NoTransaction).await.unwrap();
    assert_eq!(leaves.flush().await.unwrap_err().kind(), ErrorKind::Constraint);
}

#[tokio::test]
async fn what_a_view_a_policy_or_a_trigger_refuses_is_of_its_row() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE names (name name, number int8);
         CREATE VIEW small AS SELECT * FROM names WHERE number < 10 WITH CHECK OPTION;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.number = 7 THEN RAISE EXCEPTION 'not seven'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON names FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let settings = settings(&database);
    for (table, row, kind) in [
        ("small", named("x", 11), ErrorKind::Constraint),
        ("names", named("x", 7), ErrorKind::Constraint),
        ("names", named(&"x".repeat(200), 1), ErrorKind::Validation),
    ] {
        for form in [WriteForm::Copy, WriteForm::Arrays, WriteForm::Each] {
            let mut writer = PostgresWriter::to(&settings, table).form(form);
            writer.open(None).await.unwrap();
            let error = write_chunk(&mut writer, std::slice::from_ref(&row)).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{table} {form:?} {error}");
        }
    }
}

#[tokio::test]
async fn of_keys_that_the_table_s_collation_takes_for_the_same_the_last_one_wins() {
    let database = TestDatabase::new();
    database.execute(LOOSE);
    database.execute("CREATE TABLE names (name text COLLATE loose PRIMARY KEY, number int8)");
    let settings = settings(&database);
    for form in [WriteForm::Copy, WriteForm::Arrays] {
        let new = || PostgresWriter::<Named>::to(&settings, "names").form(form);
        for mut writer in [new().upsert(["name"]), new().update(["name"])] {
            writer.open(None).await.unwrap();
            let rows = [named("a", 1), named("b", 2), named("A", 3), named("B", 4), named("a", 5)];
            write_chunk(&mut writer, &rows).await.unwrap();
            assert_eq!(database.query("SELECT number FROM names ORDER BY number"), ["4", "5"]);
        }
        database.execute("DELETE FROM names");
    }
}

#[derive(Debug, Deserialize)]
struct Row {
    #[expect(dead_code, reason = "it cannot be read")]
    document: serde_json::Value,
}

#[tokio::test]
async fn a_number_in_a_document_keeps_its_digits_or_is_a_fault() {
    let database = TestDatabase::new();
    let settings = settings(&database);
    for of in ["json", "jsonb"] {
        let query = format!("SELECT 1 AS id, '{{\"n\": 123456789012345678901234567890}}'::{of} AS document");
        let mut reader = PostgresReader::<Row>::from(&settings, query.as_str(), ["id"]);
        reader.open(None).await.unwrap();
        let error = reader.read().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parse);
        assert!(format!("{error:?}").contains("123456789012345678901234567890"), "{error:?}");
    }
}

/// B2's brother: the fields are bound by their places.
#[tokio::test]
async fn a_value_never_goes_to_the_column_of_another_field() {
    use crate::left_out_fields::{QUERY, STORED, Silent, flat, people};
    let database = TestDatabase::new();
    database.execute("CREATE TABLE people (id int8, fax text, phone text)");
    let settings = settings(&database);
    for form in [WriteForm::Copy, WriteForm::Arrays, WriteForm::Each] {
        let mut writer = PostgresWriter::to(&settings, "people").form(form);
        writer.open(None).await.unwrap();
        write_chunk(&mut writer, &people()).await.unwrap();
        assert_eq!(database.query(QUERY), STORED, "{form:?}");
        database.execute("DELETE FROM people");
        for rows in [[Some("phone"), None], [None, Some("phone")]] {
            let mut writer = PostgresWriter::to(&settings, "people").form(form);
            writer.open(None).await.unwrap();
            let rows = rows.map(|phone| Silent { id: 1, phone });
            let error = write_chunk(&mut writer, &rows).await.unwrap_err();
            assert!(error.to_string().contains("the fields of a row differ from those of the first at"), "{error}");
        }
        let mut writer = PostgresWriter::to(&settings, "people").form(form);
        writer.open(None).await.unwrap();
        let error = write_chunk(&mut writer, &[flat()]).await.unwrap_err();
        assert!(error.to_string().contains("a row must be a struct with named fields"), "{error}");
        assert_eq!(database.query("SELECT count(*) FROM people"), ["0"]);
    }
}

#[tokio::test]
async fn a_number_that_json_does_not_have_is_no_null_in_a_document() {
    #[derive(Serialize)]
    struct Reading {
        values: Vec<f64>,
    }
    #[derive(Serialize)]
    struct Report {
        id: i64,
        document: Option<Reading>,
        more: Vec<Reading>,
    }
    let reading = |values: &[f64]| Reading { values: values.to_vec() };
    let database = TestDatabase::new();
    let settings = settings(&database);
    for of in ["json", "jsonb"] {
        database.execute(&format!(
            "DROP TABLE IF EXISTS report; CREATE TABLE report (id int8, document {of}, more {of}[])"
        ));
        for form in [WriteForm::Copy, WriteForm::Each] {
            let mut writer = PostgresWriter::to(&settings, "report").form(form);
            writer.open(None).await.unwrap();
            for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let rows = [Report { id: 1, document: Some(reading(&[0.5, number])), more: Vec::new() }];
                let error = write_chunk(&mut writer, &rows).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Validation);
                let said = format!("cannot hold the value: {number} is a number that JSON cannot hold");
                assert!(error.to_string().contains("'document'") && error.to_string().contains(&said), "{error}");
                let rows = [Report { id: 1, document: None, more: vec![reading(&[number])] }];
                let error = write_chunk(&mut writer, &rows).await.unwrap_err();
                assert!(error.to_string().contains("'more'") && error.to_string().contains("as element 1"), "{error}");
            }
            write_chunk(&mut writer, &[Report { id: 1, document: None, more: vec![reading(&[0.5])] }]).await.unwrap();
        }
        assert_eq!(database.query("SELECT count(*) FROM report WHERE document IS NULL"), ["2"]);
    }
}

#[tokio::test]
async fn a_resume_goes_on_behind_an_infinite_key() {
    let database = TestDatabase::new();
    let settings = settings(&database);
    let query = "SELECT unnest(ARRAY['-Infinity', '-1', '0.5', 'Infinity', 'NaN']::float8[]) AS value";
    let new = || PostgresReader::<Value>::from(&settings, query, ["value"]);
    for taken in 0..=5 {
        let mut reader = new();
        reader.open(None).await.unwrap();
        for _ in 0..taken {
            reader.read().await.unwrap().unwrap();
        }
        let position = reader.checkpoint().unwrap();
        let mut resumed = new();
        resumed.open(position.as_ref()).await.unwrap();
        assert_eq!(read_all(&mut resumed).await.len(), 5 - taken);
    }
}

#[derive(Debug, Deserialize)]
struct Value {
    #[expect(dead_code, reason = "it is its place that counts")]
    value: f64,
}
