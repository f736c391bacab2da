//! Every type goes to a real PostgreSQL and comes back, in each form of writing and each way of reading.

use oxbatch_core::item::{ItemReader, ItemWriter};
use oxbatch_storage::{PostgresReader, PostgresSettings, PostgresWriter, WriteForm};
use oxbatch_test_postgres::TestDatabase;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::postgres_harness::{NoTransaction, read_all, settings};

const CREATE: &str = r#"
    CREATE TYPE mood AS ENUM ('sad', 'very happy');
    CREATE DOMAIN cents AS numeric(30, 2) CHECK (VALUE >= 0);
    CREATE DOMAIN price AS cents NOT NULL;
    CREATE TABLE every_type (
        id int8 PRIMARY KEY, yes bool, small int2, middle int4, big int8, single float4, double float8,
        exact numeric, bounded numeric(10, 3), words text, short varchar(20), fixed char(5), bytes bytea, day date,
        clock time, civil timestamp, instant timestamptz, ident uuid, doc json, docb jsonb, mood mood, price price,
        numbers int4[], texts text[], exacts numeric[], moods mood[], stamps timestamptz[], docs jsonb[],
        address inet, span interval, ranged int4range, nets inet[])"#;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Mood {
    #[serde(rename = "sad")]
    Sad,
    #[serde(rename = "very happy")]
    VeryHappy,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    name: String,
    list: Vec<Option<f64>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Every {
    id: u64,
    yes: Option<bool>,
    small: Option<i16>,
    middle: Option<i32>,
    big: Option<i64>,
    single: Option<f32>,
    double: Option<f64>,
    exact: Option<String>,
    bounded: Option<f64>,
    words: Option<String>,
    short: Option<char>,
    fixed: Option<String>,
    bytes: Option<Vec<u8>>,
    day: Option<jiff::civil::Date>,
    clock: Option<jiff::civil::Time>,
    civil: Option<jiff::civil::DateTime>,
    instant: Option<jiff::Timestamp>,
    ident: Option<uuid::Uuid>,
    doc: Option<serde_json::Value>,
    docb: Option<Inner>,
    mood: Option<Mood>,
    price: String,
    numbers: Option<Vec<Option<i32>>>,
    texts: Option<Vec<String>>,
    exacts: Option<[String; 2]>,
    moods: Option<Vec<Mood>>,
    stamps: Option<Vec<jiff::Timestamp>>,
    docs: Option<Vec<Inner>>,
    address: Option<String>,
    span: Option<String>,
    ranged: Option<String>,
    nets: Option<Vec<String>>,
}

fn every(id: u64) -> Every {
    let inner = Inner { name: "a \"quoted\" \\ name".to_owned(), list: vec![Some(0.1), None] };
    Every {
        id,
        yes: Some(true),
        small: Some(i16::MIN),
        middle: Some(i32::MAX),
        big: Some(i64::MIN),
        single: Some(0.1),
        double: Some(-1.5e-300),
        exact: Some("123456789012345678901234567890.123456789012345678901234567890".to_owned()),
        bounded: Some(-1234.5),
        words: Some("Möwe\t\n\\ \u{1F41F} ".to_owned()),
        short: Some('ß'),
        fixed: Some("ab   ".to_owned()),
        bytes: Some(vec![0, 255, 10, 92]),
        day: Some(jiff::civil::date(2024, 2, 29)),
        clock: Some(jiff::civil::time(23, 59, 59, 123_456_000)),
        civil: Some(jiff::civil::date(1969, 12, 31).at(1, 2, 3, 4_000)),
        instant: Some("1815-12-10T11:59:59.999999Z".parse().unwrap()),
        ident: Some(uuid::Uuid::from_u128(u128::MAX - 1)),
        doc: Some(serde_json::json!({ "a": [1, "x", null], "b": 1.5 })),
        docb: Some(inner.clone()),
        mood: Some(Mood::VeryHappy),
        price: "0.10".to_owned(),
        numbers: Some(vec![Some(1), None, Some(-3)]),
        texts: Some(vec!["{,}\"".to_owned(), String::new(), "NULL".to_owned()]),
        exacts: Some(["1.10".to_owned(), "-2".to_owned()]),
        moods: Some(vec![Mood::Sad, Mood::VeryHappy]),
        stamps: Some(vec!["2024-01-01T00:00:00Z".parse().unwrap()]),
        docs: Some(vec![inner]),
        address: Some("10.0.0.1/8".to_owned()),
        span: Some("1 mon 02:00:00".to_owned()),
        ranged: Some("[1,5)".to_owned()),
        nets: Some(vec!["::1/128".to_owned()]),
    }
}

fn nothing(id: u64) -> Every {
    let object = serde_json::json!({ "id": id, "price": "7.00" });
    serde_json::from_value(object).unwrap()
}

async fn write(database: &PostgresSettings, form: WriteForm, rows: &[Every]) {
    let mut writer = PostgresWriter::to(database, "every_type").form(form);
    writer.open(None).await.unwrap();
    writer.write(rows, &mut NoTransaction).await.unwrap();
    writer.flush().await.unwrap();
    ItemWriter::<Every>::committed(&mut writer);
    ItemWriter::<Every>::close(&mut writer).await.unwrap();
}

fn readers(database: &PostgresSettings) -> [PostgresReader<Every>; 3] {
    let new = || PostgresReader::from(database, "SELECT * FROM every_type", ["id"]);
    [new().pages(2), new().cursor(2), new().copy()]
}

#[tokio::test]
async fn every_type_comes_back_as_it_went() {
    let database = TestDatabase::new();
    database.execute(CREATE);
    let settings = settings(&database);
    for form in [WriteForm::Auto, WriteForm::Copy, WriteForm::Arrays, WriteForm::Each] {
        let mut empty = every(3);
        empty.numbers = Some(Vec::new());
        empty.words = Some(String::new());
        empty.bytes = Some(Vec::new());
        empty.docs = Some(Vec::new());
        let rows = [every(1), nothing(2), empty, nothing(4), every(5)];
        write(&settings, form, &rows).await;
        for mut reader in readers(&settings) {
            reader.open(None).await.unwrap();
            assert_eq!(read_all(&mut reader).await, rows, "{form:?} {reader:?}");
        }
        database.execute("DELETE FROM every_type");
    }
}

/// The forms other than one statement for each row: no array of a type without a binary form is among the columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plain {
    id: u32,
    words: String,
    exact: String,
    double: f64,
    address: String,
    mood: Mood,
    price: f64,
}

#[tokio::test]
async fn a_type_without_a_binary_form_is_cast_by_the_server() {
    let database = TestDatabase::new();
    database.execute(CREATE);
    let settings = settings(&database);
    let rows: Vec<Plain> = (0..20)
        .map(|id| Plain {
            id,
            words: format!("word {id}"),
            exact: "1.50".to_owned(),
            double: 0.5,
            address: format!("10.0.0.{id}/32"),
            mood: Mood::Sad,
            price: 0.25,
        })
        .collect();
    for form in [WriteForm::Auto, WriteForm::Copy, WriteForm::Arrays, WriteForm::Each] {
        let mut writer = PostgresWriter::to(&settings, "every_type").form(form).upsert(["id"]);
        writer.open(None).await.unwrap();
        writer.write(&rows, &mut NoTransaction).await.unwrap();
        writer.flush().await.unwrap();
        let query = "SELECT id, words, exact, double, address, mood, price FROM every_type";
        let mut reader = PostgresReader::<Plain>::from(&settings, query, ["id"]);
        reader.open(None).await.unwrap();
        assert_eq!(read_all(&mut reader).await, rows, "{form:?}");
        database.execute("UPDATE every_type SET words = 'other', address = '::1'");
    }
}

#[tokio::test]
async fn a_row_is_read_as_a_tuple_a_map_or_a_single_value() {
    let database = TestDatabase::new();
    let settings = settings(&database);
    let query = "SELECT n AS id, n * 1.5 AS half FROM generate_series(1::int8, 3) AS n";
    let mut tuples = PostgresReader::<(i32, f64)>::from(&settings, query, ["id"]);
    tuples.open(None).await.unwrap();
    assert_eq!(read_all(&mut tuples).await, [(1, 1.5), (2, 3.0), (3, 4.5)]);
    let mut maps =
        PostgresReader::<std::collections::BTreeMap<String, serde_json::Value>>::from(&settings, query, ["id"]);
    maps.open(None).await.unwrap();
    let map = read_all(&mut maps).await.remove(1);
    assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"half":"3.0","id":2}"#);
    let mut single = PostgresReader::<Option<u8>>::from(&settings, "SELECT 7::int2 AS id", ["id"]);
    single.open(None).await.unwrap();
    assert_eq!(read_all(&mut single).await, [Some(7)]);
}

fn stamp() -> impl Strategy<Value = jiff::Timestamp> {
    // Microseconds: what PostgreSQL keeps.
    (-62_000_000_000_000_000_i64..250_000_000_000_000_000)
        .prop_map(|micros| jiff::Timestamp::from_microsecond(micros).unwrap())
}

fn any_row() -> impl Strategy<Value = Every> {
    let numbers = (any::<bool>(), any::<i16>(), any::<i32>(), any::<i64>(), any::<f32>(), any::<f64>());
    let texts = ("[^\\x00]{0,20}", prop::collection::vec(any::<u8>(), 0..20), "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?");
    let times = (stamp(), stamp(), any::<u128>());
    let lists = (
        prop::collection::vec(prop::option::of(any::<i32>()), 0..5),
        prop::collection::vec("[^\\x00]{0,8}", 0..4),
        prop::option::of(stamp()),
    );
    (numbers, texts, times, lists).prop_map(|(numbers, (words, bytes, exact), (instant, other, ident), lists)| {
        let civil = other.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        Every {
            yes: Some(numbers.0),
            small: Some(numbers.1),
            middle: Some(numbers.2),
            big: Some(numbers.3),
            single: Some(numbers.4),
            double: Some(numbers.5),
            words: Some(words.clone()),
            doc: Some(serde_json::json!({ "text": words, "number": numbers.3 })),
            bytes: Some(bytes),
            exact: Some(exact),
            civil: Some(civil),
            day: Some(civil.date()),
            clock: Some(civil.time()),
            instant: Some(instant),
            ident: Some(uuid::Uuid::from_u128(ident)),
            numbers: Some(lists.0),
            texts: Some(lists.1),
            stamps: lists.2.map(|stamp| vec![stamp]),
            ..nothing(0)
        }
    })
}

#[test]
fn any_rows_come_back_as_they_went() {
    let database = TestDatabase::new();
    database.execute(CREATE);
    let settings = settings(&database);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cases = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let rows = prop::collection::vec(any_row(), 1..40);
    proptest!(cases, |(mut rows in rows)| {
        for (row, id) in rows.iter_mut().zip(1..) {
            row.id = id;
        }
        runtime.block_on(async {
            database.execute("TRUNCATE every_type");
            let copied = PostgresWriter::<Every>::to(&settings, "every_type");
            let columns = ["id", "yes", "small", "middle", "big", "single", "double", "exact", "words", "doc", "bytes",
                "day", "clock", "civil", "instant", "ident", "price", "numbers", "texts", "stamps"];
            let mut writer = copied.columns(columns).form(WriteForm::Copy);
            writer.open(None).await.unwrap();
            writer.write(&rows, &mut NoTransaction).await.unwrap();
            writer.flush().await.unwrap();
            for mut reader in readers(&settings) {
                reader.open(None).await.unwrap();
                let read = read_all(&mut reader).await;
                prop_assert_eq!(&read, &rows);
            }
            Ok(())
        })?;
    });
}
