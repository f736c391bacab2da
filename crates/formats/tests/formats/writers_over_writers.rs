//! `TeeWriter` and `ClassifyingWriter`: all writers take part in each chunk, and no death tears them apart.

use std::path::Path;

use oxbatch_core::item::{ClassifyingWriter, ErrorKind, ItemWriter, TeeWriter};
use oxbatch_formats::{CsvWriter, JsonArrayWriter, JsonLinesWriter, OnExisting};
use proptest::prelude::*;

use crate::harness::{NoTransaction, block_on, end, names, stored, write};
use crate::writer_harness::{Row, plan, rows, write_all};

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn lines(rows: &[&Row]) -> String {
    rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect()
}

fn sign(number: &i32) -> &str {
    match number {
        0 => "zero",
        1.. => "plus",
        _ => "minus",
    }
}

fn signs(folder: &Path) -> ClassifyingWriter<i32, impl Fn(&i32) -> &str + Send + use<>> {
    ClassifyingWriter::new(sign)
        .route("plus", JsonLinesWriter::with_tag("1", folder.join("plus.jsonl")))
        .route("minus", JsonArrayWriter::with_tag("1", folder.join("minus.json")))
}

#[test]
fn each_output_goes_to_the_writer_of_its_name_and_all_are_published() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let mut writer = signs(folder.path());
        writer.open(None).await.unwrap();
        write(&mut writer, &[1, 2]).await.unwrap();
        writer.committed();
        let checkpoint = write(&mut writer, &[3]).await.unwrap();
        drop(writer);
        let mut writer = signs(folder.path());
        writer.open(Some(&checkpoint)).await.unwrap();
        write(&mut writer, &[4]).await.unwrap();
        writer.committed();
        end(&mut writer).await.unwrap();
    });
    assert_eq!(text(folder.path(), "plus.jsonl"), "1\n2\n3\n4\n");
    assert_eq!(text(folder.path(), "minus.json"), "[]\n");
}

#[test]
fn an_output_of_an_unknown_name_is_told_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let mut writer = signs(folder.path());
        writer.open(None).await.unwrap();
        let error = write(&mut writer, &[1, 0, -1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        let message = "output 2 of the chunk: no writer has the name 'zero'; there are 'plus', 'minus'";
        assert_eq!(error.to_string(), message);
        writer.rolled_back().await.unwrap();
        write(&mut writer, &[-1, 1]).await.unwrap();
        writer.committed();
        end(&mut writer).await.unwrap();
    });
    assert_eq!(text(folder.path(), "plus.jsonl"), "1\n");
    assert_eq!(text(folder.path(), "minus.json"), "[\n-1\n]\n");
}

#[test]
fn names_that_are_doubled_or_gone_are_told() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let again = JsonLinesWriter::with_tag("1", folder.path().join("again.jsonl"));
        let message = signs(folder.path()).route("plus", again).open(None).await.unwrap_err().to_string();
        assert_eq!(message, "two writers have the name 'plus'");
        let mut writer = signs(folder.path());
        writer.open(None).await.unwrap();
        let checkpoint = write(&mut writer, &[1]).await.unwrap();
        drop(writer);
        let mut other = ClassifyingWriter::new(sign)
            .route("plus", JsonLinesWriter::with_tag("1", folder.path().join("plus.jsonl")));
        let message = other.open(Some(&checkpoint)).await.unwrap_err().to_string();
        assert!(
            message.starts_with("checkpoint is of a writer with the name 'minus', but there are 'plus'"),
            "{message}"
        );
    });
}

fn both(folder: &Path) -> TeeWriter<CsvWriter<u32>, JsonLinesWriter<u32>> {
    TeeWriter::new(
        CsvWriter::with_tag("1", folder.join("a.csv")).headers(["n"]),
        JsonLinesWriter::with_tag("1", folder.join("a.jsonl")).on_existing(OnExisting::Refuse),
    )
}

#[test]
fn a_fault_of_one_writer_takes_the_chunk_back_in_the_other() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let mut writer = both(folder.path());
        writer.open(None).await.unwrap();
        write(&mut writer, &[1]).await.unwrap();
        writer.committed();
        write(&mut writer, &[2]).await.unwrap();
        writer.rolled_back().await.unwrap();
        let mut transaction = NoTransaction;
        writer.finish(&mut transaction).await.unwrap();
        let complete = stored(&writer.flush().await.unwrap().unwrap());
        writer.committed();
        std::fs::write(folder.path().join("a.jsonl"), "mine").unwrap();
        let message = writer.publish().await.unwrap_err().to_string();
        assert!(message.contains("a.jsonl' exists already"), "{message}");
        writer.close().await.unwrap();
        assert_eq!(names(folder.path()), ["a.csv", "a.jsonl", "a.jsonl.1.part"]);

        // The other file is moved out of the way: the next attempt publishes what is left.
        std::fs::remove_file(folder.path().join("a.jsonl")).unwrap();
        let mut writer = both(folder.path());
        writer.open(Some(&complete)).await.unwrap();
        end(&mut writer).await.unwrap();
    });
    assert_eq!(text(folder.path(), "a.csv"), "n\n1\n");
    assert_eq!(text(folder.path(), "a.jsonl"), "1\n");
    assert_eq!(names(folder.path()), ["a.csv", "a.jsonl"]);
}

proptest! {
    #[test]
    fn all_writers_hold_their_rows_whenever_the_process_dies(rows in rows(true), plan in plan()) {
        let folder = tempfile::tempdir().unwrap();
        let make = || {
            let file = |name| JsonLinesWriter::with_tag("1", folder.path().join(name));
            let classified = ClassifyingWriter::new(|row: &Row| if row.number.is_some() { "some" } else { "none" })
                .route("some", file("some.jsonl").roll_after_items(3))
                .route("none", file("none.jsonl"));
            TeeWriter::new(classified, file("all.jsonl"))
        };
        block_on(write_all(make, folder.path(), &rows, &plan));
        let of = |some: bool| lines(&rows.iter().filter(|row| row.number.is_some() == some).collect::<Vec<_>>());
        let some: String = names(folder.path()).iter().filter(|name| name.starts_with("some-"))
            .map(|name| text(folder.path(), name)).collect();
        prop_assert_eq!(some, of(true));
        prop_assert_eq!(text(folder.path(), "none.jsonl"), of(false));
        prop_assert_eq!(text(folder.path(), "all.jsonl"), lines(&rows.iter().collect::<Vec<_>>()));
        prop_assert!(names(folder.path()).iter().all(|name| name.ends_with(".jsonl")));
    }
}
