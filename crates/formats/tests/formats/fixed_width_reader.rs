//! `FixedWidthReader`: what it cuts out of lines, where it resumes, what it says of bad input.

use std::path::PathBuf;

use oxbatch_core::item::{ErrorKind, ItemError, ItemReader};
use oxbatch_formats::FixedWidthReader;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use tempfile::TempDir;

use crate::harness::{block_on, outcomes, read_all};

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Strike {
    species: String,
    speed: Option<u32>,
}

fn strike(species: &str, speed: impl Into<Option<u32>>) -> Strike {
    Strike { species: species.to_owned(), speed: speed.into() }
}

fn file(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strikes.txt");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn reader(path: &PathBuf) -> FixedWidthReader<Strike> {
    FixedWidthReader::new(path).column("species", 0..5).trimmed_column("speed", 6..9)
}

fn read_from(mut reader: FixedWidthReader<Strike>) -> Result<Vec<Strike>, ItemError> {
    block_on(async {
        reader.open(None).await?;
        read_all(&mut reader).await
    })
}

fn read(text: impl AsRef<[u8]>) -> Result<Vec<Strike>, ItemError> {
    let (_folder, path) = file(text);
    read_from(reader(&path))
}

#[test]
fn columns_are_cut_by_characters_and_trimmed_only_where_they_say_so() {
    for text in ["Gull -  1\n Möwe|   \n", "Gull -  1\r\n Möwe|   ", "\u{feff}Gull -1  \n\n\r\n Möwe鳥   \r\n"] {
        assert_eq!(read(text).unwrap(), [strike("Gull ", 1), strike(" Möwe", None)], "{text:?}");
    }
    for text in ["", "\n", "\u{feff}"] {
        assert_eq!(read(text).unwrap(), [], "{text:?}");
    }
}

#[test]
fn short_lines_are_taken_where_they_are_expected() {
    let (_folder, path) = file("Gull\nHawk   12\nÖ\n");
    let strikes = read_from(reader(&path).short_lines()).unwrap();
    assert_eq!(strikes, [strike("Gull", None), strike("Hawk ", 12), strike("Ö", None)]);
}

#[test]
fn a_bad_line_is_told_with_its_place_and_passed_over() {
    for (line, position, problem) in [
        (&b"Gull   1"[..], "line 2", "line has 8 characters, but 9 are expected"),
        (b"M\xc3\xb6we     1\xc3\xb6", "line 2", "line has 11 characters, but 9 are expected"),
        (b"Gull   1x", "line 2, column 'speed'", "'1x' does not fit: invalid digit found in string"),
        (b"M\xf6we     1", "line 2, column 2", "text is not UTF-8"),
    ] {
        let (_folder, path) = file([b"Gull |  1\r\n", line, b"\r\nHawk |  2"].concat());
        let mut reader = reader(&path);
        block_on(async {
            reader.open(None).await.unwrap();
            assert_eq!(reader.read().await.unwrap(), Some(strike("Gull ", 1)));
            let error = reader.read().await.unwrap_err();
            assert_eq!((error.kind(), error.position()), (ErrorKind::Parse, Some(position)));
            assert_eq!(error.cause().to_string(), problem);
            assert_eq!(error.raw(), Some(&*String::from_utf8_lossy(line)));
            assert_eq!(reader.read().await.unwrap(), Some(strike("Hawk ", 2)));
            assert_eq!(reader.read().await.unwrap(), None);
        });
    }
}

#[test]
fn a_padded_number_needs_a_trimmed_column() {
    let (_folder, path) = file("Gull |  1\n");
    let reader = FixedWidthReader::<Strike>::new(path).column("species", 0..5).column("speed", 6..9);
    assert!(read_from(reader).unwrap_err().to_string().contains("'  1' does not fit"));
}

#[test]
fn columns_that_cannot_be_are_named() {
    let new = || FixedWidthReader::<Strike>::new("no");
    for (reader, problem) in [
        (new(), "no column is declared"),
        (new().column("a", 3..3), "column 'a' has no width"),
        (new().column("a", 0..3).column("a", 3..4), "column 'a' is declared twice"),
        (new().column("a", 0..3).line_width(2), "column 'a' ends at character 3, behind the line width of 2"),
    ] {
        assert_eq!(read_from(reader).unwrap_err().to_string(), format!("file 'no': {problem}"));
    }
}

proptest! {
    #[test]
    fn any_bytes_at_all_read_the_same_with_any_restarts(
        pieces in vec(prop_oneof![
            1 => vec(any::<u8>(), 0..4), 3 => Just(b"\n".to_vec()), 1 => Just(b"\r\n".to_vec()),
            2 => Just(b"ab12".to_vec()), 2 => Just("ö  3".as_bytes().to_vec()), 1 => Just("\u{feff}".as_bytes().to_vec()),
        ], 0..60),
        restarts in vec(any::<bool>(), 1..20),
        limit in prop_oneof![Just(6_u32), Just(1_000)],
        short in any::<bool>(),
    ) {
        let (_folder, path) = file(pieces.concat());
        let make = || {
            let reader = FixedWidthReader::<(String, u32)>::new(&path)
                .column("name", 0..2).trimmed_column("number", 2..4).max_line_bytes(limit);
            if short { reader.short_lines() } else { reader }
        };
        prop_assert_eq!(outcomes(make, &[false]).unwrap(), outcomes(make, &restarts).unwrap());
    }
}
