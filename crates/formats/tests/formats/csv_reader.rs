//! `CsvReader`: what it reads, where it resumes, what it says of bad input.

use std::path::PathBuf;

use oxbatch_core::item::{Checkpoint, ErrorKind, ItemError, ItemReader};
use oxbatch_formats::CsvReader;
use serde::Deserialize;
use tempfile::TempDir;

use crate::harness::{block_on, read_all, stored};

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
    let path = folder.path().join("strikes.csv");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn read(text: impl AsRef<[u8]>) -> Result<Vec<Strike>, ItemError> {
    let (_folder, path) = file(text);
    read_from(CsvReader::new(path))
}

fn read_from(mut reader: CsvReader<Strike>) -> Result<Vec<Strike>, ItemError> {
    block_on(async {
        reader.open(None).await?;
        read_all(&mut reader).await
    })
}

/// Reads `count` records and takes a checkpoint.
fn checkpoint_after(reader: &mut CsvReader<Strike>, count: usize) -> Checkpoint {
    block_on(async {
        reader.open(None).await.unwrap();
        for _ in 0..count {
            reader.read().await.unwrap().unwrap();
        }
        stored(&reader.checkpoint().unwrap().unwrap())
    })
}

fn resume(path: &PathBuf, checkpoint: &Checkpoint) -> Result<Vec<Strike>, ItemError> {
    let mut reader = CsvReader::new(path);
    block_on(async {
        reader.open(Some(checkpoint)).await?;
        read_all(&mut reader).await
    })
}

#[test]
fn a_header_alone_has_no_items_nor_has_an_empty_file_that_is_allowed() {
    for text in ["species,speed", "species,speed\r\n"] {
        assert_eq!(read(text).unwrap(), [], "{text:?}");
    }
    for text in ["", "\u{feff}", "\n", "species,speed"] {
        let (_folder, path) = file(text);
        assert_eq!(read_from(CsvReader::new(path).allow_empty()).unwrap(), [], "{text:?}");
    }
}

#[test]
fn the_ends_of_lines_and_of_the_file_do_not_matter() {
    for text in [
        "species,speed\nGull,12\nHawk,\n",
        "species,speed\nGull,12\nHawk,",
        "species,speed\r\nGull,12\r\nHawk,\r\n",
        "species,speed\rGull,12\rHawk,\r",
        "\u{feff}species,speed\n\nGull,12\n\n\nHawk,\n\n",
        "speed,species\n12,Gull\n,Hawk\n",
    ] {
        assert_eq!(read(text).unwrap(), [strike("Gull", 12), strike("Hawk", None)], "{text:?}");
    }
}

/// Trap 16: quoted fields are trimmed.
#[test]
fn fields_are_not_trimmed_and_quotes_hide_what_they_hold() {
    let text = "species,speed\n  Gull ,1\n\" Gull\r\n, \"\"Larus\"\" \",2\n";
    assert_eq!(read(text).unwrap(), [strike("  Gull ", 1), strike(" Gull\r\n, \"Larus\" ", 2)]);
}

#[test]
fn the_delimiter_can_be_a_tab_and_the_header_can_be_absent() {
    let (_folder, path) = file("Gull\t12\nHawk, red\t\n");
    let strikes = read_from(CsvReader::new(path).delimiter(b'\t').without_headers()).unwrap();
    assert_eq!(strikes, [strike("Gull", 12), strike("Hawk, red", None)]);
}

#[test]
fn a_restart_goes_on_behind_the_checkpoint_and_counts_lines_from_the_top() {
    let (_folder, path) = file("species,speed\n\"A\nB\",1\nC,2\nD,3\nE,fast\n");
    let all = [strike("A\nB", 1), strike("C", 2), strike("D", 3)];
    for count in 0..=3 {
        let checkpoint = checkpoint_after(&mut CsvReader::new(&path), count);
        let mut reader = CsvReader::<Strike>::new(&path);
        block_on(async {
            reader.open(Some(&checkpoint)).await.unwrap();
            for expected in &all[count..] {
                assert_eq!(reader.read().await.unwrap().as_ref(), Some(expected), "after {count}");
            }
            let error = reader.read().await.unwrap_err();
            assert_eq!(error.position(), Some("line 6, column 'speed'"), "after {count}");
        });
    }
}

#[test]
fn a_file_without_headers_keeps_its_width_over_a_restart() {
    let (_folder, path) = file("A,1\nB,2,3\n");
    let checkpoint = checkpoint_after(&mut CsvReader::new(&path).without_headers(), 1);
    let mut reader = CsvReader::<Strike>::new(&path).without_headers();
    let error = block_on(async {
        reader.open(Some(&checkpoint)).await.unwrap();
        reader.read().await.unwrap_err()
    });
    assert_eq!(error.cause().to_string(), "record has 3 fields, but 2 are expected");
}

#[test]
fn a_field_that_looks_like_a_byte_order_mark_survives_a_restart() {
    let (_folder, path) = file("species,speed\nA,1\n\u{feff}B,2\n");
    let checkpoint = checkpoint_after(&mut CsvReader::new(&path), 1);
    assert_eq!(resume(&path, &checkpoint).unwrap(), [strike("\u{feff}B", 2)]);
}

#[test]
fn a_restart_at_the_end_reads_nothing() {
    let (_folder, path) = file("species,speed\nA,1");
    let checkpoint = checkpoint_after(&mut CsvReader::new(&path), 1);
    assert_eq!(resume(&path, &checkpoint).unwrap(), []);
}

#[test]
fn a_file_that_changed_between_two_attempts_is_refused_with_a_sentence() {
    let text = format!("species,speed\n{}", "Gull,12\n".repeat(2_000));
    let (_folder, path) = file(&text);
    let checkpoint = checkpoint_after(&mut CsvReader::new(&path), 1_900);
    assert_eq!(resume(&path, &checkpoint).unwrap().len(), 100);

    let grown = format!("{text}Hawk,1\n");
    let shrunk = text[..text.len() - 8].to_owned();
    let early = text.replacen("Gull", "Hawk", 1);
    let offset = 14 + 8 * 1_890;
    let before = format!("{}Hawk{}", &text[..offset], &text[offset + 4..]);
    assert_eq!(before.len(), text.len());
    for (changed, difference) in [
        (grown, "it had 16014 bytes and has 16021 now"),
        (shrunk, "it had 16014 bytes and has 16006 now"),
        (early, "its first bytes differ"),
        (before, "the bytes before offset 15214 differ"),
    ] {
        std::fs::write(&path, changed).unwrap();
        let message = resume(&path, &checkpoint).unwrap_err().to_string();
        assert!(message.contains("strikes.csv' has changed since the last attempt"), "{message}");
        assert!(message.contains(difference), "{message}");
        assert!(message.ends_with("restore the file or launch with force to start anew"), "{message}");
    }
    std::fs::write(&path, &text).unwrap();
    assert_eq!(resume(&path, &checkpoint).unwrap().len(), 100, "the restored file is read on");
}

#[test]
fn a_file_that_is_cut_or_grows_while_it_is_read_is_an_error() {
    // Longer than the reader's buffer, so that the cut is seen.
    let text = format!("species,speed\n{}", "Gull,12\n".repeat(40_000));
    for changed in [text[..14 + 8 * 20_000].to_owned(), format!("{text}Hawk,1\n")] {
        let (_folder, path) = file(&text);
        let mut reader = CsvReader::<Strike>::new(&path);
        let message = block_on(async {
            reader.open(None).await.unwrap();
            reader.read().await.unwrap();
            std::fs::write(&path, &changed).unwrap();
            read_all(&mut reader).await.unwrap_err().to_string()
        });
        let sizes = format!("it had {} bytes and has {} now", text.len(), changed.len());
        assert!(message.contains("changed while it was read") && message.contains(&sizes), "{message}");
    }
}

#[test]
fn a_checkpoint_of_another_reader_is_refused() {
    let (_folder, path) = file("species,speed\n");
    let message = resume(&path, &Checkpoint::new(&17).unwrap()).unwrap_err().to_string();
    assert!(message.contains("does not fit this reader"), "{message}");
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no.csv");
    let message = read_from(CsvReader::new(&missing)).unwrap_err().to_string();
    assert!(message.starts_with(&format!("input file '{}' cannot be opened: ", missing.display())), "{message}");
    let message = read_from(CsvReader::new(folder.path())).unwrap_err().to_string();
    assert_eq!(message, format!("input path '{}' is not a file", folder.path().display()));
}

/// Reads one record that is bad and the good one behind it.
fn bad(text: impl AsRef<[u8]>) -> ItemError {
    let (_folder, path) = file(text);
    let mut reader = CsvReader::<Strike>::new(path);
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(strike("A", 1)));
        let error = reader.read().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parse);
        let checkpoint = stored(&reader.checkpoint().unwrap().unwrap());
        assert_eq!(reader.read().await.unwrap(), Some(strike("Z", 9)), "the position is behind the bad record");
        assert_eq!(reader.read().await.unwrap(), None);
        reader.open(Some(&checkpoint)).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(strike("Z", 9)), "a restart, too, goes on behind it");
        error
    })
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_line_column_and_raw_text() {
    let error = bad("species,speed\nA,1\n\r\n\"B\n\"\"b\"\"\",fast\r\nZ,9\n");
    assert_eq!(error.position(), Some("line 4, column 'speed'"));
    assert_eq!(error.cause().to_string(), "'fast' does not fit: invalid digit found in string");
    assert_eq!(error.raw(), Some("\"B\n\"\"b\"\"\",fast"));
}

#[test]
fn a_ragged_record_is_told_with_both_counts() {
    for (record, found) in [("B", 1), ("B,2,3", 3)] {
        let error = bad(format!("species,speed\nA,1\n{record}\nZ,9\n"));
        assert_eq!(error.position(), Some("line 3"));
        assert_eq!(error.cause().to_string(), format!("record has {found} fields, but 2 are expected"));
        assert_eq!(error.raw(), Some(record));
    }
}

#[test]
fn text_that_is_not_utf8_is_told_with_its_column() {
    let error = bad(b"species,speed\nA,1\nM\xf6we,2\nZ,9\n");
    assert_eq!(error.position(), Some("line 3, column 'species'"));
    assert!(
        error
            .to_string()
            .ends_with("strikes.csv', line 3, column 'species': text is not UTF-8; raw text: \"M\u{fffd}we,2\""),
        "{error}"
    );
}

#[test]
fn a_record_over_the_limit_is_passed_over_in_bounded_memory() {
    let long = format!("species,speed\nA,1\n\"{}\",2\nZ,9\n", "long \"\"\n".repeat(400_000));
    let error = bad(long);
    assert_eq!(error.position(), Some("line 3"));
    assert_eq!(error.cause().to_string(), "record is longer than 1048576 bytes; is a quote never closed?");
    assert!(error.raw().unwrap().len() < 5_000);
}

#[test]
fn a_record_that_is_too_long_and_not_utf8_is_too_long_however_it_is_read() {
    let text = b"species,speed\nA,1\n\"M\xf6we, M\xf6we\",2\nZ,9\n";
    let (_folder, path) = file(text);
    let pieces: Vec<u8> = text.chunks(3).flat_map(|piece| zstd::encode_all(piece, 1).unwrap()).collect();
    for bytes in [&text[..], &pieces] {
        std::fs::write(&path, bytes).unwrap();
        let mut reader = CsvReader::<Strike>::new(&path).max_record_bytes(14);
        block_on(async {
            reader.open(None).await.unwrap();
            assert_eq!(reader.read().await.unwrap(), Some(strike("A", 1)));
            let error = reader.read().await.unwrap_err();
            assert_eq!(error.cause().to_string(), "record is longer than 14 bytes; is a quote never closed?");
            assert_eq!(reader.read().await.unwrap(), Some(strike("Z", 9)));
        });
    }
}

#[test]
fn the_limit_is_exact_wherever_the_buffer_ends() {
    let (_folder, path) = file("species,speed\n12345,1\n123456,1\n");
    let mut reader = CsvReader::<Strike>::new(path).max_record_bytes(14);
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap().len(), 2);
    });
    let mut reader = reader.max_record_bytes(8);
    let message = block_on(async { reader.open(None).await.and(read_all(&mut reader).await.map(drop)) });
    let message = message.unwrap_err().to_string();
    assert!(message.contains("strikes.csv', line 1: record is longer than 8 bytes"), "{message}");
}

#[test]
fn a_column_that_the_file_lacks_is_named() {
    let error = read("speed\n12\n").unwrap_err();
    assert_eq!(error.cause().to_string(), "missing field `species`; the header is 'speed'");
    let (_folder, path) = file("Gull,x\n");
    let error = read_from(CsvReader::new(path).without_headers()).unwrap_err();
    assert_eq!(error.position(), Some("line 1, column 2"));
}

/// Knows its fields by their names alone, though the header has them in their order.
#[derive(Debug, PartialEq)]
struct ByNameAlone(Strike);

impl<'de> Deserialize<'de> for ByNameAlone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> serde::de::Visitor<'de> for Fields {
            type Value = ByNameAlone;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<ByNameAlone, A::Error> {
                let mut found = strike("", None);
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "species" => found.species = map.next_value()?,
                        _ => found.speed = map.next_value()?,
                    }
                }
                Ok(ByNameAlone(found))
            }
        }
        deserializer.deserialize_struct("ByNameAlone", &["species", "speed"], Fields)
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Renamed {
    #[serde(rename = "speed", alias = "velocity")]
    knots: u32,
    #[serde(rename = "species")]
    bird: String,
    #[serde(skip)]
    seen: bool,
    #[serde(default)]
    state: String,
}

fn items<T: serde::de::DeserializeOwned + Send>(text: &str) -> Vec<T> {
    let (_folder, path) = file(text);
    let mut reader = CsvReader::<T>::new(path);
    block_on(async {
        reader.open(None).await.unwrap();
        read_all(&mut reader).await.unwrap()
    })
}

#[test]
fn fields_are_found_by_name_in_whatever_order_the_header_has_them() {
    let owl = vec![strike("owl", 5)];
    for text in ["species,speed\nowl,5\n", "speed,species\n5,owl\n", "speed,state,species\n5,Texas,owl\n"] {
        assert_eq!(items::<Strike>(text), owl, "{text}");
    }
    for text in ["species,speed\nowl,5\nowl,5\n", "speed,species\n5,owl\n5,owl\n"] {
        assert_eq!(
            items::<ByNameAlone>(text),
            [ByNameAlone(strike("owl", 5)), ByNameAlone(strike("owl", 5))],
            "{text}"
        );
    }
    let renamed = |state: &str| vec![Renamed { knots: 5, bird: "owl".into(), seen: false, state: state.into() }];
    assert_eq!(items::<Renamed>("speed,species,state\n5,owl,Texas\n"), renamed("Texas"));
    assert_eq!(items::<Renamed>("state,velocity,species\nTexas,5,owl\n"), renamed("Texas"));
    assert_eq!(items::<Renamed>("speed,species\n5,owl\n"), renamed(""));
    assert_eq!(items::<(String, u32)>("speed,species\nowl,5\n"), [("owl".to_owned(), 5)]);
}

#[test]
fn progress_is_the_share_of_bytes() {
    let (_folder, path) = file("species,speed\nAA,1\nBB,2\n");
    let mut reader = CsvReader::<Strike>::new(path);
    block_on(async {
        reader.open(None).await.unwrap();
        reader.read().await.unwrap();
        let half = reader.progress().unwrap();
        assert!(half > 0.7 && half < 0.9, "{half}");
        assert_eq!(read_all(&mut reader).await.unwrap().len(), 1);
        assert_eq!(reader.progress(), Some(1.0));
        reader.close().await.unwrap();
        assert!(reader.read().await.unwrap_err().to_string().contains("is not open"));
    });
}
