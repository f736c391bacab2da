//! Every reader goes on from every position, whatever stands there.

use std::path::{Path, PathBuf};

use futures_util::stream;
use oxbatch_core::ItemReader;
use oxbatch_core::conformance::items::{Outcomes, a_reader_goes_on_from_every_position};
use oxbatch_core::item::{GroupingReader, ItemError, IteratorReader, ListReader, PeekableReader, StreamReader};
use oxbatch_formats::{
    CsvReader, FilesReader, FixedWidthLayout, FixedWidthReader, JsonArrayReader, JsonLinesReader, MixedCsvReader,
    MixedFixedWidthReader, XmlReader,
};

use crate::harness::block_on;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("input");
    std::fs::write(&path, text).unwrap();
    path
}

/// The items by themselves, `-` for each error.
fn items<T: std::fmt::Debug>(outcomes: &Outcomes<T>) -> Vec<String> {
    outcomes.iter().map(|outcome| outcome.as_ref().map_or("-".to_owned(), |item| format!("{item:?}"))).collect()
}

fn conforms<R: ItemReader<Item: std::fmt::Debug + PartialEq> + 'static>(make: impl Fn() -> R) -> Vec<String> {
    items(&block_on(a_reader_goes_on_from_every_position(make)))
}

type Pair = (String, u32);

#[test]
fn lists_iterators_and_streams() {
    let expected = ["1", "2", "3", "4"];
    assert_eq!(conforms(|| ListReader::new([1, 2, 3, 4])), expected);
    assert_eq!(conforms(|| IteratorReader::new(1..=4)), expected);
    assert_eq!(conforms(|| StreamReader::new(stream::iter((1..=4).map(Ok)))), expected);
    assert_eq!(conforms(|| StreamReader::starting_at(|done| stream::iter((done + 1..=4).map(Ok)))), expected);
    let faulty = || {
        let bad = |number| if number == 2 { Err(ItemError::parse("bad")) } else { Ok(number) };
        StreamReader::new(stream::iter((1..=4).map(bad)))
    };
    assert_eq!(conforms(faulty), ["1", "-", "3", "4"]);
}

#[test]
fn delimited_text() {
    let folder = folder();
    let path = file(folder.path(), "\u{feff}name,n\r\n\"a\n,b\",1\r\nx,y\nc,2,3\n\nd,4");
    let expected = ["(\"a\\n,b\", 1)", "-", "-", "(\"d\", 4)"];
    assert_eq!(conforms(|| CsvReader::<Pair>::new(&path)), expected);
    let path = file(folder.path(), "# top\na;1\n#; no\n'b'';';2\n'c\\';';3\nx\n# end");
    let reader = || CsvReader::<Pair>::new(&path).without_headers().delimiter(b';').quote(b'\'').escape(b'\\');
    assert_eq!(conforms(|| reader().comment(b'#')), ["(\"a\", 1)", "(\"b';\", 2)", "(\"c';\", 3)", "-"]);
}

/// More than a block has, or keeps while it is taken.
const LONG: usize = 3 * 1024 * 1024;

#[test]
fn records_and_comments_that_are_longer_than_a_block() {
    let folder = folder();
    let (long, comment) = ("x\n".repeat(LONG / 2), "c".repeat(LONG));
    let path = file(folder.path(), &format!("a,1\n#{comment}\nb,2\n\"{long}\",3\nc,?\n#{comment}"));
    let reader = || CsvReader::<Pair>::new(&path).without_headers().comment(b'#');
    let lengths = |outcomes: Vec<String>| outcomes.iter().map(String::len).collect::<Vec<_>>();
    let short = conforms(|| reader().max_record_bytes(100));
    assert_eq!(short, ["(\"a\", 1)", "(\"b\", 2)", "-", "-"]);
    // Each end of a line is shown by two characters.
    assert_eq!(lengths(conforms(|| reader().max_record_bytes(1 << 23))), [8, 8, LONG / 2 * 3 + 7, 1]);
    let path = file(folder.path(), &format!("1\n//{comment}\n2\nx\n//{comment}\n3\n"));
    assert_eq!(conforms(|| JsonLinesReader::<u32>::new(&path).comment("//")), ["1", "2", "-", "3"]);
}

#[test]
fn records_of_several_types() {
    let folder = folder();
    let path = file(folder.path(), "H,day\nP,a,1\nQ,?\nP,b\nP,c,x\nP,d,4\nT,2\n");
    let make = || {
        MixedCsvReader::new(&path)
            .record_type("H", ["type", "day"], |(_, day): Pair2| format!("from {day}"))
            .record_type("P", ["type", "name", "n"], |(_, name, n): (String, String, u32)| format!("{name}{n}"))
            .record_type("T", ["type", "count"], |(_, count): Pair| format!("{count} in all"))
    };
    assert_eq!(conforms(make), ["\"from day\"", "\"a1\"", "-", "-", "-", "\"d4\"", "\"2 in all\""]);
    let path = file(folder.path(), "Hday\nPa1\n\nQ??\nPb\nPcx\nPd4\nT002");
    let make = || {
        let day = FixedWidthLayout::new().column("day", 1..4);
        let item = FixedWidthLayout::new().column("name", 1..2).column("n", 2..3);
        let count = FixedWidthLayout::new().column("count", 1..4);
        MixedFixedWidthReader::new(&path)
            .record_type("H", day, |(day,): (String,)| format!("from {day}"))
            .record_type("P", item, |(name, n): Pair| format!("{name}{n}"))
            .record_type("T", count, |(count,): (u32,)| format!("{count} in all"))
    };
    assert_eq!(conforms(make), ["\"from day\"", "\"a1\"", "-", "-", "-", "\"d4\"", "\"2 in all\""]);
}

type Pair2 = (String, String);

#[test]
fn fixed_width_json_and_xml() {
    let folder = folder();
    let path = file(folder.path(), "a1\r\nb2\nc\n\nßx\n鳥4");
    let make = || FixedWidthReader::<Pair>::new(&path).column("name", 0..1).column("n", 1..2);
    assert_eq!(conforms(make), ["(\"a\", 1)", "(\"b\", 2)", "-", "-", "(\"鳥\", 4)"]);

    let path = file(folder.path(), "1\n\n{\n2\r\n\"\n3");
    assert_eq!(conforms(|| JsonLinesReader::<u32>::new(&path)), ["1", "-", "2", "-", "3"]);
    let path = file(folder.path(), " [1, \"]\",\n 2 , {\"a\": [3]},3 ]\n");
    assert_eq!(conforms(|| JsonArrayReader::<u32>::new(&path)), ["1", "-", "2", "-", "3"]);

    let path = file(folder.path(), "<all><n>1</n><!-- <n>9</n> --><part><n>x</n><n>2</n></part><m/><n>3</n></all>");
    assert_eq!(conforms(|| XmlReader::<u32>::new(&path, "n")), ["1", "-", "2", "3"]);
}

#[test]
fn files_groups_and_what_is_looked_at() {
    let folder = folder();
    for (name, text) in [("a-1", "1\n2\n"), ("a-2", ""), ("a-3", "x\n3"), ("a-4", "4\n")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let pattern = folder.path().join("a-*").to_str().unwrap().to_owned();
    let files = || FilesReader::new(pattern.clone(), |path: &Path| JsonLinesReader::<u32>::new(path));
    assert_eq!(conforms(files), ["1", "2", "-", "3", "4"]);
    assert_eq!(conforms(|| PeekableReader::new(files())), ["1", "2", "-", "3", "4"]);
    let groups = || GroupingReader::new(ListReader::new([1, 2, 11, 21, 22, 23, 1]), |a, b| a / 10 == b / 10);
    assert_eq!(conforms(groups), ["[1, 2]", "[11]", "[21, 22, 23]", "[1]"]);
    assert_eq!(conforms(|| GroupingReader::new(files(), |a, b| a % 2 == b % 2)), ["[1]", "-", "[3]", "[4]"]);
    assert_eq!(conforms(|| PeekableReader::new(groups())), ["[1, 2]", "[11]", "[21, 22, 23]", "[1]"]);
}

#[cfg(all(feature = "gzip", feature = "zstd"))]
#[test]
fn compressed_text() {
    use std::io::Write;

    let folder = folder();
    let text = b"a,1\n\"b\n\",2\nx\nd,4\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    for bytes in [gzip.finish().unwrap(), zstd::encode_all(&text[..], 1).unwrap()] {
        let path = folder.path().join("input");
        std::fs::write(&path, bytes).unwrap();
        let expected = ["(\"a\", 1)", "(\"b\\n\", 2)", "-", "(\"d\", 4)"];
        assert_eq!(conforms(|| CsvReader::<Pair>::new(&path).without_headers()), expected);
        let lines = conforms(|| FixedWidthReader::<(String,)>::new(&path).column("a", 0..3).short_lines());
        assert_eq!(lines.len(), 5);
    }
}
