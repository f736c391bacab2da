//! Every file writer is cut back at every chunk, in every setting.

use std::io::Write;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use oxbatch_core::ItemWriter;
use oxbatch_core::conformance::items::{Target, a_writer_is_cut_back_at_every_chunk};
use oxbatch_core::item::{ClassifyingWriter, TeeWriter};
use oxbatch_formats::{
    Align, Compression, CsvWriter, FileWriter, FixedWidthWriter, JsonArrayWriter, JsonLinesWriter, OnExisting,
    RecordEncoder, XmlWriter,
};
use serde::Serialize;

use crate::harness::{block_on, names};

#[derive(Clone, Serialize)]
struct Row {
    text: String,
    number: u32,
}

fn row(number: u32) -> Row {
    Row { text: format!("a, \"{number}\""), number }
}

/// The files of a folder.
struct Folder<F> {
    folder: tempfile::TempDir,
    make: F,
}

impl<W: ItemWriter<Row> + 'static, F: Fn(&Path) -> W> Target for Folder<F> {
    type Output = Row;
    type Writer = W;

    fn outputs(&self) -> Vec<Row> {
        (1..=5).map(row).collect()
    }

    fn writer(&self) -> W {
        (self.make)(self.folder.path())
    }

    fn contents(&self) -> BoxFuture<'_, Vec<u8>> {
        let mut all = Vec::new();
        for name in names(self.folder.path()) {
            all.extend_from_slice(format!("== {name}\n").as_bytes());
            all.extend_from_slice(&std::fs::read(self.folder.path().join(&name)).unwrap());
        }
        Box::pin(std::future::ready(all))
    }

    fn leave_garbage(&self) {
        for name in names(self.folder.path()).iter().rev().filter(|name| name.ends_with(".part")).take(1) {
            let path = self.folder.path().join(name);
            std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"\"garbage").unwrap();
        }
    }
}

fn conforms_in<W: ItemWriter<Row> + 'static>(before: &[(&str, &[u8])], make: impl Fn(&Path) -> W) -> Vec<u8> {
    block_on(a_writer_is_cut_back_at_every_chunk(|| {
        // In memory where the system offers that: thousands of outputs are forced to the disk.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        for (name, bytes) in before {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        Folder { folder, make: &make }
    }))
}

fn conforms<W: ItemWriter<Row> + 'static>(make: impl Fn(&Path) -> W) -> String {
    String::from_utf8(conforms_in(&[], make)).unwrap()
}

const CSV: &str =
    "text,number\n\"a, \"\"1\"\"\",1\n\"a, \"\"2\"\"\",2\n\"a, \"\"3\"\"\",3\n\"a, \"\"4\"\"\",4\n\"a, \"\"5\"\"\",5\n";

#[test]
fn all_formats() {
    assert_eq!(conforms(|folder| CsvWriter::with_tag("1", folder.join("a.csv"))), format!("== a.csv\n{CSV}"));
    let lines = conforms(|folder| JsonLinesWriter::with_tag("1", folder.join("a.jsonl")));
    assert_eq!(lines.lines().count(), 6);
    assert!(lines.ends_with("{\"text\":\"a, \\\"5\\\"\",\"number\":5}\n"));
    let array = conforms(|folder| JsonArrayWriter::with_tag("1", folder.join("a")));
    let array: serde_json::Value = serde_json::from_str(array.strip_prefix("== a\n").unwrap()).unwrap();
    assert_eq!(array.as_array().unwrap().len(), 5);
    let fixed = conforms(|folder| {
        FixedWidthWriter::with_tag("1", folder.join("a")).column("number", 3, Align::Right).column(
            "text",
            7,
            Align::Left,
        )
    });
    assert!(fixed.ends_with("  5a, \"5\" \n"), "{fixed}");
    let xml = conforms(|folder| XmlWriter::with_tag("1", folder.join("a")));
    assert!(xml.ends_with("<item><text>a, \"5\"</text><number>5</number></item>\n</items>\n"), "{xml}");
}

/// The setting with hooks, and with sequences of files by items and by bytes.
fn in_every_setting<E, T>(make: impl Fn(PathBuf) -> FileWriter<E, Row>, header: T)
where
    E: RecordEncoder<Row> + 'static,
    T: Fn(&str) -> String + Clone + Send + 'static,
{
    let hooked = |path| {
        let (header, footer) = (header.clone(), header.clone());
        make(path)
            .header(move |file| header(&format!("file {} of {}", file.number, file.total_items)))
            .footer(move |file| footer(&format!("{} of {}", file.items, file.total_items)))
    };
    let text = conforms(|folder| hooked(folder.join("a")));
    assert!(text.contains(&header("file 1 of 0")) && text.contains(&header("5 of 5")), "{text}");
    let text = conforms(|folder| hooked(folder.join("a")).roll_after_items(2));
    assert!(text.contains("== a-0003"), "{text}");
    for (number, items, before) in [(1, 2, 0), (2, 2, 2), (3, 1, 4)] {
        let head = header(&format!("file {number} of {before}"));
        let foot = header(&format!("{items} of {}", before + items));
        assert!(text.contains(&head) && text.contains(&foot), "{head}, {foot}: {text}");
    }
    let text = conforms(|folder| make(folder.join("a")).roll_after_bytes(1));
    assert!(text.contains("== a-0005") && !text.contains("== a-0006"), "{text}");
    for compression in [Compression::Gzip, Compression::Zstd] {
        let bytes = conforms_in(&[], |folder| make(folder.join("a")).compression(compression));
        assert!(!bytes.is_empty());
        conforms_in(&[], |folder| make(folder.join("a")).compression(compression).roll_after_items(2));
    }
}

#[test]
fn all_formats_with_hooks_sequences_and_compression() {
    let line = |text: &str| format!("{text}\n");
    in_every_setting(|path| CsvWriter::with_tag("1", path), line);
    in_every_setting(|path| JsonLinesWriter::with_tag("1", path), line);
    in_every_setting(|path| JsonArrayWriter::with_tag("1", path), line);
    in_every_setting(|path| XmlWriter::with_tag("1", path), |text| format!("<!--{text}-->\n"));
    in_every_setting(
        |path| FixedWidthWriter::with_tag("1", path).column("number", 3, Align::Right).column("text", 7, Align::Left),
        line,
    );
}

#[test]
fn writers_over_writers() {
    conforms(|folder| {
        let file = |name| JsonLinesWriter::with_tag("1", folder.join(name));
        let classified = ClassifyingWriter::new(|row: &Row| if row.number.is_multiple_of(2) { "even" } else { "odd" })
            .route("even", file("even"))
            .route("odd", file("odd").roll_after_items(2));
        TeeWriter::new(classified, CsvWriter::with_tag("1", folder.join("all")))
    });
}

#[test]
fn what_exists_is_replaced_whatever_happens() {
    let text = conforms_in(&[("a.csv", b"old")], |folder| CsvWriter::with_tag("1", folder.join("a.csv")));
    assert_eq!(String::from_utf8(text).unwrap(), format!("== a.csv\n{CSV}"));
    let refusing = |folder: &Path| CsvWriter::with_tag("1", folder.join("a.csv")).on_existing(OnExisting::Refuse);
    assert_eq!(conforms(refusing), format!("== a.csv\n{CSV}"));
}

#[test]
fn what_exists_is_appended_to_once_whatever_happens() {
    const ROWS: &str = CSV.split_at("text,number\n".len()).1;
    let append = |writer: CsvWriter<Row>| writer.on_existing(OnExisting::Append);
    let csv = |folder: &Path| append(CsvWriter::with_tag("1", folder.join("a.csv")));
    for (before, expected) in [
        (None, CSV.to_owned()),
        (Some(""), CSV.to_owned()),
        (Some("text,number\nold,0\n"), format!("text,number\nold,0\n{ROWS}")),
        (Some("text,number\nold,0"), format!("text,number\nold,0\n{ROWS}")),
        // What is there may end as the output does.
        (Some(CSV), format!("{CSV}{ROWS}")),
    ] {
        let before: Vec<_> = before.iter().map(|text| ("a.csv", text.as_bytes())).collect();
        let text = String::from_utf8(conforms_in(&before, csv)).unwrap();
        assert_eq!(text, format!("== a.csv\n{expected}"));
    }
    let old: &[(&str, &[u8])] = &[("a", b"{}\n")];
    let lines =
        conforms_in(old, |folder| JsonLinesWriter::with_tag("1", folder.join("a")).on_existing(OnExisting::Append));
    assert!(lines.starts_with(b"== a\n{}\n{\"text\":\"a, \\\"1\\\"\""), "{}", String::from_utf8_lossy(&lines));
    let fixed = conforms_in(old, |folder| {
        let writer = FixedWidthWriter::with_tag("1", folder.join("a")).on_existing(OnExisting::Append);
        writer.column("number", 3, Align::Right).column("text", 7, Align::Left)
    });
    assert!(fixed.starts_with(b"== a\n{}\n  1a, \"1\" \n"), "{}", String::from_utf8_lossy(&fixed));
    for compression in [Compression::Gzip, Compression::Zstd] {
        let packed = |folder: &Path| csv(folder).compression(compression);
        let new = conforms_in(&[], packed);
        let first = new.strip_prefix(b"== a.csv\n").unwrap();
        let grown = conforms_in(&[("a.csv", first)], packed);
        assert!(grown.starts_with(&new) && grown.len() > new.len());
    }
}
