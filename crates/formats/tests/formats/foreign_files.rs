//! The behaviour of all readers on files of others: lines before the text, other encodings, comments, files that are
//! not there.

use std::fmt::Debug;
use std::io::Write;
use std::path::{Path, PathBuf};

use oxbatch_core::conformance::items::a_reader_goes_on_from_every_position;
use oxbatch_core::item::{ErrorKind, ItemReader};
use oxbatch_formats::{CsvReader, FixedWidthReader, JsonArrayReader, JsonLinesReader, XmlReader};

use crate::harness::{block_on, read_all, stored};

type Pair = (String, u32);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Reads a file, plain and compressed, going on from every position: its items, `-` for each error.
fn items<R: ItemReader<Item: Debug + PartialEq> + 'static>(bytes: &[u8], make: impl Fn(&Path) -> R) -> Vec<String> {
    let [plain, packed] = [bytes.to_vec(), gzip(bytes)].map(|bytes| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        std::fs::write(&path, bytes).unwrap();
        let outcomes = block_on(a_reader_goes_on_from_every_position(|| make(&path)));
        outcomes.iter().map(|outcome| outcome.as_ref().map_or("-".to_owned(), |item| format!("{item:?}"))).collect()
    });
    assert_eq!(plain, packed);
    plain
}

fn csv(path: &Path) -> CsvReader<Pair> {
    CsvReader::new(path)
}

fn fixed(path: &Path) -> FixedWidthReader<Pair> {
    FixedWidthReader::new(path).column("name", 0..1).column("n", 1..2)
}

fn lines(path: &Path) -> JsonLinesReader<Pair> {
    JsonLinesReader::new(path)
}

fn array(path: &Path) -> JsonArrayReader<Pair> {
    JsonArrayReader::new(path)
}

fn xml(path: &Path) -> XmlReader<String> {
    XmlReader::new(path, "n")
}

/// A file and the first error of its reader.
fn first_error<R: ItemReader<Item: Debug>>(bytes: &[u8], make: impl Fn(&Path) -> R) -> oxbatch_core::item::ItemError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    std::fs::write(&path, bytes).unwrap();
    let mut reader = make(&path);
    block_on(async {
        match reader.open(None).await {
            Ok(()) => read_all(&mut reader).await.unwrap_err(),
            Err(error) => error,
        }
    })
}

#[test]
fn lines_before_the_text_are_passed_over_and_counted() {
    let expected = ["(\"a\", 1)", "-", "(\"b\", 2)"];
    let title = "Report \"of\n\n2024, {[<\r\n";
    assert_eq!(items(format!("{title}name,n\na,1\nx\nb,2\n").as_bytes(), |path| csv(path).skip_lines(3)), expected);
    assert_eq!(items(format!("{title}a1\nx\nb2\n").as_bytes(), |path| fixed(path).skip_lines(3)), expected);
    let text = format!("\u{feff}{title}[\"a\",1]\nx\n[\"b\",2]");
    assert_eq!(items(text.as_bytes(), |path| lines(path).skip_lines(3)), expected);
    let error = first_error(text.as_bytes(), |path| lines(path).skip_lines(3));
    assert_eq!(error.position(), Some("line 5, column 1"));
    let text = format!("{title}[[\"a\",1],\n2,[\"b\",2]]");
    assert_eq!(items(text.as_bytes(), |path| array(path).skip_lines(3)), expected);
}

#[test]
fn a_file_that_ends_within_the_lines_before_it_is_a_fault_and_one_without_text_is_none() {
    let error = first_error(b"a title\nof two lines", |path| lines(path).skip_lines(3));
    assert!(error.is_fatal());
    assert!(error.to_string().ends_with("ends within the 3 lines to be skipped at its start: it has 2"), "{error}");
    assert_eq!(items(b"", |path| lines(path).skip_lines(3)), [""; 0]);
    assert_eq!(items(b"a title", |path| lines(path).skip_lines(1)), [""; 0]);
    assert_eq!(items(b"", |path| csv(path).skip_lines(1).allow_empty()), [""; 0]);
    assert!(first_error(b"a title\n", |path| csv(path).skip_lines(1)).to_string().contains("a header is expected"));
}

#[test]
fn lines_of_comments_are_passed_over_whatever_their_length() {
    let long = "x".repeat(200);
    let text = format!("#{long}\n[\"a\",1]\n# \"\n  \nx\n#\n[\"b\",2]\n#");
    let expected = ["(\"a\", 1)", "-", "(\"b\", 2)"];
    assert_eq!(items(text.as_bytes(), |path| lines(path).comment("#").max_line_bytes(100)), expected);
    let text = format!("//{long}\na1\n// 2\n/x3\n//\nb2");
    assert_eq!(items(text.as_bytes(), |path| fixed(path).comment("//").max_line_bytes(100)), expected);
    let error = first_error(b"a1", |path| fixed(path).comment(""));
    assert!(error.to_string().contains("the mark of comments in input is empty"), "{error}");
}

#[test]
fn a_file_that_is_not_there_has_no_items_where_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent");
    let make = || csv(&path).allow_missing();
    block_on(async {
        assert!(csv(&path).open(None).await.unwrap_err().to_string().contains("cannot be opened"));
        let mut reader = make();
        reader.open(None).await.unwrap();
        assert_eq!((reader.read().await.unwrap(), reader.read_now()), (None, None));
        let checkpoint = stored(&reader.checkpoint().unwrap().unwrap());
        let mut reader = make();
        reader.open(Some(&checkpoint)).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap(), []);
        assert!(csv(&path).open(Some(&checkpoint)).await.unwrap_err().to_string().contains("cannot be opened"));
        // A file that comes later is another input, and so is one that is gone.
        std::fs::write(&path, "name,n\na,1\n").unwrap();
        let error = make().open(Some(&checkpoint)).await.unwrap_err().to_string();
        assert!(error.contains("has changed since the last attempt: it was not there and is now"), "{error}");
        let mut reader = make();
        reader.open(None).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap().len(), 1);
        let checkpoint = stored(&reader.checkpoint().unwrap().unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(make().open(Some(&checkpoint)).await.unwrap_err().to_string().contains("cannot be opened"));
    });
    for missing in [xml(&path).allow_missing(), xml(&PathBuf::from("no/folder")).allow_missing()] {
        let mut missing = missing;
        block_on(missing.open(None)).unwrap();
        assert_eq!(block_on(missing.read()).unwrap(), None);
    }
}

#[cfg(feature = "encoding")]
mod encoded {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::harness::outcomes;

    /// Text in UTF-16.
    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn text_of_another_encoding_is_decoded_for_every_reader() {
        let expected = ["(\"é\", 1)", "-", "(\"b\", 2)"];
        let latin = |text: &str| encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
        assert_eq!(items(&latin("näme,n\né,1\nx\nb,2"), |path| csv(path).encoding("windows-1252")), expected);
        assert_eq!(items(&latin("é1\nü\nb2"), |path| fixed(path).encoding("latin1")), expected);
        assert_eq!(items(&latin("[\"é\",1]\nü\n[\"b\",2]"), |path| lines(path).encoding("iso-8859-1")), expected);
        assert_eq!(items(&latin("[[\"é\",1],\"ü\",[\"b\",2]]"), |path| array(path).encoding("windows-1252")), expected);
        let text = latin("<?xml version='1.0' encoding='windows-1252'?><a><n>é</n><n>b</n></a>");
        assert_eq!(items(&text, |path| xml(path).encoding("windows-1252")), ["\"é\"", "\"b\""]);
        let kanji = encoding_rs::SHIFT_JIS.encode("鳥|1\n表|2\n").0.into_owned();
        let read = |path: &Path| csv(path).without_headers().delimiter(b'|').encoding("shift_jis");
        // The second byte of 表 is a backslash.
        assert_eq!(items(&kanji, read), ["(\"鳥\", 1)", "(\"表\", 2)"]);
    }

    #[test]
    fn utf_16_is_read_with_a_byte_order_mark_and_without_one() {
        let text = "name,n\n鳥,1\n\"𝄞\n\",2\n";
        let expected = ["(\"鳥\", 1)", "(\"𝄞\\n\", 2)"];
        for (bytes, label) in [
            (utf16(text, u16::to_le_bytes), "utf-16"),
            (utf16(text, u16::to_le_bytes), "utf-16le"),
            (utf16(text, u16::to_be_bytes), "utf-16be"),
            (utf16(&format!("\u{feff}{text}"), u16::to_be_bytes), "utf-16"),
            (utf16(&format!("\u{feff}{text}"), u16::to_le_bytes), "utf-16"),
            (format!("\u{feff}{text}").into_bytes(), "utf-16"),
            (text.as_bytes().to_vec(), "utf-8"),
        ] {
            assert_eq!(items(&bytes, |path| csv(path).encoding(label)), expected, "{label}");
        }
        let bytes = utf16("title\nname,n\n鳥,1\nx\n", u16::to_le_bytes);
        let error = first_error(&bytes, |path| csv(path).encoding("utf-16le").skip_lines(1));
        assert_eq!((error.position(), error.raw()), (Some("line 4"), Some("x")));
    }

    #[test]
    fn bytes_that_the_encoding_does_not_have_are_an_error_of_their_record() {
        for (bytes, label, name) in [
            (&b"name,n\n\xe9,1\na\x81,2\nb,3"[..], "windows-1252", "windows-1252"),
            (b"name,n\n\xe9,1\na\xd2,2\nb,3", "windows-1253", "windows-1253"),
            (b"name,n\ne,1\n\x82,2\nb,3", "shift_jis", "Shift_JIS"),
        ] {
            let read = items(bytes, |path| csv(path).encoding(label));
            assert_eq!((read.len(), read[1].as_str(), read[2].as_str()), (3, "-", "(\"b\", 3)"), "{label}");
            let error = first_error(bytes, |path| csv(path).encoding(label));
            assert_eq!((error.kind(), error.position()), (ErrorKind::Parse, Some("line 3, column 'name'")), "{label}");
            assert_eq!(error.cause_text(), format!("text has bytes that stand for nothing in {name}"));
        }
        // Half a character at the end of the file.
        let error =
            first_error(&[0x31, 0, 0x0a, 0, 0x32], |path| JsonLinesReader::<u32>::new(path).encoding("utf-16le"));
        assert_eq!(error.position(), Some("line 2, column 1"));
    }

    #[test]
    fn an_encoding_that_is_unknown_is_named() {
        let error = first_error(b"name,n\n", |path| csv(path).encoding("ebcdic"));
        assert!(error.to_string().starts_with("encoding 'ebcdic' of input file '"), "{error}");
        assert!(error.to_string().ends_with("' is not known"), "{error}");
    }

    proptest! {
        #[test]
        fn encoded_text_reads_as_its_utf_8_with_any_restarts(
            pieces in vec(prop_oneof![
                2 => Just("\n"), 1 => Just("\r\n"), 2 => Just(","), 2 => Just("\""), 3 => Just("é"), 2 => Just("鳥"), 1 => Just("𝄞"),
            ], 0..60),
            restarts in vec(any::<bool>(), 1..12),
            limit in prop_oneof![Just(9_u32), Just(1_000)],
        ) {
            let text = [" ", &pieces.concat()].concat();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("input");
            let read = |bytes: &[u8], label: &str, restarts: &[bool]| {
                std::fs::write(&path, bytes).unwrap();
                let make = || CsvReader::<Vec<String>>::new(&path).without_headers().max_record_bytes(limit).encoding(label);
                outcomes(make, restarts).unwrap()
            };
            let plain = read(text.as_bytes(), "utf-8", &[false]);
            prop_assert_eq!(&read(&utf16(&text, u16::to_le_bytes), "utf-16", &restarts), &plain);
            let gb = encoding_rs::GB18030.encode(&text).0.into_owned();
            prop_assert_eq!(&read(&gb, "gb18030", &restarts), &plain);
        }
    }
}
