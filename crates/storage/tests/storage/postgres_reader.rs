//! Reading queries of PostgreSQL: restarts behind any row, keys that are none, and lost connections.

use oxbatch_core::item::{ErrorKind, ItemReader};
use oxbatch_storage::{PostgresReader, PostgresSettings};
use oxbatch_test_postgres::TestDatabase;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::postgres_harness::{read_all, settings};

fn numbers() -> (TestDatabase, PostgresSettings) {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE numbers AS SELECT n::int8 AS id, (n % 3)::numeric(5, 1) AS rest, 'text ' || n AS words
             FROM generate_series(1, 25) AS n",
    );
    let settings = settings(&database);
    (database, settings)
}

#[derive(Debug, Deserialize)]
struct Number {
    id: i64,
}

const QUERY: &str = "SELECT id, rest, words FROM numbers WHERE id > 3 -- a comment at the end";

fn ways<T: DeserializeOwned>(settings: &PostgresSettings, query: &str, keys: &[&str]) -> [PostgresReader<T>; 3] {
    let new = || PostgresReader::from(settings, query, keys.iter().copied());
    [new().pages(4), new().cursor(4), new().copy()]
}

#[tokio::test]
async fn a_reader_resumes_behind_any_row() {
    let (_database, settings) = numbers();
    for keys in [&["id"][..], &["rest", "id"], &["words"]] {
        for way in 0..3 {
            let new = || ways::<Number>(&settings, QUERY, keys).into_iter().nth(way).unwrap();
            let mut whole = new();
            whole.open(None).await.unwrap();
            let expected: Vec<i64> = read_all(&mut whole).await.iter().map(|number| number.id).collect();
            assert_eq!(expected.len(), 22);
            for stop in [0, 1, 3, 4, 5, 8, 21, 22] {
                let mut reader = new();
                reader.open(None).await.unwrap();
                let mut ids = Vec::new();
                for _ in 0..stop {
                    ids.push(reader.read().await.unwrap().unwrap().id);
                }
                let checkpoint = reader.checkpoint().unwrap().unwrap();
                reader.close().await.unwrap();
                let mut resumed = new();
                resumed.open(Some(&checkpoint)).await.unwrap();
                ids.extend(read_all(&mut resumed).await.iter().map(|number| number.id));
                assert_eq!(ids, expected, "{keys:?} {way} {stop}");
            }
        }
    }
}

#[tokio::test]
async fn parameters_are_bound_and_stay_bound_behind_a_key() {
    let (_database, settings) = numbers();
    let query = "SELECT id, words FROM numbers WHERE words LIKE $1 AND id < $2";
    for way in [0, 1] {
        let new = || {
            let reader = PostgresReader::<Number>::from(&settings, query, ["id"]);
            let reader = if way == 0 { reader.pages(2) } else { reader.cursor(2) };
            reader.parameters([Box::new("text 1%") as Box<dyn ToSqlSend>, Box::new(18_i64)].map(Value))
        };
        let mut reader = new();
        reader.open(None).await.unwrap();
        reader.read().await.unwrap();
        let checkpoint = reader.checkpoint().unwrap().unwrap();
        assert_eq!(checkpoint.as_json(), r#"{"columns":["id"],"types":["int8"],"key":["1"]}"#);
        let mut resumed = new();
        resumed.open(Some(&checkpoint)).await.unwrap();
        let ids: Vec<i64> = read_all(&mut resumed).await.iter().map(|number| number.id).collect();
        assert_eq!(ids, (10..18).collect::<Vec<_>>());
    }
    let mut copied = PostgresReader::<Number>::from(&settings, query, ["id"]).copy().parameters(["a", "b"]);
    let error = copied.open(None).await.unwrap_err();
    assert!(error.to_string().contains("COPY takes no parameters"), "{error}");
}

/// Parameters of several types in one list.
trait ToSqlSend: oxbatch_storage::tokio_postgres::types::ToSql + Sync + Send {}
impl<T: oxbatch_storage::tokio_postgres::types::ToSql + Sync + Send> ToSqlSend for T {}

struct Value(Box<dyn ToSqlSend>);

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl oxbatch_storage::tokio_postgres::types::ToSql for Value {
    fn to_sql(
        &self,
        ty: &oxbatch_storage::tokio_postgres::types::Type,
        out: &mut bytes::BytesMut,
    ) -> Result<oxbatch_storage::tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql_checked(ty, out)
    }

    fn accepts(_: &oxbatch_storage::tokio_postgres::types::Type) -> bool {
        true
    }

    oxbatch_storage::tokio_postgres::types::to_sql_checked!();
}

#[tokio::test]
async fn a_key_that_is_none_is_a_fault_and_never_a_lost_row() {
    let (_database, settings) = numbers();
    for size in 1..=6 {
        // Two rows of one key, also where a page ends between them.
        let query = "SELECT n / 2 AS id FROM generate_series(2, 9) AS n WHERE n <> 3 AND n <> 4";
        for mut reader in [
            PostgresReader::<Number>::from(&settings, query, ["id"]).pages(size),
            PostgresReader::<Number>::from(&settings, query, ["id"]).cursor(size),
            PostgresReader::<Number>::from(&settings, query, ["id"]).copy(),
        ] {
            reader.open(None).await.unwrap();
            let error = loop {
                match reader.read().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{reader:?} {size} sees nothing"),
                    Err(error) => break error,
                }
            };
            assert!(error.to_string().contains(") is not unique: two rows have it"), "{error}");
        }
    }
    let cases = [
        ("SELECT nullif(id, 7) AS id FROM numbers", "id", "whose key (id) is NULL"),
        ("SELECT id FROM numbers", "no", "the key column 'no' is none of the query's columns id"),
        ("SELECT id, id FROM numbers", "id", "two columns 'id'"),
        ("SELECT '{}'::jsonb AS id", "id", "of type jsonb, which cannot be a key"),
        ("SELECT id FROM nowhere", "id", "relation \"nowhere\" does not exist"),
    ];
    for (query, key, said) in cases {
        let mut reader = PostgresReader::<Number>::from(&settings, query, [key]);
        let error = reader.open(None).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    // Numbers that differ in their digits alone are the same to the server.
    let query = "SELECT * FROM (VALUES (1.0), (1.00)) AS v (id)";
    let mut reader = PostgresReader::<(f64,)>::from(&settings, query, ["id"]).pages(1);
    reader.open(None).await.unwrap();
    assert!(reader.read().await.is_err());
}

#[tokio::test]
async fn a_row_that_fits_no_item_is_told_by_its_key_and_left_behind() {
    let (_database, settings) = numbers();
    let query = "SELECT id, CASE WHEN id = 2 THEN 'many' ELSE '1' END AS count FROM numbers WHERE id < 4";
    #[derive(Debug, Deserialize)]
    struct Counted {
        id: i64,
        #[serde(rename = "count")]
        _count: char,
    }
    for mut reader in ways::<Counted>(&settings, query, &["id"]) {
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap().unwrap().id, 1);
        assert_eq!(reader.origin().unwrap().to_string(), "row with key (1)");
        let error = reader.read().await.unwrap_err();
        assert_eq!((error.kind(), error.position()), (ErrorKind::Parse, Some("row with key (2)")));
        assert!(error.to_string().contains("column 'count' of type text"), "{error}");
        assert_eq!(reader.read().await.unwrap().unwrap().id, 3);
        assert!(reader.read().await.unwrap().is_none());
    }
    let mut lacking = PostgresReader::<(i32, i32)>::from(&settings, "SELECT 1 AS id, NULL::int4 AS n", ["id"]);
    lacking.open(None).await.unwrap();
    let error = lacking.read().await.unwrap_err();
    assert!(error.to_string().contains("column 'n' is NULL"), "{error}");
}

#[tokio::test]
async fn a_checkpoint_of_another_key_is_refused() {
    let (_database, settings) = numbers();
    let mut reader = PostgresReader::<Number>::from(&settings, "SELECT id, words FROM numbers", ["id"]);
    reader.open(None).await.unwrap();
    reader.read().await.unwrap();
    let checkpoint = reader.checkpoint().unwrap().unwrap();
    for (query, key) in [("SELECT id, words FROM numbers", "words"), ("SELECT id::text AS id FROM numbers", "id")] {
        let mut other = PostgresReader::<Number>::from(&settings, query, [key]);
        let error = other.open(Some(&checkpoint)).await.unwrap_err();
        assert!(error.to_string().contains("has the key (id) of type (int8)"), "{error}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_transient_and_nothing_is_read_twice() {
    let (database, settings) = numbers();
    for mut reader in ways::<Number>(&settings, QUERY, &["id"]) {
        reader.open(None).await.unwrap();
        let mut ids = Vec::new();
        let mut killed = false;
        loop {
            match reader.read().await {
                Ok(Some(number)) => ids.push(number.id),
                Ok(None) => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{error}"),
            }
            if ids.len() == 3 && !std::mem::replace(&mut killed, true) {
                database.query("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
            }
        }
        assert_eq!(ids, (4..=25).collect::<Vec<_>>(), "{reader:?}");
    }
}
