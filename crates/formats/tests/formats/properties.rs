//! For any rows, chunks and deaths: nothing is lost, doubled or changed.

use std::path::Path;

use oxbatch_core::item::{Checkpoint, ItemError, ItemReader, ItemWriter};
use oxbatch_formats::{CsvReader, CsvWriter, FileSync, JsonLinesWriter};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::harness::{NoTransaction, block_on, names, stored};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    text: String,
    number: Option<i64>,
    other: String,
}

fn field() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(","),
        Just("\""),
        Just("\n"),
        Just("\r"),
        Just("\r\n"),
        Just("\t"),
        Just(" "),
        Just("\u{feff}"),
        Just("a"),
        Just("ß"),
        Just("鳥"),
        Just("🦅"),
        Just("#"),
        Just("\\"),
        Just("\0")
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (field(), any::<Option<i64>>(), field());
    vec(row.prop_map(|(text, number, other)| Row { text, number, other }), 0..40)
}

/// The fate of an attempt to commit a chunk.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Committed,
    /// Rolled back after the flush, then replayed.
    RolledBack,
    /// The process dies after `write`.
    DiesBeforeFlush,
    /// The process dies after `flush`, before the commit.
    DiesBeforeCommit,
    /// The process dies after the commit, before it hears of it.
    DiesAfterCommit,
    /// The process dies, and what it wrote last is on the disk only in part, or garbage.
    LeavesGarbage,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Committed),
        1 => Just(Fate::RolledBack),
        1 => Just(Fate::DiesBeforeFlush),
        1 => Just(Fate::DiesBeforeCommit),
        1 => Just(Fate::DiesAfterCommit),
        1 => Just(Fate::LeavesGarbage),
    ]
}

/// Writes `rows` as the engine does, dying as planned; the plan ends in commits.
async fn write_all<W: ItemWriter<Row>>(make: impl Fn() -> W, part: &Path, rows: &[Row], plan: &[(usize, Fate)]) {
    let mut plan = plan.iter().copied().chain(std::iter::repeat((7, Fate::Committed)));
    let mut saved: (usize, Option<Checkpoint>) = (0, None);
    let mut writer = make();
    writer.open(None).await.unwrap();
    loop {
        let (size, fate) = plan.next().unwrap();
        let (done, at_end) = (saved.0, saved.0 == rows.len());
        let next = (done + size).min(rows.len());
        if at_end {
            writer.finish(&mut NoTransaction).await.unwrap();
        } else if next > done {
            writer.write(&rows[done..next], &mut NoTransaction).await.unwrap();
        }
        if let Fate::DiesBeforeFlush = fate {
            drop(writer);
        } else {
            let checkpoint = stored(&writer.flush().await.unwrap().unwrap());
            match fate {
                Fate::Committed => {
                    saved = (next, Some(checkpoint));
                    writer.committed();
                    if at_end {
                        break;
                    }
                    continue;
                }
                Fate::RolledBack => {
                    writer.rolled_back().await.unwrap();
                    continue;
                }
                Fate::DiesAfterCommit => saved = (next, Some(checkpoint)),
                _ => {}
            }
            drop(writer);
        }
        if let Fate::LeavesGarbage = fate {
            use std::io::Write;
            let mut file = std::fs::OpenOptions::new().append(true).open(part).unwrap();
            file.write_all(b"\"garbage").unwrap();
        }
        writer = make();
        writer.open(saved.1.as_ref()).await.unwrap();
    }
    writer.publish().await.unwrap();
    drop(writer);
    // Died before the step's end was recorded.
    let mut writer = make();
    writer.open(saved.1.as_ref()).await.unwrap();
    writer.finish(&mut NoTransaction).await.unwrap();
    writer.flush().await.unwrap();
    writer.committed();
    writer.publish().await.unwrap();
    writer.close().await.unwrap();
}

fn as_csv(rows: &[Row]) -> Vec<u8> {
    let mut model = csv::Writer::from_writer(Vec::new());
    for row in rows {
        model.serialize(row).unwrap();
    }
    model.into_inner().unwrap()
}

/// The result of a reader: its items, and its errors as text.
type Outcome = Vec<Result<Vec<String>, String>>;

/// Reads all, and wherever `restarts` says so, goes on with a new reader from the checkpoint.
fn outcomes(make: impl Fn() -> CsvReader<Vec<String>>, restarts: &[bool]) -> Result<Outcome, ItemError> {
    let mut restarts = restarts.iter().copied().cycle();
    block_on(async {
        let mut reader = make();
        reader.open(None).await?;
        let mut outcomes = Vec::new();
        loop {
            if restarts.next().unwrap_or_default() {
                let checkpoint = stored(&reader.checkpoint()?.unwrap());
                reader = make();
                reader.open(Some(&checkpoint)).await?;
            }
            match reader.read().await {
                Ok(Some(item)) => outcomes.push(Ok(item)),
                Ok(None) => return Ok(outcomes),
                Err(error) => outcomes.push(Err(format!("{error:?}"))),
            }
        }
    })
}

proptest! {
    #[test]
    fn csv_output_equals_the_model_whenever_the_process_dies(rows in rows(), plan in vec((0..9_usize, fate()), 0..30)) {
        let folder = tempfile::tempdir().unwrap();
        let (path, part) = (folder.path().join("a.csv"), folder.path().join("a.csv.1.part"));
        block_on(write_all(|| CsvWriter::with_tag("1", &path), &part, &rows, &plan));
        prop_assert_eq!(std::fs::read(&path).unwrap(), as_csv(&rows));
        prop_assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[test]
    fn json_lines_equal_the_model_whenever_the_process_dies(rows in rows(), plan in vec((0..9_usize, fate()), 0..30)) {
        let folder = tempfile::tempdir().unwrap();
        let (path, part) = (folder.path().join("a.jsonl"), folder.path().join("a.jsonl.1.part"));
        let make = || JsonLinesWriter::with_tag("1", &path).sync(FileSync::AtEnd);
        block_on(write_all(make, &part, &rows, &plan));
        let model: String = rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect();
        prop_assert_eq!(std::fs::read_to_string(&path).unwrap(), model);
        prop_assert_eq!(names(folder.path()), ["a.jsonl"]);
    }

    #[test]
    fn what_was_written_as_csv_is_read_back_with_any_restarts(
        rows in rows(),
        restarts in vec(any::<bool>(), 1..20),
        ends in prop_oneof![Just(csv::Terminator::CRLF), Just(csv::Terminator::Any(b'\n')), Just(csv::Terminator::Any(b'\r'))],
        delimiter in prop_oneof![Just(b','), Just(b'\t'), Just(b';')],
        always in any::<bool>(),
        mark in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let mut text = csv::WriterBuilder::new().terminator(ends).delimiter(delimiter).quote_style(style)
            .from_writer(if mark { "\u{feff}".as_bytes().to_vec() } else { Vec::new() });
        for row in &rows {
            text.serialize(row).unwrap();
        }
        std::fs::write(&path, text.into_inner().unwrap()).unwrap();
        let read = outcomes(|| CsvReader::new(&path).delimiter(delimiter).allow_empty(), &restarts).unwrap();
        let model: Outcome = rows.iter().map(|row| {
            Ok(vec![row.text.clone(), row.number.map(|number| number.to_string()).unwrap_or_default(), row.other.clone()])
        }).collect();
        prop_assert_eq!(read, model);
    }

    #[test]
    fn any_bytes_at_all_read_the_same_with_any_restarts(
        pieces in vec(prop_oneof![
            4 => vec(any::<u8>(), 0..4),
            3 => Just(b"\n".to_vec()), 1 => Just(b"\r\n".to_vec()), 1 => Just(b"\r".to_vec()),
            3 => Just(b",".to_vec()), 2 => Just(b"\"".to_vec()), 6 => Just(b"ab".to_vec()),
            1 => Just("\u{feff}".as_bytes().to_vec()),
        ], 0..80),
        restarts in vec(any::<bool>(), 1..20),
        headers in any::<bool>(),
        limit in prop_oneof![Just(6_u32), Just(20), Just(1_000)],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, pieces.concat()).unwrap();
        let make = || {
            let reader = CsvReader::new(&path).max_record_bytes(limit);
            if headers { reader } else { reader.without_headers() }
        };
        let (straight, restarted) = (outcomes(make, &[false]), outcomes(make, &restarts));
        match (straight, restarted) {
            (Ok(straight), Ok(restarted)) => prop_assert_eq!(straight, restarted),
            (Err(_), Err(_)) => {}
            (straight, restarted) => prop_assert!(false, "{:?} but {:?}", straight, restarted),
        }
    }
}
