//! `JsonArrayReader::at`: an array within a document, wherever it stands, and the document around it.
#![cfg(feature = "json")]

use oxbatch_core::item::{ErrorKind, ItemError, ItemReader};
use oxbatch_formats::JsonArrayReader;
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::harness::{block_on, outcomes, read_all};

fn file(text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn read(pointer: &str, text: &str) -> Result<Vec<u32>, ItemError> {
    let (_folder, path) = file(text);
    let mut reader = JsonArrayReader::new(&path).at(pointer);
    block_on(async {
        reader.open(None).await?;
        read_all(&mut reader).await
    })
}

#[test]
fn an_array_is_found_wherever_its_pointer_leads() {
    for (pointer, text) in [
        ("/items", r#"{"items":[1,2]}"#),
        (
            "/data/items",
            r#" { "a" : [ ] , "data" : { "b":{"items":[7]}, "items" : [ 1 , 2 ] , "c":null } , "d":"}" } "#,
        ),
        ("/1/x", r#"[{"x":[8]},{"y":0,"x":[1,2]},{"x":[9]}]"#),
        ("/a~1b/m~0n/", r#"{"a/b":{"m~n":{"":[1,2]}},"":[3]}"#),
        ("/\u{e9}", r#"{"\u00e9":[1,2]}"#),
        ("/0/0", "[[[1,2],[3]],4]"),
        ("", "[1,2]"),
    ] {
        assert_eq!(read(pointer, text).unwrap(), [1, 2], "{pointer} in {text}");
    }
    assert!(read("/a", r#"{"a":[]}"#).unwrap().is_empty());
}

#[test]
fn a_document_that_is_not_whole_or_without_the_array_fails_and_stays() {
    for (pointer, text, problem) in [
        ("/a", "", "line 1: the file ends within the document around the array"),
        ("/a", "{\"b\":1,\n\"a\":[1]", "line 2: the file ends within the document around the array"),
        ("/a", r#"{"b":"x"#, "line 1: the file ends within the document around the array"),
        ("/a", r#"{"a":[1"#, "line 1: the file ends within an element"),
        ("/a", r#"{"a":[1,"#, "line 1: the file ends within the array"),
        ("/a", r#"{"a":[1]}{"#, "line 1: there is text behind the end of the document"),
        ("/a", r#"{"a":[1],}"#, "line 1: a member is missing"),
        ("/a", r#"{"b":,"a":[1]}"#, "line 1: a value is missing"),
        ("/a", r#"{"b" 1}"#, "line 1: a ':' must stand behind a name"),
        ("/a", r#"{"b":1 "a":[1]}"#, "line 1: a ',' or '}' must stand behind a member"),
        ("/a", r#"{"b":1]"#, "line 1: a ',' or '}' must stand behind a member"),
        ("/a", r#"{"b":1}"#, "line 1: there is no '/a' in the document"),
        ("/a", "{}", "line 1: there is no '/a' in the document"),
        ("/a/b", r#"{"a":3}"#, "line 1: there is no '/a/b' in the document"),
        ("/a", r#"{"a":null}"#, "line 1: '/a' is no array"),
        ("/3", "[[],[]]", "line 1: there is no '/3' in the document"),
        ("/a", r#"{"a":[1],"b":[],"a":[2]}"#, "line 1: the name 'a' stands twice on the path to '/a'"),
        ("/a/b", r#"{"a":{"b":[1]},"a":1}"#, "line 1: the name 'a' stands twice on the path to '/a/b'"),
        ("", r#"{"a":1}"#, "line 1: an array must begin with '['"),
    ] {
        let (_folder, path) = file(text);
        let mut reader = JsonArrayReader::<u32>::new(&path).at(pointer);
        let problem = format!("file '{}', {problem}", path.display());
        block_on(async {
            reader.open(None).await.unwrap();
            let error = read_all(&mut reader).await.unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Other, problem.clone()), "{text}");
            assert_eq!(reader.read().await.unwrap_err().to_string(), problem, "{text}: nobody can skip it");
        });
    }
}

#[test]
fn a_pointer_that_is_none_and_a_checkpoint_of_another_are_refused_with_a_sentence() {
    for (pointer, why) in [("a/b", "it must begin with '/'"), ("/a~2", "'~' is written '~0' in it")] {
        let message = read(pointer, "[]").unwrap_err().to_string();
        assert!(message.ends_with(&format!("a.json': '{pointer}' is no JSON pointer: {why}")), "{message}");
    }
    let (_folder, path) = file(r#"{"a":[1],"b":[2]}"#);
    block_on(async {
        let mut reader = JsonArrayReader::<u32>::new(&path).at("/a");
        reader.open(None).await.unwrap();
        reader.read().await.unwrap();
        let checkpoint = reader.checkpoint().unwrap().unwrap();
        let error = JsonArrayReader::<u32>::new(&path).at("/b").open(Some(&checkpoint)).await.unwrap_err();
        let message = "checkpoint is of array '/a', and '/b' is read; launch with force to start anew";
        assert!(error.to_string().ends_with(message), "{error}");
    });
}

#[test]
fn what_stands_around_takes_no_memory_however_long_it_is() {
    let long = format!(
        "{{\"before\":[{0}\"\"],\"a\":[1,2],\"behind\":\"{1}\"}}",
        "\"long\",".repeat(500_000),
        "x".repeat(5_000_000)
    );
    let (_folder, path) = file(&long);
    // An element or a name may take 100 bytes; nothing else is held.
    let mut reader = JsonArrayReader::<u32>::new(&path).at("/a").max_element_bytes(100);
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap(), [1, 2]);
    });
    let error = read("/a", &format!("{{\"{}\":1}}", "x".repeat(2_000_000))).unwrap_err().to_string();
    assert!(error.ends_with("a name is longer than 1048576 bytes"), "{error}");
}

proptest! {
    #[test]
    fn any_text_at_all_reads_the_same_with_any_restarts(
        pieces in vec(prop_oneof![
            3 => Just("["), 3 => Just("]"), 3 => Just("{"), 3 => Just("}"), 3 => Just(","), 3 => Just("\"a\":"), 2 => Just("\"b\":"),
            2 => Just("1"), 1 => Just("\"a"), 1 => Just("\n "), 1 => Just("null"), 1 => Just("{\"a\":[1,"), 1 => Just("[1,2],"),
        ], 0..25),
        pointer in prop_oneof![Just("/a"), Just("/a/a"), Just("/0"), Just("/b/1")],
        restarts in vec(any::<bool>(), 1..10),
    ) {
        let (_folder, path) = file(&pieces.concat());
        let make = || JsonArrayReader::<u32>::new(&path).at(pointer);
        let straight = outcomes(make, &[false]).unwrap();
        prop_assert_eq!(&straight, &outcomes(make, &restarts).unwrap());
        // What is read to its end is what a parser of the whole finds there, unless there is nothing to be parsed in what is passed over.
        if let Ok(document) = serde_json::from_str::<serde_json::Value>(&pieces.concat())
            && let Some(array) = document.pointer(pointer).and_then(serde_json::Value::as_array)
            && pieces.concat().matches("\"a\"").count() < 2
        {
            prop_assert_eq!(straight.len(), array.len());
        }
    }
}
