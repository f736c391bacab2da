//! `CsvReader`: quotes, escapes, comments; and that a long record ends where they say.

use std::path::PathBuf;

use oxbatch_core::ItemReader;
use oxbatch_core::item::ErrorKind;
use oxbatch_formats::CsvReader;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;

use crate::harness::{block_on, outcomes, read_all};

type Record = Vec<String>;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.csv");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn read(text: &str, set: impl Fn(CsvReader<Record>) -> CsvReader<Record>) -> Vec<Record> {
    let (_folder, path) = file(text);
    let mut reader = set(CsvReader::new(path).without_headers());
    block_on(async {
        reader.open(None).await.unwrap();
        read_all(&mut reader).await.unwrap()
    })
}

#[test]
fn another_quote_leaves_the_usual_one_as_it_is() {
    assert_eq!(read("'a,''b',\"c\n", |reader| reader.quote(b'\'')), [["a,'b", "\"c"]]);
}

#[test]
fn without_quotes_each_line_is_a_record() {
    assert_eq!(read("\"a\",b\n\"c,\"d\n", CsvReader::without_quotes), [["\"a\"", "b"], ["\"c", "\"d"]]);
}

#[test]
fn an_escape_stands_before_quotes_within_quotes() {
    assert_eq!(
        read("\"a\\\"\\\\,\",b\\\n\"c\"\"\",d\n", |reader| reader.escape(b'\\')),
        [["a\"\\,", "b\\"], ["c\"", "d"]]
    );
}

#[test]
fn comments_are_passed_over_and_lines_counted_with_them() {
    let (_folder, path) = file("# made by hand\nspecies,speed\n# fast ones\nGull,12\n\n# \"odd\n#\nHawk,fast\n#end");
    #[derive(Debug, Deserialize)]
    struct Strike {
        species: String,
        speed: u32,
    }
    let mut reader = CsvReader::<Strike>::new(path).comment(b'#');
    block_on(async {
        reader.open(None).await.unwrap();
        let strike = reader.read().await.unwrap().unwrap();
        assert_eq!((strike.species.as_str(), strike.speed), ("Gull", 12));
        let error = reader.read().await.unwrap_err();
        assert_eq!((error.position(), error.raw()), (Some("line 8, column 'speed'"), Some("Hawk,fast")));
        assert!(reader.read().await.unwrap().is_none());
    });
}

#[test]
fn a_struct_takes_fields_by_position_where_there_is_no_header() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Strike {
        species: String,
        speed: Option<u32>,
    }
    let (_folder, path) = file("Gull,12\nHawk,\nOwl,fast\n");
    let mut reader = CsvReader::<Strike>::new(path).without_headers();
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(Strike { species: "Gull".to_owned(), speed: Some(12) }));
        assert_eq!(reader.read().await.unwrap(), Some(Strike { species: "Hawk".to_owned(), speed: None }));
        assert_eq!(reader.read().await.unwrap_err().position(), Some("line 3, column 2"));
    });
}

#[test]
fn characters_that_cannot_be_told_apart_are_refused_before_the_file_is_touched() {
    let mut reader = CsvReader::<Record>::new("absent.csv").comment(b',');
    let message = block_on(reader.open(None)).unwrap_err().to_string();
    assert_eq!(message, "file 'absent.csv': the delimiter and the comment of input are the same character, ','");
}

#[test]
fn a_long_record_ends_where_escapes_and_comments_say() {
    let long = "x".repeat(200);
    let text = format!("a\n#{long}\n'{long}\\'\n''\n{long}',1\nb\n");
    let (_folder, path) = file(&text);
    let make = || {
        CsvReader::<Record>::new(&path).without_headers().quote(b'\'').escape(b'\\').comment(b'#').max_record_bytes(100)
    };
    let mut reader = make();
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap().unwrap(), ["a"]);
        let error = reader.read().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parse);
        assert!(error.to_string().contains("record is longer than 100 bytes"), "{error}");
        assert_eq!(reader.read().await.unwrap().unwrap(), ["b"]);
        assert!(reader.read().await.unwrap().is_none());
    });
}

proptest! {
    #[test]
    fn any_text_in_any_dialect_reads_the_same_with_any_restarts(
        pieces in vec(prop_oneof![
            3 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\r"), 3 => Just(","), 2 => Just("'"), 2 => Just("\\"), 2 => Just("#"),
            5 => Just("ab"), 1 => Just("\u{feff}"),
        ], 0..60),
        restarts in vec(any::<bool>(), 1..20),
        quoted in any::<bool>(), escaped in any::<bool>(), commented in any::<bool>(),
        limit in prop_oneof![Just(6_u32), Just(20), Just(1_000)],
    ) {
        let (_folder, path) = file(&pieces.concat());
        let make = || {
            let mut reader = CsvReader::<Record>::new(&path).without_headers().max_record_bytes(limit).quote(b'\'');
            if !quoted { reader = reader.without_quotes(); }
            if escaped { reader = reader.escape(b'\\'); }
            if commented { reader = reader.comment(b'#'); }
            reader
        };
        prop_assert_eq!(outcomes(make, &[false]).unwrap(), outcomes(make, &restarts).unwrap());
    }
}
