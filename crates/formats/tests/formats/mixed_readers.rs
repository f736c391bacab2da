//! `MixedCsvReader`, `MixedFixedWidthReader`: each record is of its type, and what is none is reported.

use std::path::{Path, PathBuf};

use oxbatch_core::ItemReader;
use oxbatch_core::item::ErrorKind;
use oxbatch_formats::{CsvReader, FixedWidthLayout, MixedCsvReader, MixedFixedWidthReader};
use serde::Deserialize;

use crate::harness::{block_on, outcomes, read_all};

#[derive(Debug, PartialEq, Deserialize)]
struct Payment {
    account: String,
    cents: i64,
}

#[derive(Debug, PartialEq)]
enum Record {
    Header(String),
    Payment(Payment),
    Trailer(u64),
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn delimited(reader: CsvReader<Record>) -> MixedCsvReader<Record> {
    MixedCsvReader::over(reader)
        .record_type("H", ["type", "day"], |(_, day): (String, String)| Record::Header(day))
        .record_type("P", ["type", "account", "cents"], Record::Payment)
        .record_type("T", ["type", "count"], |(_, count): (String, u64)| Record::Trailer(count))
}

fn fixed(path: &PathBuf) -> MixedFixedWidthReader<Record> {
    let header = FixedWidthLayout::new().column("day", 2..12);
    let payment = FixedWidthLayout::new().trimmed_column("account", 2..10).column("cents", 10..18);
    let trailer = FixedWidthLayout::new().column("count", 2..8);
    MixedFixedWidthReader::new(path)
        .record_type("00", header, |(day,): (String,)| Record::Header(day))
        .record_type("10", payment, Record::Payment)
        .record_type("99", trailer, |(count,): (u64,)| Record::Trailer(count))
}

fn expected() -> Vec<Record> {
    let payment = |account: &str, cents| Record::Payment(Payment { account: account.to_owned(), cents });
    vec![Record::Header("2024-02-29".to_owned()), payment("DE02", 1250), payment("Ö1", -3), Record::Trailer(2)]
}

/// The errors without the name of the file.
fn told(outcomes: &[Result<Record, String>], path: &Path) -> Vec<String> {
    let file = format!("file '{}', ", path.display());
    outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(|fault| fault.replace(&file, "")).collect()
}

#[test]
fn each_record_becomes_an_item_of_its_type() {
    let (_folder, path) = file("H|2024-02-29\nP|DE02|1250\nP|Ö1|-3\nT|2\n");
    let mut reader = delimited(CsvReader::new(&path).delimiter(b'|'));
    let (_folder, path) = file("002024-02-29\n10DE02    00001250\r\n10Ö1      -0000003\n99000002");
    let mut lines = fixed(&path);
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap(), expected());
        lines.open(None).await.unwrap();
        assert_eq!(read_all(&mut lines).await.unwrap(), expected());
    });
}

#[test]
fn a_record_that_fits_no_type_is_told_with_its_line_and_column() {
    let (_folder, path) = file("H,1\nX,2\nP,a\nP,a,b\n\nT,1\n");
    let found = outcomes(|| delimited(CsvReader::new(&path)), &[false]).unwrap();
    let faults = told(&found, &path);
    assert_eq!(
        faults,
        [
            "Parse: line 2, column 1: 'X' is none of the record types 'H', 'P', 'T'; raw text: \"X,2\"",
            "Parse: line 3: record has 2 fields, but 3 are expected; raw text: \"P,a\"",
            "Parse: line 4, column 'cents': 'b' does not fit: invalid digit found in string; raw text: \"P,a,b\"",
        ]
    );
    let (_folder, path) = file("0012345678901\n11\n10DE02    0000x250\n99000001\n");
    let found = outcomes(|| fixed(&path), &[false]).unwrap();
    let faults = told(&found, &path);
    assert_eq!(
        faults,
        [
            "Parse: line 1: line has 13 characters, but 12 are expected; raw text: \"0012345678901\"",
            "Parse: line 2: '11' is none of the record types '00', '10', '99'; raw text: \"11\"",
            "Parse: line 3, column 'cents': '0000x250' does not fit: invalid digit found in string; raw text: \"10DE02    0000x250\"",
        ]
    );
}

#[test]
fn the_type_may_stand_in_another_place_and_go_on() {
    let (_folder, path) = file("a,P1\nb,Q2\n");
    let mut reader = MixedCsvReader::new(&path)
        .type_column(1)
        .type_by_prefix()
        .record_type("P", ["name", "type"], |(name, _): (String, String)| format!("P {name}"))
        .record_type("Q", ["name", "type"], |(name, of): (String, String)| format!("{of} {name}"));
    let (_folder, path) = file("äP\nbQ\n");
    let name = || FixedWidthLayout::new().column("name", 0..1).line_width(2);
    let mut lines = MixedFixedWidthReader::new(&path)
        .type_at(1)
        .record_type("P", name(), |(name,): (String,)| format!("P {name}"))
        .record_type("Q", name(), |(name,): (String,)| format!("Q {name}"));
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap(), ["P a", "Q2 b"]);
        lines.open(None).await.unwrap();
        assert_eq!(read_all(&mut lines).await.unwrap(), ["P ä", "Q b"]);
    });
}

#[test]
fn types_that_cannot_be_told_apart_are_refused() {
    let (_folder, path) = file("");
    let error = |mut reader: MixedCsvReader<String>| block_on(reader.open(None)).unwrap_err();
    let tagged = |reader: MixedCsvReader<String>, tag: &str| reader.record_type(tag, ["a"], |(a,): (String,)| a);
    let none = error(MixedCsvReader::new(&path));
    assert_eq!((none.kind(), none.cause_text().as_str()), (ErrorKind::Other, "no record type is declared"));
    let twice = error(tagged(tagged(MixedCsvReader::new(&path), "P"), "P"));
    assert_eq!(twice.cause_text(), "record type 'P' is never found: 'P' stands before it");
    let hidden = error(tagged(tagged(MixedCsvReader::new(&path).type_by_prefix(), "P"), "P1"));
    assert_eq!(hidden.cause_text(), "record type 'P1' is never found: 'P' stands before it");
    let mut empty = MixedFixedWidthReader::new("no").record_type("P", FixedWidthLayout::new(), |(a,): (String,)| a);
    let message = block_on(empty.open(None)).unwrap_err().to_string();
    assert_eq!(message, "file 'no', record type 'P': no column is declared");
}
