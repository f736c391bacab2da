//! `JsonLinesReader`, `JsonArrayReader`: what they read, where they resume, what they say of bad input.

use std::path::{Path, PathBuf};

use oxbatch_core::item::{ErrorKind, ItemError, ItemReader, ItemWriter};
use oxbatch_formats::{CsvWriter, JsonArrayReader, JsonLinesReader, JsonLinesWriter};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{block_on, end, outcomes, read_all, stored, write};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Strike {
    species: String,
    speed: Option<u32>,
}

fn strike(species: &str, speed: impl Into<Option<u32>>) -> Strike {
    Strike { species: species.to_owned(), speed: speed.into() }
}

fn file(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strikes.json");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn all<R: ItemReader>(mut reader: R) -> Result<Vec<R::Item>, ItemError> {
    block_on(async {
        reader.open(None).await?;
        read_all(&mut reader).await
    })
}

fn lines(text: impl AsRef<[u8]>) -> Result<Vec<Strike>, ItemError> {
    let (_folder, path) = file(text);
    all(JsonLinesReader::new(path))
}

fn array(text: impl AsRef<[u8]>) -> Result<Vec<Strike>, ItemError> {
    let (_folder, path) = file(text);
    all(JsonArrayReader::new(path))
}

const GULL: &str = r#"{"species":"Gull","speed":12}"#;
const HAWK: &str = r#"{"species":"Hawk"}"#;

#[test]
fn lines_are_read_whatever_stands_between_them() {
    for text in [
        format!("{GULL}\n{HAWK}\n"),
        format!("{GULL}\n{HAWK}"),
        format!("{GULL}\r\n{HAWK}\r\n"),
        format!("\u{feff}\n \t\n{GULL}\n\r\n\n  {HAWK} \n\n "),
    ] {
        assert_eq!(lines(&text).unwrap(), [strike("Gull", 12), strike("Hawk", None)], "{text:?}");
    }
    for text in ["", "\u{feff}", "\n", "\r\n \n"] {
        assert_eq!(lines(text).unwrap(), [], "{text:?}");
    }
}

#[test]
fn elements_are_read_whatever_stands_between_them() {
    for text in [
        format!("[{GULL},{HAWK}]"),
        format!("\u{feff} [\r\n  {GULL} ,\r\n  {HAWK}\r\n]\r\n"),
        format!("[{{\n\t\"species\": \"Gull\",\n\t\"speed\": 12\n}},{HAWK}\t]\n\n"),
    ] {
        assert_eq!(array(&text).unwrap(), [strike("Gull", 12), strike("Hawk", None)], "{text:?}");
    }
    for text in ["[]", " [ \n ] ", "\u{feff}[]"] {
        assert_eq!(array(text).unwrap(), [], "{text:?}");
    }
}

/// Trap 15: blanks within strings are stripped, and a brace in a string ends the data.
#[test]
fn brackets_and_blanks_within_strings_are_data() {
    let text = r#"[{"species":" ]} \"[{, \\","speed":1},{"species":"x\u005d","speed":2}]"#;
    assert_eq!(array(text).unwrap(), [strike(" ]} \"[{, \\", 1), strike("x]", 2)]);
}

#[test]
fn an_array_that_is_not_whole_is_no_end_and_stays_a_fault() {
    for (text, problem) in [
        ("", "line 1: the file ends within the array"),
        ("[", "line 1: the file ends within the array"),
        ("[\n1", "line 2: the file ends within an element"),
        ("[1", "line 1: the file ends within an element"),
        ("[1,", "line 1: the file ends within the array"),
        ("[\"1]", "line 1: the file ends within an element"),
        ("[1,]", "line 1: an element is missing"),
        ("[,1]", "line 1: an element is missing"),
        ("[1 2]", "line 1: a ',' or ']' must stand behind an element"),
        ("[1]\n[2]", "line 2: there is text behind the end of the array"),
        ("{}", "line 1: an array must begin with '['"),
    ] {
        let (_folder, path) = file(text);
        let mut reader = JsonArrayReader::<Value>::new(&path);
        let problem = format!("file '{}', {problem}", path.display());
        block_on(async {
            reader.open(None).await.unwrap();
            let error = read_all(&mut reader).await.unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Other, problem.clone()), "{text:?}");
            let again = reader.read().await.unwrap_err();
            assert_eq!(again.to_string(), problem, "{text:?}: nobody can skip it");
        });
    }
}

/// Reads one record that is bad and the good one behind it, straight and after a restart.
fn bad<R: ItemReader<Item = Strike>>(make: impl Fn() -> R) -> ItemError {
    block_on(async {
        let mut reader = make();
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(strike("Gull", 12)));
        let error = reader.read().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parse);
        let checkpoint = stored(&reader.checkpoint().unwrap().unwrap());
        assert_eq!(reader.read().await.unwrap(), Some(strike("Hawk", None)), "the position is behind the bad record");
        assert_eq!(reader.read().await.unwrap(), None);
        let mut reader = make();
        reader.open(Some(&checkpoint)).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(strike("Hawk", None)), "a restart, too, goes on behind it");
        error
    })
}

fn bad_line(line: impl AsRef<[u8]>) -> ItemError {
    let (_folder, path) = file([GULL.as_bytes(), b"\n\r\n", line.as_ref(), b"\n", HAWK.as_bytes()].concat());
    bad(|| JsonLinesReader::new(&path))
}

fn bad_element(element: impl AsRef<[u8]>) -> ItemError {
    let (_folder, path) =
        file([b"[", GULL.as_bytes(), b",\n\n", element.as_ref(), b" , ", HAWK.as_bytes(), b"]"].concat());
    bad(|| JsonArrayReader::new(&path))
}

#[test]
fn a_bad_value_is_told_with_place_path_and_raw_text() {
    let raw = r#"{"species":"x","speed":"fast"}"#;
    let problem = "'speed': invalid type: string \"fast\", expected u32";
    for (error, position) in [(bad_line(raw), "line 3, column 29"), (bad_element(raw), "line 3, element 2, column 29")]
    {
        assert_eq!(error.position(), Some(position));
        assert_eq!(error.cause().to_string(), problem);
        assert_eq!(error.raw(), Some(raw));
    }
    let error = bad_line(r#"{"species":"#);
    assert!(error.to_string().contains("EOF while parsing a value"), "{error}");
    let error = bad_element(r#"{"speed":1}"#);
    assert_eq!(error.cause().to_string(), "missing field `species`");
}

#[test]
fn text_that_is_not_utf8_is_refused_even_where_nobody_looks() {
    for raw in [&b"{\"species\":\"M\xf6we\"}"[..], b"{\"species\":\"x\",\"other\":\"\xff\"}"] {
        for error in [bad_line(raw), bad_element(raw)] {
            assert_eq!(error.cause().to_string(), "text is not UTF-8");
        }
    }
}

#[test]
fn a_deep_value_is_a_fault_and_no_overflow() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for error in [bad_line(format!("{{\"species\":{deep}}}")), bad_element(&deep)] {
        assert_eq!(error.kind(), ErrorKind::Parse);
    }
    let (_folder, path) = file(format!("[{deep}]"));
    let error = all(JsonArrayReader::<Value>::new(path)).unwrap_err();
    assert!(error.to_string().contains("recursion limit exceeded"), "{error}");
}

#[test]
fn a_record_over_the_limit_is_passed_over() {
    let long = format!("{{\"species\":\"{}\"}}", "]} \\\" ".repeat(400_000));
    for (error, position) in [(bad_line(&long), "line 3"), (bad_element(&long), "line 3, element 2")] {
        assert_eq!(error.position(), Some(position));
        assert_eq!(error.cause().to_string(), "record is longer than 1048576 bytes");
        assert!(error.raw().unwrap().len() < 5_000);
    }
}

#[test]
fn the_limit_is_exact() {
    let (_folder, path) = file("\"1234\"\r\n\"12345\"\n\"1234\"");
    let mut reader = JsonLinesReader::<String>::new(path).max_line_bytes(6);
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap().as_deref(), Some("1234"));
        assert_eq!(reader.read().await.unwrap_err().position(), Some("line 2"));
        assert_eq!(reader.read().await.unwrap().as_deref(), Some("1234"));
    });
    let (_folder, path) = file("[\"1234\",\"12345\",\"1234\"]");
    let mut reader = JsonArrayReader::<String>::new(path).max_element_bytes(6);
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap().as_deref(), Some("1234"));
        assert_eq!(reader.read().await.unwrap_err().position(), Some("line 1, element 2"));
        assert_eq!(reader.read().await.unwrap().as_deref(), Some("1234"));
    });
}

#[test]
fn a_line_of_100_mebibytes_takes_no_more_memory_than_the_limit() {
    let (_folder, path) = file("");
    let hole = std::fs::File::create(&path).unwrap();
    hole.set_len(100 * 1024 * 1024).unwrap();
    let message = all(JsonLinesReader::<Strike>::new(&path)).unwrap_err().to_string();
    assert!(message.contains("strikes.json', line 1: record is longer than 1048576 bytes"), "{message}");
}

#[test]
fn a_file_that_changed_between_two_attempts_is_refused_with_a_sentence() {
    let text = format!("{GULL}\n").repeat(1_000);
    let (_folder, path) = file(&text);
    let checkpoint = block_on(async {
        let mut reader = JsonLinesReader::<Strike>::new(&path);
        reader.open(None).await.unwrap();
        for _ in 0..900 {
            reader.read().await.unwrap();
        }
        stored(&reader.checkpoint().unwrap().unwrap())
    });
    let resume = || {
        let mut reader = JsonLinesReader::<Strike>::new(&path);
        block_on(async {
            reader.open(Some(&checkpoint)).await?;
            read_all(&mut reader).await
        })
    };
    let offset = GULL.len().wrapping_add(1) * 895;
    for (changed, difference) in [
        (text.clone() + "\n", "it had 30000 bytes and has 30001 now"),
        (text.replacen("Gull", "Hawk", 1), "its first bytes differ"),
        (
            text[..offset].to_owned() + &text[offset..].replacen("Gull", "Hawk", 1),
            "the bytes before offset 27000 differ",
        ),
    ] {
        std::fs::write(&path, changed).unwrap();
        let message = resume().unwrap_err().to_string();
        assert!(message.contains("has changed since the last attempt") && message.contains(difference), "{message}");
    }
    std::fs::write(&path, &text).unwrap();
    assert_eq!(resume().unwrap().len(), 100, "the restored file is read on");
}

#[test]
fn a_file_that_is_cut_or_grows_while_it_is_read_is_an_error() {
    let text = format!("{GULL}\n").repeat(20_000);
    for changed in [text[..text.len() / 2].to_owned(), format!("{text}{GULL}\n")] {
        let (_folder, path) = file(&text);
        let mut reader = JsonLinesReader::<Value>::new(&path);
        block_on(async {
            reader.open(None).await.unwrap();
            reader.read().await.unwrap();
            std::fs::write(&path, &changed).unwrap();
            loop {
                match reader.read().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the end was believed"),
                    // The cut may go through a line.
                    Err(error) if error.kind() == ErrorKind::Parse => {}
                    Err(error) => {
                        assert!(error.to_string().contains("changed while it was read"), "{error}");
                        break assert!(error.is_fatal(), "whoever skips it meets it for ever");
                    }
                }
            }
        });
    }
}

#[test]
fn what_is_not_there_or_not_a_file_or_of_another_reader_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = all(JsonLinesReader::<Strike>::new(folder.path().join("no"))).unwrap_err().to_string();
    assert!(message.contains("no' cannot be opened"), "{message}");
    let message = all(JsonArrayReader::<Strike>::new(folder.path())).unwrap_err().to_string();
    assert!(message.ends_with("is not a file"), "{message}");
    let mut csv = CsvWriter::<Strike>::with_tag("1", folder.path().join("a.csv"));
    let foreign = block_on(async {
        csv.open(None).await.unwrap();
        write(&mut csv, &[strike("Gull", 1)]).await.unwrap()
    });
    let (_folder, path) = file(GULL);
    let error = block_on(JsonLinesReader::<Strike>::new(path).open(Some(&foreign))).unwrap_err();
    assert!(error.to_string().contains("does not fit this reader"), "{error}");
}

#[test]
fn progress_is_the_share_of_bytes() {
    let (_folder, path) = file(format!("{GULL}\n{GULL}\n"));
    let mut reader = JsonLinesReader::<Strike>::new(path);
    block_on(async {
        reader.open(None).await.unwrap();
        reader.read().await.unwrap();
        assert_eq!(reader.progress(), Some(0.5));
        reader.close().await.unwrap();
        assert!(reader.read().await.unwrap_err().to_string().contains("is not open"));
    });
}

fn value() -> impl Strategy<Value = Value> {
    let text = vec(
        prop_oneof![Just("]"), Just("}"), Just("\""), Just("\\"), Just(","), Just("\n"), Just("ß🦅"), Just("a")],
        0..6,
    )
    .prop_map(|pieces| pieces.concat());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 20, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text.clone(), inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn model(values: &[Value]) -> Vec<Result<Value, String>> {
    values.iter().cloned().map(Ok).collect()
}

async fn write_lines(path: &Path, values: &[Value]) {
    let mut writer = JsonLinesWriter::<Value>::with_tag("1", path);
    writer.open(None).await.unwrap();
    write(&mut writer, values).await.unwrap();
    end(&mut writer).await.unwrap();
}

proptest! {
    #[test]
    fn what_was_written_as_json_is_read_back_with_any_restarts(
        values in vec(value(), 0..20),
        restarts in vec(any::<bool>(), 1..10),
        pretty in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (lines, array) = (folder.path().join("a.jsonl"), folder.path().join("a.json"));
        block_on(write_lines(&lines, &values));
        let read = outcomes(|| JsonLinesReader::<Value>::new(&lines), &restarts).unwrap();
        prop_assert_eq!(read, model(&values));
        let text = if pretty { serde_json::to_vec_pretty(&values) } else { serde_json::to_vec(&values) };
        std::fs::write(&array, text.unwrap()).unwrap();
        let read = outcomes(|| JsonArrayReader::<Value>::new(&array), &restarts).unwrap();
        prop_assert_eq!(read, model(&values));
    }

    #[test]
    fn any_bytes_at_all_read_the_same_with_any_restarts(
        pieces in vec(prop_oneof![
            2 => vec(any::<u8>(), 0..4), 2 => Just(b"\n".to_vec()), 1 => Just(b"\r\n".to_vec()),
            3 => Just(b",".to_vec()), 2 => Just(b"\"".to_vec()), 1 => Just(b"\\".to_vec()), 2 => Just(b"[".to_vec()),
            2 => Just(b"]".to_vec()), 2 => Just(b"{}".to_vec()), 3 => Just(b"1".to_vec()), 1 => Just(b" ".to_vec()),
            1 => Just("\u{feff}".as_bytes().to_vec()),
        ], 0..80),
        open in any::<bool>(),
        restarts in vec(any::<bool>(), 1..20),
        limit in prop_oneof![Just(4_u32), Just(20), Just(1_000)],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let start: &[u8] = if open { b"[" } else { b" " };
        std::fs::write(&path, [start, &pieces.concat()].concat()).unwrap();
        let make = || JsonLinesReader::<Value>::new(&path).max_line_bytes(limit);
        prop_assert_eq!(outcomes(make, &[false]).unwrap(), outcomes(make, &restarts).unwrap());
        let make = || JsonArrayReader::<Value>::new(&path).max_element_bytes(limit);
        prop_assert_eq!(outcomes(make, &[false]).unwrap(), outcomes(make, &restarts).unwrap());
    }
}
