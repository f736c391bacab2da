//! `CsvReader`, and `FixedWidthReader` where it has the same: NULL, trimmed fields, ragged records, long delimiters,
//! stray quotes.

use std::fmt::Debug;
use std::io::Write;
use std::path::Path;

use oxbatch_core::conformance::items::a_reader_goes_on_from_every_position;
use oxbatch_core::item::{ErrorKind, ItemReader};
use oxbatch_formats::{CsvReader, MixedCsvReader};
use serde::Deserialize;

use crate::harness::block_on;

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Bird {
    name: String,
    note: Option<String>,
    n: Option<u32>,
}

fn bird(name: &str, note: Option<&str>, n: Option<u32>) -> Bird {
    Bird { name: name.to_owned(), note: note.map(str::to_owned), n }
}

/// A file, plain and compressed, read from every position: the items, and each error with its raw text.
fn outcomes<R: ItemReader<Item: Debug + PartialEq + Clone> + 'static>(
    text: &str,
    make: impl Fn(&Path) -> R,
) -> Vec<Result<R::Item, (String, String)>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let [plain, packed] = [text.as_bytes().to_vec(), gzip.finish().unwrap()].map(|bytes| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.csv");
        std::fs::write(&path, bytes).unwrap();
        block_on(a_reader_goes_on_from_every_position(|| make(&path)));
        block_on(async {
            let mut reader = make(&path);
            reader.open(None).await.unwrap();
            let mut outcomes = Vec::new();
            loop {
                match reader.read().await {
                    Ok(Some(item)) => outcomes.push(Ok(item)),
                    Ok(None) => return outcomes,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Parse, "{error}");
                        let place = format!("{}: {}", error.position().unwrap(), error.cause_text());
                        outcomes.push(Err((place, error.raw().unwrap().to_owned())));
                    }
                }
            }
        })
    });
    assert_eq!(plain, packed);
    plain
}

fn birds(text: &str, set: impl Fn(CsvReader<Bird>) -> CsvReader<Bird>) -> Vec<Bird> {
    outcomes(text, |path| set(CsvReader::new(path))).into_iter().map(|outcome| outcome.unwrap()).collect()
}

#[test]
fn marks_of_null_are_none_for_an_option_and_an_error_for_anything_else() {
    let text = "name,note,n\na,\\N,NULL\nb,\"\\N\",1\n\\N,,2\nc,,\n";
    let outcomes = outcomes(text, |path| CsvReader::<Bird>::new(path).null_as("\\N").null_as("NULL"));
    assert_eq!(outcomes[..2], [Ok(bird("a", None, None)), Ok(bird("b", Some("\\N"), Some(1)))]);
    let problem = "line 4, column 'name': '\\N' does not fit: it stands for NULL, and only an `Option` can be NULL";
    assert_eq!(outcomes[2], Err((problem.to_owned(), "\\N,,2".to_owned())));
    assert_eq!(outcomes[3], Ok(bird("c", None, None)));
    let maps: Vec<std::collections::BTreeMap<String, Option<String>>> =
        self::outcomes("a,b\nNULL,x\n", |path| CsvReader::new(path).null_as("NULL"))
            .into_iter()
            .map(Result::unwrap)
            .collect();
    assert_eq!((&maps[0]["a"], maps[0]["b"].as_deref()), (&None, Some("x")));
}

#[test]
fn an_empty_field_in_quotes_can_be_told_from_one_without() {
    let text = "name,note,n\na,,1\nb,\"\",2\n";
    let none = [bird("a", None, Some(1)), bird("b", None, Some(2))];
    assert_eq!(birds(text, |reader| reader), none);
    let quoted = [bird("a", None, Some(1)), bird("b", Some(""), Some(2))];
    assert_eq!(birds(text, CsvReader::quoted_empty_is_text), quoted);
    let both = [bird("a", Some(""), Some(1)), bird("b", Some(""), Some(2))];
    assert_eq!(birds(text, |reader| reader.empty_is_text()), both);
    let marked = birds("name,note,n\na,-,1\n", |reader| reader.empty_is_text().null_as("-"));
    assert_eq!(marked, [bird("a", None, Some(1))]);
}

#[test]
fn fields_are_trimmed_around_quotes_and_not_within() {
    let text = " name ,note\t, \"n\"\n a b , \" x \" ,\t1 \n   \n\"c\" , , \n";
    let expected = [bird("a b", Some(" x "), Some(1)), bird("c", None, None)];
    assert_eq!(birds(text, CsvReader::trim), expected);
}

#[test]
fn short_and_long_records_are_taken_where_they_are_allowed() {
    let text = "name,note,n\na\nb,x,2,more,\"and\nmore\"\nc,,3\n";
    let short = |found: u32, line: u32, raw: &str| {
        Err((format!("line {line}: record has {found} fields, but 3 are expected"), raw.to_owned()))
    };
    let (a, b, c) = (bird("a", None, None), bird("b", Some("x"), Some(2)), bird("c", None, Some(3)));
    let read = |set: fn(CsvReader<Bird>) -> CsvReader<Bird>| outcomes(text, |path| set(CsvReader::new(path)));
    let long_record = "b,x,2,more,\"and\nmore\"";
    assert_eq!(read(|it| it), [short(1, 2, "a"), short(5, 3, long_record), Ok(c.clone())]);
    assert_eq!(read(|it| it.short_records()), [Ok(a.clone()), short(5, 3, long_record), Ok(c.clone())]);
    assert_eq!(read(|it| it.long_records()), [short(1, 2, "a"), Ok(b.clone()), Ok(c.clone())]);
    assert_eq!(read(|it| it.short_records().long_records()), [Ok(a), Ok(b), Ok(c)]);
    let numbers: Vec<(String, u32)> = outcomes("x,1,2\n", |path| {
        MixedCsvReader::over(CsvReader::new(path).long_records()).record_type("x", ["t", "n"], |row| row)
    })
    .into_iter()
    .map(Result::unwrap)
    .collect();
    assert_eq!(numbers, [("x".to_owned(), 1)]);
}

#[test]
fn a_delimiter_can_have_several_characters() {
    let text = "name||note||n\na|b||||1\n\"c||\"||\"\"\"\"||2\nd|||x||3\n";
    let expected = [bird("a|b", None, Some(1)), bird("c||", Some("\""), Some(2)), bird("d", Some("|x"), Some(3))];
    assert_eq!(birds(text, |reader| reader.delimiter("||")), expected);
    assert_eq!(birds("name§note§n\nä§ö§1\n", |reader| reader.delimiter('§')), [bird("ä", Some("ö"), Some(1))]);
}

/// A stray quote once merged three rows into one.
#[test]
fn a_stray_quote_is_an_error_of_its_record_and_no_row_behind_it_is_lost() {
    let within =
        "column 'note': a quote stands within a field that has none around it; `lenient_quotes` takes it as it is";
    let behind = "text stands behind the closing quote of a field; `lenient_quotes` takes it for a part of the field";
    for (record, problem) in [
        ("a,5\" long,1", within.to_owned()),
        ("a,\"5\" long,1", format!("column 'note': {behind}")),
        ("a, \"x\",1", within.to_owned()),
        ("\"a,x,1", format!("column 'name': {behind}")),
    ] {
        // The quote of the last record closes the one that is open.
        let text = format!("name,note,n\n{record}\nb,y,2\nc,z,3\n\"d\",w,4\n");
        let found = outcomes(&text, |path| CsvReader::<Bird>::new(path));
        assert_eq!(found[0], Err((format!("line 2, {problem}"), record.to_owned())), "{record}");
        let rest: Vec<_> = found[1..].iter().map(|outcome| outcome.as_ref().unwrap().n).collect();
        assert_eq!(rest, [Some(2), Some(3), Some(4)], "{record}");
    }
    let lenient = birds("name,note,n\na,5\" long,1\nb,\"x\" y,2\n", CsvReader::lenient_quotes);
    assert_eq!(lenient, [bird("a", Some("5\" long"), Some(1)), bird("b", Some("x y"), Some(2))]);
}

#[cfg(feature = "fixed-width")]
#[test]
fn fixed_width_has_marks_of_null_and_long_lines_as_well() {
    use oxbatch_formats::FixedWidthReader;

    let read = |text: &str, set: fn(FixedWidthReader<Bird>) -> FixedWidthReader<Bird>| {
        outcomes(text, |path| {
            let columns = FixedWidthReader::new(path).trimmed_column("name", 0..2);
            set(columns.trimmed_column("note", 2..4).trimmed_column("n", 4..6))
        })
    };
    let text = "a --1 \nb   2  more\n";
    assert_eq!(
        read(text, |it| it.null_as("--").long_lines()),
        [Ok(bird("a", None, Some(1))), Ok(bird("b", None, Some(2)))]
    );
    let found = read(text, |it| it.empty_is_text());
    assert_eq!(found[0], Ok(bird("a", Some("--"), Some(1))));
    let problem = "line 2: line has 11 characters, but 6 are expected".to_owned();
    assert_eq!(found[1], Err((problem, "b   2  more".to_owned())));
    assert_eq!(read("c   3 \n", |it| it.empty_is_text()), [Ok(bird("c", Some(""), Some(3)))]);
}
