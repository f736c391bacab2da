//! Fields that serde leaves out: each value stays in the column of its name, or the row is refused.

use oxbatch_core::item::{ErrorKind, ItemError, ItemWriter};
use oxbatch_core::repository::{ChunkAck, ChunkSave, ChunkTransaction, RepositoryFuture};
use oxbatch_storage::SqliteWriter;
use oxbatch_storage::rusqlite::Connection;
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// The transaction of a repository that is no SQLite.
struct Elsewhere;

impl ChunkTransaction for Elsewhere {
    fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
        self
    }

    fn commit<'a>(&'a mut self, _: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck> {
        Box::pin(std::future::ready(Ok(ChunkAck { stop_requested: false })))
    }

    fn rollback(&mut self) -> RepositoryFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A person without some of the numbers, as authors write it.
#[derive(serde::Serialize)]
pub(crate) struct Person {
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fax: Option<&'static str>,
    #[serde(skip_serializing)]
    #[expect(dead_code, reason = "it is left out of every row")]
    secret: &'static str,
}

/// Each of the shapes that a row can have, the first of a chunk included.
pub(crate) fn people() -> Vec<Person> {
    let person = |id, phone, fax| Person { id, phone, fax, secret: "no column" };
    vec![
        person(1, None, Some("fax 1")),
        person(2, Some("phone 2"), None),
        person(3, Some("phone 3"), Some("fax 3")),
        person(4, None, None),
    ]
}

pub(crate) const STORED: [&str; 4] = ["1 - fax 1", "2 phone 2 -", "3 phone 3 fax 3", "4 - -"];
pub(crate) const QUERY: &str =
    "SELECT id || ' ' || coalesce(phone, '-') || ' ' || coalesce(fax, '-') FROM people ORDER BY id";

/// A row that leaves a field out without a word, as a hand-written `Serialize` can.
pub(crate) struct Silent {
    pub(crate) id: i64,
    pub(crate) phone: Option<&'static str>,
}

impl Serialize for Silent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Silent", 3)?;
        row.serialize_field("id", &self.id)?;
        if let Some(phone) = self.phone {
            row.serialize_field("phone", phone)?;
        }
        row.serialize_field("fax", "fax")?;
        row.end()
    }
}

/// A row whose fields are those of a map.
#[derive(serde::Serialize)]
pub(crate) struct Flat {
    pub(crate) id: i64,
    #[serde(flatten)]
    pub(crate) rest: std::collections::BTreeMap<&'static str, &'static str>,
}

pub(crate) fn flat() -> Flat {
    Flat { id: 1, rest: [("phone", "phone 1")].into() }
}

async fn write<T: Serialize + Send + Sync>(rows: &[T]) -> (Result<(), ItemError>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE people (id INTEGER, fax TEXT, phone TEXT) STRICT").unwrap();
    let mut writer = SqliteWriter::to_file(&path, "people");
    writer.open(None).await.unwrap();
    let written = writer.write(rows, &mut Elsewhere).await;
    if written.is_ok() {
        writer.flush().await.unwrap();
    }
    let mut statement = connection.prepare(QUERY).unwrap();
    let stored = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    (written, stored)
}

#[tokio::test]
async fn in_sqlite_a_value_never_goes_to_the_column_of_another_field() {
    let (written, stored) = write(&people()).await;
    written.unwrap();
    assert_eq!(stored, STORED);
    for rows in [[Some("phone"), None], [None, Some("phone")]] {
        let rows = rows.map(|phone| Silent { id: 1, phone });
        let (refused, stored) = write(&rows).await;
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.to_string().contains("the fields of a row differ from those of the first at"), "{error}");
        assert_eq!(stored, [""; 0]);
    }
    let error = write(&[flat()]).await.0.unwrap_err();
    assert!(error.to_string().contains("a row must be a struct with named fields"), "{error}");
}

/// Numbers that JSON does not have are told apart in the fingerprints of a target that is written exactly once, and in
/// messages.
#[tokio::test]
async fn an_infinite_number_is_stored_as_such_and_named_in_a_message() {
    #[derive(serde::Serialize)]
    struct Reading {
        value: f64,
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("readings.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE reading (value REAL) STRICT").unwrap();
    let mut writer = SqliteWriter::to_file(&path, "reading");
    writer.open(None).await.unwrap();
    writer.write(&[Reading { value: f64::NEG_INFINITY }], &mut Elsewhere).await.unwrap();
    writer.flush().await.unwrap();
    let stored: f64 = connection.query_row("SELECT value FROM reading", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, f64::NEG_INFINITY);
    let mut writer = SqliteWriter::to_file(&path, "reading").delete(["value"]);
    writer.open(None).await.unwrap();
    let error = writer.write(&[Reading { value: f64::INFINITY }], &mut Elsewhere).await.unwrap_err();
    assert!(error.to_string().contains("no row has the key (value) = (\"inf\")"), "{error}");
}
