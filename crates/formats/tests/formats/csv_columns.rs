//! Columns of delimited text: what a header must name, what a field is, and where a value stands.

use std::collections::BTreeMap;
use std::path::Path;

use oxbatch_core::item::{ErrorKind, ItemReader, ItemWriter};
use oxbatch_formats::{CsvReader, CsvWriter};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::harness::{block_on, end, read_all, write};

#[derive(Debug, PartialEq, Deserialize)]
struct Optional {
    species: Option<String>,
    speed: Option<u32>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Needed {
    species: String,
    speed: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exact {
    species: String,
}

fn opened<T: DeserializeOwned + Send>(text: &[u8]) -> Result<CsvReader<T>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strikes.csv");
    std::fs::write(&path, text).unwrap();
    let mut reader = CsvReader::new(path);
    match block_on(reader.open(None)) {
        Ok(()) => Ok(reader),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Other, "{error}");
            Err(error.to_string())
        }
    }
}

fn refused<T: DeserializeOwned + Send>(text: &str) -> String {
    let message = opened::<T>(text.as_bytes()).err().unwrap_or_else(|| panic!("{text:?} was opened"));
    assert!(message.contains("strikes.csv'"), "{message}");
    message
}

/// Trap 38: an empty or foreign input completes and replaces a good output.
#[test]
fn a_header_that_fits_no_record_is_a_fault_before_the_first_one() {
    for text in ["vogel;tempo\n", "vogel,tempo\nGull,12\n", "\u{feff}a\n"] {
        let message = refused::<Optional>(text);
        assert!(message.contains("none of the fields species,speed is named; the header is '"), "{message}");
    }
    assert!(refused::<Needed>("species\n").contains("missing field `speed`; the header is 'species'"));
    assert!(refused::<Exact>("species,speed\n").contains("column 'speed' is none of the fields"));
    assert!(opened::<Optional>(b"speed\n").is_ok(), "the other one is optional");
    assert!(opened::<Needed>(b"speed,state,species\n").is_ok());
    assert!(opened::<(String, u32)>(b"a,b\n").is_ok(), "a tuple goes by position");
}

#[test]
fn a_file_without_a_header_where_one_is_expected_is_a_fault() {
    for text in ["", "\u{feff}", "\n\r\n"] {
        assert!(refused::<Optional>(text).contains("file is empty, and a header is expected"), "{text:?}");
        assert!(refused::<(String, u32)>(text).contains("file is empty"), "{text:?}");
    }
}

#[test]
fn a_column_that_is_named_twice_is_a_fault_where_it_is_asked_for() {
    assert!(refused::<Optional>("speed,species,speed\n").contains("column 'speed' is named twice"));
    assert!(refused::<BTreeMap<String, String>>("a,b,a\n").contains("column 'a' is named twice"));
    assert!(opened::<Optional>(b"speed,note,note\n").is_ok(), "nobody asks for the notes");
    assert!(opened::<BTreeMap<String, String>>(b"a,,\n").is_ok(), "columns without a name");
}

#[test]
fn archives_are_refused_by_name() {
    let heads: [(&[u8], &str); 4] = [
        (b"PK\x03\x04\x14\0\0\0\x08\0strikes.csv", "a ZIP archive"),
        (b"BZh91AY&SY\x01\x02\x03\x04", "a bzip2 file"),
        (b"\xfd7zXZ\0\0\x04", "an xz file"),
        (b"\xff\xfes\0p\0", "UTF-16"),
    ];
    for (head, name) in heads {
        let message = opened::<Optional>(head).err().unwrap();
        assert!(message.contains("strikes.csv' is ") && message.contains(name), "{message}");
    }
    assert!(opened::<(String,)>(b"BZh9 is a word\n").is_ok());
}

fn items<T: DeserializeOwned + Send>(text: &str) -> Vec<T> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strikes.csv");
    std::fs::write(&path, text).unwrap();
    let mut reader = CsvReader::new(path);
    block_on(async {
        reader.open(None).await.unwrap();
        read_all(&mut reader).await.unwrap()
    })
}

#[derive(Debug, PartialEq, Deserialize)]
struct Person {
    id: u32,
    #[serde(flatten)]
    address: Address,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Address {
    zip: String,
    floor: Option<i32>,
}

#[test]
fn a_field_is_text_unless_a_number_is_asked_for() {
    let text = "zip,a,b,c,d\n00501,NaN,12E400,123456789012345678901234567890,0x10\n";
    let values = ["00501", "NaN", "12E400", "123456789012345678901234567890", "0x10"];
    let [row] = &items::<BTreeMap<String, serde_json::Value>>(text)[..] else { panic!("one row") };
    let expected: BTreeMap<_, _> =
        ["zip", "a", "b", "c", "d"].into_iter().zip(values).map(|(k, v)| (k.to_owned(), v.into())).collect();
    assert_eq!(*row, expected);
    let person = |zip: &str, floor| Person { id: 1, address: Address { zip: zip.to_owned(), floor } };
    assert_eq!(items::<Person>("id,zip,floor\n1,00501,-2\n1,7,\n"), [person("00501", Some(-2)), person("7", None)]);
}

#[derive(Debug, Serialize)]
struct Contact {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fax: Option<u32>,
}

fn contact(name: &'static str, phone: impl Into<Option<u32>>, fax: impl Into<Option<u32>>) -> Contact {
    Contact { name, phone: phone.into(), fax: fax.into() }
}

fn written<T: Send + Sync>(items: &[T], make: impl Fn(&Path) -> CsvWriter<T>) -> Result<String, String>
where
    CsvWriter<T>: ItemWriter<T>,
{
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("contacts.csv");
    let mut writer = make(&path);
    block_on(async {
        writer.open(None).await.unwrap();
        write(&mut writer, items).await.map_err(|error| error.to_string())?;
        writer.committed();
        end(&mut writer).await.unwrap();
        Ok(std::fs::read_to_string(&path).unwrap())
    })
}

/// Trap 44: fields left out by the serialiser shift columns.
#[test]
fn a_field_that_is_left_out_keeps_its_column() {
    let contacts = [contact("Ann", 1, None), contact("Bob", None, 2), contact("Cid", 3, 4), contact("Dot", None, None)];
    let rows = "Ann,1,\nBob,,2\nCid,3,4\nDot,,\n";
    let plain = |path: &Path| CsvWriter::with_tag("1", path);
    assert_eq!(written(&contacts, plain).unwrap(), format!("name,phone,fax\n{rows}"));
    let given = |path: &Path| CsvWriter::with_tag("1", path).headers(["Name", "Telefon", "Fax"]);
    assert_eq!(written(&contacts, given).unwrap(), format!("Name,Telefon,Fax\n{rows}"));
    let none = |path: &Path| CsvWriter::with_tag("1", path).without_headers();
    assert_eq!(written(&contacts, none).unwrap(), rows);
}

#[derive(Debug, Serialize)]
struct Card {
    id: u32,
    #[serde(flatten)]
    contact: Contact,
}

#[test]
fn flattened_structs_and_maps_stand_under_the_names_of_the_header() {
    let cards =
        [Card { id: 1, contact: contact("Ann", 1, None) }, Card { id: 2, contact: contact("Bob, \"B\"", None, 2) }];
    let given = |path: &Path| CsvWriter::with_tag("1", path).headers(["fax", "id", "name", "phone"]);
    assert_eq!(written(&cards, given).unwrap(), "fax,id,name,phone\n,1,Ann,1\n2,2,\"Bob, \"\"B\"\"\",\n");
    let maps = [BTreeMap::from([("b", 1.5), ("a", 2.0)]), BTreeMap::from([("b", 3.0)])];
    let given = |path: &Path| CsvWriter::with_tag("1", path).headers(["b", "a"]);
    assert_eq!(written(&maps, given).unwrap(), "b,a\n1.5,2.0\n3.0,\n");
    let fewer = |path: &Path| CsvWriter::with_tag("1", path).headers(["b"]);
    assert!(written(&maps, fewer).unwrap_err().contains("field 'a' has no column"));
    let message = written(&maps, |path| CsvWriter::with_tag("1", path)).unwrap_err();
    assert!(message.contains("need columns: name them by `headers`"), "{message}");
}
