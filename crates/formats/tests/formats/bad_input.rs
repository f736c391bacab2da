//! Every reader of files with every bad input: what it says, what it never does.

mod changed;
mod checkpoints;
#[cfg(target_os = "linux")]
mod long_line;
mod nesting;
mod packed;

use std::io::Write;
use std::path::{Path, PathBuf};

use oxbatch_core::item::{Checkpoint, ErrorKind, ItemError, ItemReader};
use oxbatch_formats::{CsvReader, FilesReader, FixedWidthReader, JsonArrayReader, JsonLinesReader, XmlReader};
use serde::Deserialize;
use tempfile::TempDir;

use crate::harness::{block_on, stored};

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Bird {
    id: u32,
    name: String,
}

fn birds(count: u32) -> Vec<Bird> {
    (1..=count).map(|id| Bird { id, name: format!("bird {}", id.wrapping_mul(0x9e37_79b1)) }).collect()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Csv,
    FixedWidth,
    JsonLines,
    JsonArray,
    Xml,
    /// Many files; here one, of JSON lines.
    Files,
}

const FORMATS: [Format; 6] =
    [Format::Csv, Format::FixedWidth, Format::JsonLines, Format::JsonArray, Format::Xml, Format::Files];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

const PACKINGS: [Packing; 3] = [Packing::Plain, Packing::Gzip, Packing::Zstd];

impl Packing {
    fn pack(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => text.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(text, 1).unwrap(),
        }
    }
}

/// The result of one attempt.
#[derive(Debug, Default)]
struct Attempt {
    birds: Vec<Bird>,
    faults: Vec<ItemError>,
    checkpoint: Option<Checkpoint>,
}

impl Attempt {
    /// The error at which it ended.
    fn end(&self) -> &ItemError {
        self.faults.last().unwrap()
    }
}

/// Reads on until there is no way on, or until so many items were read.
fn attempt<R: ItemReader<Item = Bird>>(mut reader: R, from: Option<&Checkpoint>, most: usize) -> Attempt {
    let mut attempt = Attempt::default();
    block_on(async {
        if let Err(error) = reader.open(from).await {
            return attempt.faults.push(error);
        }
        while attempt.birds.len() < most {
            match reader.read().await {
                Ok(Some(bird)) => attempt.birds.push(bird),
                Ok(None) => break,
                Err(error) => {
                    let stays = error.kind() != ErrorKind::Parse;
                    attempt.faults.push(error);
                    if stays {
                        return;
                    }
                }
            }
        }
        attempt.checkpoint = Some(stored(&reader.checkpoint().unwrap().unwrap()));
    });
    attempt
}

impl Format {
    /// A document with the items and all that stands before, around and after them; lines end in `\n`.
    fn document(self, items: &[Vec<u8>]) -> Vec<u8> {
        let (start, between, end): (&[u8], &[u8], &[u8]) = match self {
            Self::Csv => (b"id,name\n", b"", b""),
            Self::FixedWidth | Self::JsonLines | Self::Files => (b"", b"", b""),
            Self::JsonArray => (b"[\n", b",", b"]\n"),
            Self::Xml => (b"<?xml version=\"1.0\"?>\n<birds>", b"", b"</birds>\n"),
        };
        [start, &items.join(between), end].concat()
    }

    fn item(self, bird: &Bird) -> Vec<u8> {
        let Bird { id, name } = bird;
        match self {
            Self::Csv => format!("{id},{name}\n"),
            Self::FixedWidth => format!("{id:>7}{name:<20}\n"),
            Self::JsonLines | Self::JsonArray | Self::Files => format!("{{\"id\":{id},\"name\":\"{name}\"}}\n"),
            Self::Xml => format!("<bird><id>{id}</id><name>{name}</name></bird>\n"),
        }
        .into_bytes()
    }

    fn whole(self, birds: &[Bird]) -> Vec<u8> {
        self.document(&birds.iter().map(|bird| self.item(bird)).collect::<Vec<_>>())
    }

    fn read(self, path: &Path, from: Option<&Checkpoint>, most: usize) -> Attempt {
        match self {
            Self::Csv => attempt(CsvReader::new(path), from, most),
            Self::FixedWidth => {
                let reader = FixedWidthReader::new(path).trimmed_column("id", 0..7).trimmed_column("name", 7..27);
                attempt(reader, from, most)
            }
            Self::JsonLines => attempt(JsonLinesReader::new(path), from, most),
            Self::JsonArray => attempt(JsonArrayReader::new(path), from, most),
            Self::Xml => attempt(XmlReader::new(path, "bird"), from, most),
            Self::Files => {
                let pattern = path.with_file_name("*").display().to_string();
                attempt(FilesReader::new(pattern, |path: &Path| JsonLinesReader::new(path)), from, most)
            }
        }
    }
}

/// A folder with one file in it.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("birds");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Does something for each reader with each kind of compression.
fn for_each(mut check: impl FnMut(Format, Packing, &str)) {
    for format in FORMATS {
        for packing in PACKINGS {
            check(format, packing, &format!("{format:?} {packing:?}"));
        }
    }
}

fn read_text(format: Format, packing: Packing, text: &[u8]) -> Attempt {
    let (_folder, path) = file(&packing.pack(text));
    let attempt = format.read(&path, None, usize::MAX);
    for fault in &attempt.faults {
        assert!(fault.to_string().contains(&path.display().to_string()), "{fault} names no file");
    }
    attempt
}

#[test]
fn an_empty_file_is_no_item_or_a_fault_where_the_format_needs_more() {
    for_each(|format, packing, name| {
        for text in ["", "\u{feff}"] {
            let attempt = read_text(format, packing, text.as_bytes());
            assert_eq!(attempt.birds, [], "{name}");
            let message = attempt.faults.first().map(ToString::to_string);
            match format {
                Format::JsonArray => assert!(message.unwrap().ends_with("line 1: the file ends within the array")),
                Format::Xml => assert!(message.unwrap().ends_with("line 1: the file has no element")),
                Format::Csv => assert!(message.unwrap().contains("line 1: file is empty, and a header is expected")),
                _ => assert_eq!(message, None, "{name}"),
            }
        }
    });
}

#[test]
fn a_file_of_no_bytes_is_an_empty_one_whatever_its_name() {
    for format in [Format::FixedWidth, Format::JsonLines, Format::Files] {
        let attempt = read_text(format, Packing::Plain, b"");
        assert!(attempt.birds.is_empty() && attempt.faults.is_empty(), "{format:?}");
    }
    let attempt = read_text(Format::Csv, Packing::Plain, b"");
    assert!(attempt.end().to_string().contains("file is empty, and a header is expected"), "{attempt:?}");
}

#[test]
fn a_header_alone_has_no_items() {
    for_each(|format, packing, name| {
        let text = format.document(&[]);
        for text in [&text[..], text.trim_ascii_end()] {
            let attempt = read_text(format, packing, text);
            assert!(attempt.birds.is_empty() && attempt.faults.is_empty(), "{name}: {attempt:?}");
        }
    });
}

#[test]
fn a_mark_the_ends_of_lines_and_the_end_of_the_file_do_not_matter() {
    for_each(|format, packing, name| {
        let text = format.whole(&birds(3));
        let crlf = String::from_utf8(text.clone()).unwrap().replace('\n', "\r\n").into_bytes();
        let marked = ["\u{feff}".as_bytes(), &text].concat();
        let marked_crlf = ["\u{feff}".as_bytes(), &crlf].concat();
        let open = text.strip_suffix(b"\n").unwrap();
        for text in [&text[..], open, &crlf, crlf.strip_suffix(b"\r\n").unwrap(), &marked, &marked_crlf] {
            let attempt = read_text(format, packing, text);
            assert!(attempt.faults.is_empty(), "{name}: {attempt:?}");
            assert_eq!(attempt.birds, birds(3), "{name}: {:?}", String::from_utf8_lossy(text));
        }
    });
}

#[test]
fn text_that_is_not_utf8_is_told_with_file_line_and_column_and_passed_over() {
    for_each(|format, packing, name| {
        let mut items: Vec<_> = birds(3).iter().map(|bird| format.item(bird)).collect();
        let at = items[1].windows(4).position(|bytes| bytes == b"bird").unwrap_or_else(|| panic!("{name}"));
        let at = if format == Format::Xml { items[1].windows(5).position(|it| it == b"bird ").unwrap() } else { at };
        items[1][at + 1] = 0xff;
        let attempt = read_text(format, packing, &format.document(&items));
        assert_eq!(attempt.birds.iter().map(|bird| bird.id).collect::<Vec<_>>(), [1, 3], "{name}: {attempt:?}");
        let [fault] = &attempt.faults[..] else { panic!("{name}: {attempt:?}") };
        assert_eq!(fault.kind(), ErrorKind::Parse, "{name}");
        assert!(fault.cause_text().starts_with("text is not UTF-8"), "{name}: {fault}");
        let place = match format {
            Format::Csv => "line 3, column 'name'",
            Format::FixedWidth => "line 2, column 9",
            Format::JsonLines | Format::Files => "line 2, column 18",
            Format::JsonArray => "line 3, element 2, column 18",
            Format::Xml => "line 3, element 2, column 24",
        };
        assert_eq!(fault.position(), Some(place), "{name}");
    });
}

#[test]
fn utf16_is_no_input_and_says_what_to_do() {
    for format in FORMATS {
        let text = String::from_utf8(format.whole(&birds(2))).unwrap();
        let text: Vec<u8> = "\u{feff}".chars().chain(text.chars()).flat_map(|c| (c as u16).to_le_bytes()).collect();
        let attempt = read_text(format, Packing::Plain, &text);
        assert_eq!(attempt.birds, [], "{format:?}");
        let message = attempt.faults[0].to_string();
        assert!(message.contains("is UTF-16; convert it to UTF-8"), "{format:?}: {message}");
    }
}

#[test]
fn a_file_cut_within_its_last_item_is_never_an_end() {
    for format in FORMATS {
        let text = format.whole(&birds(3));
        let from = text.len() - format.item(&birds(3)[2]).len();
        for cut in from + 1..text.len() - 1 {
            let attempt = read_text(format, Packing::Plain, &text[..cut]);
            let quiet = attempt.faults.is_empty();
            // A line of text does not tell that its last field is cut, nor a number that digits are missing.
            let last = attempt.birds.get(2).cloned();
            let cut_field = format == Format::Csv && last.is_some_and(|bird| bird.name.len() < birds(3)[2].name.len());
            assert!(!quiet || cut_field || attempt.birds.len() == 3, "{format:?} cut at {cut}: {attempt:?}");
        }
    }
}

#[test]
fn a_delimited_file_that_ends_within_quotes_is_told() {
    for packing in PACKINGS {
        for (text, position) in [
            ("id,name\n1,\"a\"\n2,\"bird", "line 3"),
            ("id,name\n1,\"a\"\n2,\"bird\"\"", "line 3"),
            ("id,name\n1,\"a\"\n\n2,\"bird\n3,x\n", "line 4"),
            ("id,\"name", "line 1"),
            ("\u{feff}\"id\",\"name\n", "line 1"),
            ("\u{feff}\"id,name\n1,a\n", "line 1"),
        ] {
            let attempt = read_text(Format::Csv, packing, text.as_bytes());
            assert_eq!(attempt.birds.len(), usize::from(position != "line 1"), "{attempt:?}");
            assert_eq!(attempt.end().position(), Some(position), "{text:?}");
            let cause = attempt.end().cause_text();
            assert_eq!(cause, "file ends within quotes; was it cut off, or is a quote never closed?", "{text:?}");
        }
        let text = "\u{feff}\"id\",\"name\"\n1,\"bird\"\n2,\"\"\"\"";
        let attempt = read_text(Format::Csv, packing, text.as_bytes());
        assert!(attempt.faults.is_empty() && attempt.birds.len() == 2, "{attempt:?}");
    }
}
